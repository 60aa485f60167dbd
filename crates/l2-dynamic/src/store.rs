//! Storing: reserve, write to a file that nobody sees, publish.
//!
//! On the caller's thread the index takes each key (or says that it is there already). On a worker, [`prepare`] makes
//! the file and reserves its space, NIXL writes it, and [`written`] gives it its name and makes it visible. A store for
//! which only those that are under way could make room waits in the backlog, and [`resume`] tries it again.

use std::io;
use std::sync::Arc;

use l2_core::{
    Breaker, Deferred, ItemSlot, L2Error, ObjectKey, Stamp, StoreItem, StoreOutcome, StoreReport, Stored,
    Task, Turn, timed,
};
use l2_engine::{Class, Engine, EngineError, Keep, Move, Piece, Request, Storage};
use l2_files::is_full;
use l2_memory::SharedLease;

use crate::claimed::Claimed;
use crate::core::Core;
use crate::publish::Draft;
use crate::take::{NotTaken, reserve, take};
use crate::written::written;

/// An object on its way to the disk.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: ObjectKey,
    pub(crate) memory: SharedLease,
    /// `None` when the key is to be taken on a worker, for something is in the way, or in the place that it needs, that has
    /// to be removed first.
    pub(crate) claimed: Option<Claimed>,
    /// When.
    pub(crate) used: Stamp,
    /// It found the disk full once, and room was made for it.
    pub(crate) is_again: bool,
    pub(crate) slot: ItemSlot<StoreOutcome>,
}

/// An object whose file is open. The draft goes before the reservation: its space is free before its bytes are.
pub(crate) struct Writing {
    pub(crate) key: ObjectKey,
    pub(crate) path: String,
    pub(crate) draft: Draft,
    pub(crate) claimed: Claimed,
    pub(crate) used: Stamp,
    pub(crate) is_again: bool,
    pub(crate) slot: ItemSlot<StoreOutcome>,
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
    for group in core.grouping.cut(claimed, |write: &Write| (write.memory.region().id(), write.memory.len()))
    {
        let core = Arc::clone(core);
        engine.submit(Class::Store, Box::new(move || run(&core, group)));
    }
}

pub(crate) fn done(
    slot: ItemSlot<StoreOutcome>,
    memory: Option<SharedLease>,
    result: Result<Stored, L2Error>,
) {
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
    } else if core.rules.of_all && memory.as_slice().is_none() {
        Err(L2Error::unreadable_memory())
    } else {
        match reserve(core, &key, bytes, used) {
            Ok(Some(reservation)) => {
                let claimed = Some(Claimed::new(core, reservation));
                return Some(Write { slot, key, memory, claimed, used, is_again: false });
            }
            Ok(None) => return Some(Write { slot, key, memory, claimed: None, used, is_again: false }),
            // Eviction may make room; or the directory was removed, which a worker finds out.
            Err(not) if not.missing().is_some() => {
                return Some(Write { slot, key, memory, claimed: None, used, is_again: false });
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
pub(crate) fn resume(core: &Arc<Core>) -> Vec<Move> {
    let mut ready = Vec::new();
    while let Some(write) = core.backlog.take()
        && place(core, write, Turn::First, &mut ready)
    {}
    let groups = core.grouping.cut(ready, |(piece, _)| (piece.memory.region().id(), piece.memory.len()));
    groups.into_iter().map(|group| request(core, group)).collect()
}

/// Has an object ready to be written, or answers, or has it wait for room; only then it is `false`.
pub(crate) fn place(core: &Core, mut write: Write, turn: Turn, ready: &mut Vec<Ready>) -> bool {
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
pub(crate) fn give_up(core: &Core, cause: &EngineError) {
    for Write { slot, key, memory, .. } in core.backlog.take_all() {
        let what = format!("not tried, for it waited for room behind stores that failed: {cause}");
        done(slot, Some(memory), Err(L2Error::new(cause.kind(), what).with_key(&key)));
    }
}

pub(crate) fn request(core: &Arc<Core>, ready: Vec<Ready>) -> Move {
    let (pieces, files): (Vec<_>, Vec<Writing>) = ready.into_iter().unzip();
    // What NIXL does not end in time may still take the room that it was given.
    let keep: Keep = Arc::new(files.iter().map(|file| file.claimed.held()).collect::<Vec<_>>());
    let core = Arc::clone(core);
    Move::Store(Request::new(pieces, move |moved| written(&core, files, moved)).keeping(keep))
}

/// What became of an object on its way.
enum Prepared {
    Ready(Ready),
    Answered,
    /// Nothing can go to make room for it now.
    NoRoom(Write, NotTaken),
}

/// Makes an object's file and reserves its space; or answers. A disk that is full is asked once more, after eviction.
fn prepare(core: &Core, mut write: Write) -> Prepared {
    loop {
        let (full, error) = match try_to_prepare(core, write) {
            Tried::Done(prepared) => return prepared,
            Tried::DiskFull(write, error) => (write, error),
        };
        write = match make_room(core, full) {
            Ok(again) => again,
            Err(write) => return no_file(core, write, error),
        };
    }
}

/// Evicts for an object that the disk had no room for, so that it can be tried once more.
pub(crate) fn make_room(core: &Core, write: Write) -> Result<Write, Write> {
    let bytes = write.memory.len() as u64;
    if write.is_again || core.desk.make_room(write.key.scope(), bytes) == 0 {
        return Err(write);
    }
    Ok(Write { is_again: true, ..write })
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
    let Write { slot, key, memory, claimed, used, is_again } = write;
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
            return Tried::Done(Prepared::NoRoom(
                Write { slot, key, memory, claimed: None, used, is_again },
                not,
            ));
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
    match timed(&core.desk.meters().stages().opened, || draft(core, &path, bytes)) {
        Ok(draft) => {
            let piece = Piece { memory, storage: Storage::File(Arc::clone(draft.file())), offset: 0 };
            Tried::Done(Prepared::Ready((piece, Writing { slot, key, path, draft, claimed, used, is_again })))
        }
        Err(error) => {
            claimed.release();
            let write = Write { slot, key, memory, claimed: None, used, is_again };
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
    let must_leave = |free: u64| match core.min_free > 0 && core.directory.free_bytes()? < free {
        true => {
            let what = "it would leave less free on the file system than min_free_gb";
            Err(io::Error::new(io::ErrorKind::StorageFull, what))
        }
        false => Ok(()),
    };
    must_leave(core.min_free.saturating_add(bytes))?;
    let draft = Draft::begin(&core.directory, core.writing, path, bytes, core.direct.is_some())?;
    // Of several at once each found room for itself. (Where nothing can be reserved that shows after the next write.)
    must_leave(core.min_free)?;
    Ok(draft)
}
