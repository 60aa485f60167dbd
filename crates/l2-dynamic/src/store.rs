//! Storing: reserve, write to a file that nobody sees, publish.
//!
//! On the caller's thread the index takes each key (or says that it is there already). On a worker, [`prepare`] makes
//! the file and reserves its space, NIXL writes it, and [`written`] gives it its name and makes it visible. A store for
//! which only those that are under way could make room waits in the backlog, and [`resume`] tries it again.

use std::io;
use std::sync::Arc;

use l2_config::Durability;
use l2_core::{
    Breaker, Deferred, ItemSlot, L2Error, ObjectKey, Stamp, StoreItem, StoreOutcome, StoreReport, Stored,
    Task, Turn, UnderWay,
};
use l2_engine::{Class, Engine, EngineError, Move, Moved, Piece, Request, Storage};
use l2_files::is_full;
use l2_index::Reservation;
use l2_memory::SharedLease;

use crate::core::Core;
use crate::load::unreadable_memory;
use crate::publish::{Draft, Published};
use crate::take::{NotTaken, reserve, take};

/// An object on its way to the disk.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
#[derive(Debug)]
pub(crate) struct Write {
    key: ObjectKey,
    memory: SharedLease,
    /// `None` when the key is to be taken on a worker, for something is in the way, or in the place that it needs, that has
    /// to be removed first.
    claimed: Option<Claimed>,
    /// When.
    used: Stamp,
    slot: ItemSlot<StoreOutcome>,
}

/// The key and its bytes.
#[derive(Debug)]
struct Claimed {
    reservation: Reservation,
    /// Ends after the reservation: then the object can be evicted, or its bytes are free.
    under_way: UnderWay<Write>,
}

impl Claimed {
    fn new(core: &Core, reservation: Reservation) -> Self {
        Self { reservation, under_way: core.backlog.begin() }
    }

    fn commit(self) {
        self.reservation.commit();
        drop(self.under_way);
    }
}

/// An object whose file is open. The draft goes before the reservation: its space is free before its bytes are.
struct Writing {
    key: ObjectKey,
    path: String,
    draft: Draft,
    claimed: Claimed,
    slot: ItemSlot<StoreOutcome>,
}

pub(crate) fn submit(core: &Arc<Core>, engine: &Engine, batch: Vec<StoreItem>) -> Task<StoreReport> {
    let (task, batch) = core.desk.store_task(batch, |bytes| bytes);
    let begun = Arc::clone(core);
    core.held.submit(engine, Box::new(move |engine| begin(&begun, engine, batch)));
    task
}

/// Takes the keys of a batch, in order, and has workers write the objects.
fn begin(core: &Arc<Core>, engine: &Engine, batch: Vec<(ItemSlot<StoreOutcome>, StoreItem)>) {
    let stamps = core.index.stamps(batch.len());
    let claimed = batch.into_iter().zip(stamps);
    let claimed = claimed.filter_map(|((slot, item), used)| claim(core, slot, item, used)).collect();
    core.reconcile_if_full(engine);
    for group in core.grouping.cut(claimed, |write: &Write| (write.memory.region().id(), write.memory.len()))
    {
        let core = Arc::clone(core);
        engine.submit(Class::Store, Box::new(move || run(&core, group)));
    }
}

fn done(slot: ItemSlot<StoreOutcome>, memory: Option<SharedLease>, result: Result<Stored, L2Error>) {
    slot.finish(StoreOutcome { result, memory });
}

/// Takes the key for this store, or answers at once.
fn claim(core: &Core, slot: ItemSlot<StoreOutcome>, item: StoreItem, used: Stamp) -> Option<Write> {
    let StoreItem { key, memory } = item;
    let bytes = memory.len() as u64;
    let answer = if core.desk.is_closed() {
        Err(L2Error::closed())
    } else if core.desk.breakers().stores.is_open() {
        Err(Breaker::error())
    } else if let Err(error) = check_alignment(core, &memory) {
        Err(error)
    } else if core.rules.checksum && memory.as_slice().is_none() {
        Err(unreadable_memory())
    } else {
        match reserve(core, &key, bytes, used) {
            Ok(Some(reservation)) => {
                let claimed = Some(Claimed::new(core, reservation));
                return Some(Write { slot, key, memory, claimed, used });
            }
            Ok(None) => return Some(Write { slot, key, memory, claimed: None, used }),
            Err(NotTaken::Full { .. }) if core.desk.has_room_maker() => {
                return Some(Write { slot, key, memory, claimed: None, used });
            }
            Err(not) => not.answer(core),
        }
    };
    done(slot, Some(memory), answer.map_err(|error| error.with_key(&key)));
    None
}

fn check_alignment(core: &Core, memory: &SharedLease) -> Result<(), L2Error> {
    core.direct.map_or(Ok(()), |alignment| alignment.check(memory.as_ptr().addr(), memory.len()))
}

