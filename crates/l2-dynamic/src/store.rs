//! Storing: reserve, write to a file that nobody sees, publish.
//!
//! On the caller's thread the index takes each key (or says that it is there already). On a worker, [`prepare`] makes
//! the file and reserves its space, NIXL writes it, and [`written`] gives it its name and makes it visible.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use l2_core::{ErrorKind, ItemSlot, L2Error, ObjectKey, StoreItem, StoreOutcome, StoreReport, Stored, Task};
use l2_engine::{Class, Engine, EngineError, Move, Moved, Piece, Request, Storage};
use l2_index::{BeginDelete, Reservation, Reserve};
use l2_memory::SharedLease;

use crate::core::Core;
use crate::publish::{Draft, Published};

/// An object on its way to the disk.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
struct Write {
    key: ObjectKey,
    memory: SharedLease,
    /// `None` when the key is to be taken on a worker, for something is in the way that has to be removed first.
    reservation: Option<Reservation>,
    slot: ItemSlot<StoreOutcome>,
}

/// An object whose file is open. The draft goes before the reservation: its space is free before its bytes are.
struct Writing {
    key: ObjectKey,
    path: String,
    draft: Draft,
    reservation: Reservation,
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
    let claimed = batch.into_iter().filter_map(|(slot, item)| claim(core, slot, item)).collect();
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
fn claim(core: &Core, slot: ItemSlot<StoreOutcome>, item: StoreItem) -> Option<Write> {
    let StoreItem { key, memory } = item;
    let bytes = memory.len() as u64;
    let answer = if core.desk.is_closed() {
        Err(L2Error::closed())
    } else if let Err(error) = check_alignment(core, &memory) {
        Err(error)
    } else {
        match core.index.reserve(&key, bytes) {
            Reserve::Reserved(reservation) => {
                return Some(Write { slot, key, memory, reservation: Some(reservation) });
            }
            Reserve::Present { bytes: stored } if stored == bytes => Ok(Stored::AlreadyPresent),
            // Of another length, or left by a deletion that failed: removed on a worker.
            Reserve::Present { .. } | Reserve::Deleting => {
                return Some(Write { slot, key, memory, reservation: None });
            }
            Reserve::Storing => Ok(Stored::AlreadyPresent),
            Reserve::Full { needed, used, capacity } => {
                core.was_full.store(true, Ordering::Release);
                Err(full(needed, used, capacity))
            }
        }
    };
    done(slot, Some(memory), answer.map_err(|error| error.with_key(&key)));
    None
}

fn check_alignment(core: &Core, memory: &SharedLease) -> Result<(), L2Error> {
    core.direct.map_or(Ok(()), |alignment| alignment.check(memory.as_ptr().addr(), memory.len()))
}

fn full(needed: u64, used: u64, capacity: u64) -> L2Error {
    let what = format!(
        "{needed} bytes do not fit: {used} of the {capacity} bytes of max_capacity_gb are in use; raise it, or \
         configure eviction"
    );
    L2Error::new(ErrorKind::Full, what)
}

/// The job: makes the files of a group, and asks for one request that writes them all.
fn run(core: &Arc<Core>, group: Vec<Write>) -> Vec<Move> {
    core.refresh(true);
    let (mut pieces, mut files) = (Vec::new(), Vec::new());
    for write in group {
        if let Some((piece, writing)) = prepare(core, write) {
            pieces.push(piece);
            files.push(writing);
        }
    }
    if pieces.is_empty() { Vec::new() } else { vec![request(core, pieces, files)] }
}

fn request(core: &Arc<Core>, pieces: Vec<Piece<SharedLease>>, files: Vec<Writing>) -> Move {
    let core = Arc::clone(core);
    Move::Store(Request::new(pieces, move |moved| written(&core, files, moved)))
}

/// Makes an object's file and reserves its space; or answers.
fn prepare(core: &Core, write: Write) -> Option<(Piece<SharedLease>, Writing)> {
    let Write { slot, key, memory, reservation } = write;
    let bytes = memory.len() as u64;
    let path = core.path(&key);
    let reservation = match reservation.map_or_else(|| take(core, &key, &path, bytes), Ok) {
        Ok(reservation) => reservation,
        Err(answer) => {
            done(slot, Some(memory), answer.map_err(|error| error.with_key(&key)));
            return None;
        }
    };
    // A file that the index did not know, from an earlier run or another process, need not be written again.
    if core.length_on_disk(&path).ok().flatten() == Some(bytes) {
        reservation.commit();
        core.desk.tell_recovered(&[(key.clone(), bytes)]);
        done(slot, Some(memory), Ok(Stored::AlreadyPresent));
        return None;
    }
    match Draft::begin(&core.directory, core.writing, &path, bytes, core.direct.is_some()) {
        Ok(draft) => {
            let piece = Piece { memory, storage: Storage::File(Arc::clone(draft.file())), offset: 0 };
            Some((piece, Writing { slot, key, path, draft, reservation }))
        }
        Err(error) => {
            drop(reservation);
            // An older file of another length may lie there, which nobody has counted since.
            let _ = core.recover(&key, &path, 0);
            let error =
                core.directory.error("cannot make a file", &path, error).with_range(0, bytes).with_key(&key);
            done(slot, Some(memory), Err(error));
            None
        }
    }
}

/// Takes the key, after removing what is in its way; or answers.
fn take(
    core: &Core,
    key: &ObjectKey,
    path: &str,
    bytes: u64,
) -> Result<Reservation, Result<Stored, L2Error>> {
    match core.index.reserve(key, bytes) {
        Reserve::Reserved(reservation) => return Ok(reservation),
        Reserve::Storing => return Err(Ok(Stored::AlreadyPresent)),
        Reserve::Present { bytes: stored } if stored == bytes => return Err(Ok(Stored::AlreadyPresent)),
        Reserve::Full { needed, used, capacity } => return Err(Err(full(needed, used, capacity))),
        // Of another length, or left by a deletion that failed.
        Reserve::Present { .. } | Reserve::Deleting => {}
    }
    // What would not fit in its place must not cost the old object its own.
    let in_the_way = core.index.get(key);
    if in_the_way.is_some_and(|entry| entry.pins > 0) {
        return Err(Err(in_use()));
    }
    let old = in_the_way.map_or(0, |entry| entry.bytes);
    let (used, capacity) = (core.index.used_bytes(), core.index.capacity_bytes());
    if used.saturating_sub(old).saturating_add(bytes) > capacity {
        return Err(Err(full(bytes, used, capacity)));
    }
    if let BeginDelete::Started(deletion) = core.index.begin_delete(key) {
        crate::delete::free(core, deletion, path).map_err(Err)?;
    }
    match core.index.reserve(key, bytes) {
        Reserve::Reserved(reservation) => Ok(reservation),
        Reserve::Storing => Err(Ok(Stored::AlreadyPresent)),
        Reserve::Present { bytes: stored } if stored == bytes => Err(Ok(Stored::AlreadyPresent)),
        Reserve::Present { .. } | Reserve::Deleting => Err(Err(in_use())),
        Reserve::Full { needed, used, capacity } => Err(Err(full(needed, used, capacity))),
    }
}

fn in_use() -> L2Error {
    let what = "an object of another length is stored under this key, and is in use; store it later";
    L2Error::new(ErrorKind::Busy, what)
}

/// What happens when a request has ended.
fn written(core: &Arc<Core>, files: Vec<Writing>, moved: Moved<SharedLease>) -> Vec<Move> {
    let Moved { result, memory } = moved;
    match (result, memory) {
        (Ok(()), Some(memory)) => {
            files.into_iter().zip(memory).for_each(|(file, memory)| publish(core, file, memory));
            Vec::new()
        }
        // One outcome for all: each is tried by itself, so that a bad one does not take its neighbours with it.
        (Err(_), Some(memory)) if files.len() > 1 => {
            let alone = files.into_iter().zip(memory).map(|(file, memory)| {
                let piece =
                    Piece { memory, storage: Storage::File(Arc::clone(file.draft.file())), offset: 0 };
                request(core, vec![piece], vec![file])
            });
            alone.collect()
        }
        (result, memory) => {
            let cause = result.err().unwrap_or(EngineError::Closed);
            let mut memory = memory.unwrap_or_default().into_iter();
            for file in files {
                let Writing { slot, key, path, draft, reservation } = file;
                drop(draft);
                let error = L2Error::new(cause.kind(), cause.to_string())
                    .with_path(core.directory.full(&path))
                    .with_range(0, reservation.bytes())
                    .with_key(&key);
                drop(reservation);
                done(slot, memory.next(), Err(error));
            }
            Vec::new()
        }
    }
}

fn publish(core: &Core, file: Writing, memory: SharedLease) {
    let Writing { slot, key, path, draft, reservation } = file;
    let bytes = reservation.bytes();
    let result = match draft.publish(&core.directory, &path) {
        Ok(published) => {
            reservation.commit();
            Ok(match published {
                Published::Now => Stored::Written { bytes },
                Published::Before => {
                    core.desk.tell_recovered(&[(key.clone(), bytes)]);
                    Stored::AlreadyPresent
                }
            })
        }
        Err(error) => {
            drop(reservation);
            Err(core
                .directory
                .error("cannot publish a file", &path, error)
                .with_range(0, bytes)
                .with_key(&key))
        }
    };
    done(slot, Some(memory), result);
}