/// The job: makes the files of a group, and asks for one request that writes them all.
fn run(core: &Arc<Core>, group: Vec<Write>) -> Vec<Move> {
    core.refresh(true);
    let mut ready = Vec::new();
    for write in group {
        place(core, write, Turn::Last, &mut ready);
    }
    let mut moves = Vec::new();
    if !ready.is_empty() {
        moves.push(request(core, ready));
    }
    // What ended here already, without a request, may be what others wait for.
    moves.extend(resume(core));
    moves
}

type Ready = (Piece<SharedLease>, Writing);

/// Tries the stores that wait, as far as there is room.
fn resume(core: &Arc<Core>) -> Vec<Move> {
    let mut ready = Vec::new();
    while let Some(write) = core.backlog.take()
        && place(core, write, Turn::First, &mut ready)
    {}
    let groups = core.grouping.cut(ready, |(piece, _)| (piece.memory.region().id(), piece.memory.len()));
    groups.into_iter().map(|group| request(core, group)).collect()
}

/// Has an object ready to be written, or answers, or has it wait for room; only then it is `false`.
fn place(core: &Core, mut write: Write, turn: Turn, ready: &mut Vec<Ready>) -> bool {
    loop {
        let since = core.backlog.now();
        let (unplaced, no_room) = match prepare(core, write) {
            Prepared::Ready(object) => {
                ready.push(object);
                return true;
            }
            Prepared::Answered => return true,
            Prepared::NoRoom(unplaced, no_room) => (unplaced, no_room),
        };
        write = match core.backlog.defer(unplaced, since, turn) {
            Deferred::Waits => return false,
            Deferred::TryAgain(again) => again,
            Deferred::Hopeless(Write { slot, key, memory, .. }) => {
                let closed = || Err(L2Error::closed());
                let answer = if core.desk.is_closed() { closed() } else { no_room.answer(core) };
                done(slot, Some(memory), answer.map_err(|error| error.with_key(&key)));
                return true;
            }
        };
    }
}

/// The storage has stopped to answer: what waits would wait for it, too.
fn give_up(core: &Core, cause: &EngineError) {
    for Write { slot, key, memory, .. } in core.backlog.take_all() {
        let what = format!("not tried, for it waited for room behind stores that failed: {cause}");
        done(slot, Some(memory), Err(L2Error::new(cause.kind(), what).with_key(&key)));
    }
}

fn request(core: &Arc<Core>, ready: Vec<Ready>) -> Move {
    let (pieces, files) = ready.into_iter().unzip();
    let core = Arc::clone(core);
    Move::Store(Request::new(pieces, move |moved| written(&core, files, moved)))
}

/// What became of an object on its way.
enum Prepared {
    Ready(Ready),
    Answered,
    /// Nothing can go to make room for it now.
    NoRoom(Write, NotTaken),
}

/// Makes an object's file and reserves its space; or answers. A disk that is full is asked once more, after eviction.
fn prepare(core: &Core, write: Write) -> Prepared {
    let (write, error) = match try_to_prepare(core, write) {
        Tried::Done(prepared) => return prepared,
        Tried::DiskFull(write, error) => (write, error),
    };
    let bytes = write.memory.len() as u64;
    if core.desk.make_room(write.key.scope(), bytes) == 0 {
        return no_file(core, write, error);
    }
    match try_to_prepare(core, write) {
        Tried::Done(prepared) => prepared,
        Tried::DiskFull(write, error) => no_file(core, write, error),
    }
}

/// No file can be made for an object.
fn no_file(core: &Core, write: Write, error: io::Error) -> Prepared {
    let Write { slot, key, memory, .. } = write;
    let (path, bytes) = (core.path(&key), memory.len() as u64);
    // An older file of another length may lie there, which nobody has counted since.
    let _ = core.recover(&key, &path, core.index.cold_stamp(), None);
    let error = core.directory.error("cannot make a file", &path, error).with_range(0, bytes).with_key(&key);
    let result = Err(error);
    done(slot, Some(memory), result);
    Prepared::Answered
}

enum Tried {
    Done(Prepared),
    /// It has given its bytes back.
    DiskFull(Write, io::Error),
}

fn try_to_prepare(core: &Core, write: Write) -> Tried {
    let Write { slot, key, memory, claimed, used } = write;
    let bytes = memory.len() as u64;
    let path = core.path(&key);
    let taken = match claimed {
        Some(claimed) => Ok(claimed),
        None => {
            let take = || take(core, &key, &path, bytes, used);
            let taken = core.desk.with_room(key.scope(), take, NotTaken::missing);
            taken.map(|reservation| Claimed::new(core, reservation))
        }
    };
    let claimed = match taken {
        Ok(claimed) => claimed,
        Err(not) if not.missing().is_some() && core.desk.has_room_maker() => {
            return Tried::Done(Prepared::NoRoom(Write { slot, key, memory, claimed: None, used }, not));
        }
        Err(not) => {
            done(slot, Some(memory), not.answer(core).map_err(|error| error.with_key(&key)));
            return Tried::Done(Prepared::Answered);
        }
    };
    // A file that the index did not know, from an earlier run or another process, need not be written again.
    if core.is_there(&key, &path, bytes).unwrap_or(false) {
        claimed.commit();
        core.desk.tell_recovered(&[(key.clone(), bytes)]);
        done(slot, Some(memory), Ok(Stored::AlreadyPresent));
        return Tried::Done(Prepared::Answered);
    }
    match draft(core, &path, bytes) {
        Ok(draft) => {
            let piece = Piece { memory, storage: Storage::File(Arc::clone(draft.file())), offset: 0 };
            Tried::Done(Prepared::Ready((piece, Writing { slot, key, path, draft, claimed })))
        }
        Err(error) => {
            drop(claimed);
            let write = Write { slot, key, memory, claimed: None, used };
            if is_full(&error) {
                Tried::DiskFull(write, error)
            } else {
                Tried::Done(no_file(core, write, error))
            }
        }
    }
}

/// Makes a file, unless that leaves others too little room.
fn draft(core: &Core, path: &str, bytes: u64) -> io::Result<Draft> {
    if core.min_free > 0 && core.directory.free_bytes()? < bytes.saturating_add(core.min_free) {
        let what = "it would leave less free on the file system than min_free_gb";
        return Err(io::Error::new(io::ErrorKind::StorageFull, what));
    }
    Draft::begin(&core.directory, core.writing, path, bytes, core.direct.is_some())
}

/// What happens when a request has ended.
fn written(core: &Arc<Core>, files: Vec<Writing>, moved: Moved<SharedLease>) -> Vec<Move> {
    let Moved { result, memory } = moved;
    match (result, memory) {
        (Ok(()), Some(memory)) => {
            files.into_iter().zip(memory).for_each(|(file, memory)| publish(core, file, memory));
            resume(core)
        }
        // One outcome for all: each is tried by itself, so that a bad one does not take its neighbours with it.
        (Err(_), Some(memory)) if files.len() > 1 => {
            let alone = files.into_iter().zip(memory).map(|(file, memory)| {
                let piece =
                    Piece { memory, storage: Storage::File(Arc::clone(file.draft.file())), offset: 0 };
                request(core, vec![(piece, file)])
            });
            alone.collect()
        }
        (result, memory) => {
            let cause = result.err().unwrap_or(EngineError::Closed);
            let mut memory = memory.unwrap_or_default().into_iter();
            for file in files {
                let Writing { slot, key, path, draft, claimed } = file;
                drop(draft);
                let error = L2Error::new(cause.kind(), cause.to_string())
                    .with_path(core.directory.full(&path))
                    .with_range(0, claimed.reservation.bytes())
                    .with_key(&key);
                drop(claimed);
                let result = Err(error);
                done(slot, memory.next(), result);
            }
            if cause.is_no_answer() {
                give_up(core, &cause);
            }
            resume(core)
        }
    }
}

fn publish(core: &Core, file: Writing, memory: SharedLease) {
    let Writing { slot, key, path, draft, claimed } = file;
    let bytes = claimed.reservation.bytes();
    let result = match try_to_publish(core, draft, &key, &path, &memory) {
        Ok(published) => {
            claimed.commit();
            Ok(match published {
                Published::Now => Stored::Written { bytes },
                Published::Before => {
                    core.desk.tell_recovered(&[(key.clone(), bytes)]);
                    Stored::AlreadyPresent
                }
            })
        }
        Err(error) => {
            drop(claimed);
            // It may have its name, and not be safe from a power cut.
            let _ = core.recover(&key, &path, core.index.cold_stamp(), None);
            Err(core
                .directory
                .error("cannot publish a file", &path, error)
                .with_range(0, bytes)
                .with_key(&key))
        }
    };
    done(slot, Some(memory), result);
}

/// Puts beside the file what is to be there, and gives it its name.
fn try_to_publish(
    core: &Core,
    draft: Draft,
    key: &ObjectKey,
    path: &str,
    memory: &SharedLease,
) -> io::Result<Published> {
    let bytes = memory.len() as u64;
    if core.rules.keeps_records() {
        let record = core.rules.record_of(key, memory.as_slice().unwrap_or_default(), bytes);
        core.beside.write(&core.directory, draft.file(), path, &record)?;
    }
    let flush = core.durability == Durability::Fsync;
    if flush {
        draft.flush()?;
    }
    let published = draft.publish(&core.directory, path, || core.is_there(key, path, bytes))?;
    if flush {
        core.directory.flush_names(path)?;
    }
    Ok(published)
}
