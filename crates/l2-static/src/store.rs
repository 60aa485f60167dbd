//! Storing: take the key and the pages, write, make it visible.
//!
//! Key and pages are taken on the caller's thread, for that needs no I/O. A worker has NIXL write them; what failed gives
//! its pages back, at the latest when NIXL has let go of them.

use std::sync::Arc;

use l2_core::{ErrorKind, ItemSlot, L2Error, ObjectKey, StoreItem, StoreOutcome, StoreReport, Stored, Task};
use l2_engine::{Class, Engine, EngineError, Keep, Move, Moved, Piece, Request};
use l2_index::{BeginDelete, Reservation, Reserve};
use l2_memory::SharedLease;

use crate::core::Core;
use crate::kept::Kept;
use crate::pool::Taken;

/// An object that has a place.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
struct Write {
    memory: SharedLease,
    taken: Taken,
    reservation: Reservation<Arc<Kept>>,
    slot: ItemSlot<StoreOutcome>,
}

/// An object on its way to its place.
struct Writing {
    kept: Arc<Kept>,
    reservation: Reservation<Arc<Kept>>,
    slot: ItemSlot<StoreOutcome>,
}

pub(crate) fn submit(core: &Arc<Core>, engine: &Engine, batch: Vec<StoreItem>) -> Task<StoreReport> {
    let occupied = {
        let core = Arc::clone(core);
        move |bytes| core.slots.occupied(bytes)
    };
    let (task, items) = core.desk.store_task(batch, occupied);
    let claimed = items.into_iter().filter_map(|(slot, item)| claim(core, slot, item)).collect();
    for group in core.grouping.cut(claimed, |write: &Write| (write.memory.region().id(), write.memory.len()))
    {
        let core = Arc::clone(core);
        engine.submit(Class::Store, Box::new(move || run(&core, group)));
    }
    task
}

/// Takes key and pages, or answers at once.
fn claim(core: &Core, slot: ItemSlot<StoreOutcome>, item: StoreItem) -> Option<Write> {
    let StoreItem { key, memory } = item;
    let taken = if core.desk.is_closed() {
        Err(Err(L2Error::closed()))
    } else {
        let alignment = core.medium.check(memory.as_ptr().addr(), memory.len());
        alignment.map_err(Err).and_then(|()| take(core, &key, memory.len() as u64))
    };
    match taken {
        Ok((reservation, taken)) => Some(Write { memory, taken, reservation, slot }),
        Err(answer) => {
            let result = answer.map_err(|error| error.with_key(&key));
            slot.finish(StoreOutcome { result, memory: Some(memory) });
            None
        }
    }
}

/// What a store answers without writing anything.
type Answer = Result<Stored, L2Error>;

/// Takes the key, in place of an object of another length if there is one, and the pages.
fn take(core: &Core, key: &ObjectKey, bytes: u64) -> Result<(Reservation<Arc<Kept>>, Taken), Answer> {
    let mut reserved = core.index.reserve(key, bytes);
    if is_in_the_way(&reserved, bytes) {
        // What would not fit in its place must not cost the old object its own (unless others take the room meanwhile).
        let old = core.index.get(key);
        if old.is_some_and(|entry| entry.pins > 0) {
            return Err(Err(in_use()));
        }
        core.slots.check_room(bytes, old.map_or(0, |entry| entry.bytes)).map_err(Err)?;
        if let BeginDelete::Started(deletion) = core.index.begin_delete(key) {
            core.free(deletion);
        }
        reserved = core.index.reserve(key, bytes);
    }
    match reserved {
        // Without pages, the reservation is dropped, and the key is absent again.
        Reserve::Reserved(reservation) => {
            let taken = core.slots.take(bytes).map_err(Err)?;
            Ok((reservation, taken))
        }
        Reserve::Storing => Err(Ok(Stored::AlreadyPresent)),
        Reserve::Present { bytes: stored } if stored == bytes => Err(Ok(Stored::AlreadyPresent)),
        Reserve::Present { .. } | Reserve::Deleting => Err(Err(in_use())),
        // The index has no bound of its own: the pool is the bound.
        Reserve::Full { .. } => Err(Err(L2Error::new(ErrorKind::Bug, "the index has counted past 2^64"))),
    }
}

/// Whether there is an object of another length, or one whose deletion nobody has finished.
fn is_in_the_way(reserved: &Reserve<Arc<Kept>>, bytes: u64) -> bool {
    match reserved {
        Reserve::Present { bytes: stored } => *stored != bytes,
        Reserve::Deleting => true,
        _ => false,
    }
}

fn in_use() -> L2Error {
    let what = "what was stored under this key before is in use, or not gone yet; store it later";
    L2Error::new(ErrorKind::Busy, what)
}

/// The job: asks for one request that writes a group.
fn run(core: &Arc<Core>, group: Vec<Write>) -> Vec<Move> {
    let check = core.medium.is_to_be_checked();
    let placed = group.into_iter().map(|write| {
        let Write { memory, taken, reservation, slot } = write;
        let kept = Arc::new(Kept::new(taken, &memory, check));
        (memory, Writing { kept, reservation, slot })
    });
    let (memory, objects) = placed.unzip();
    vec![request(core, memory, objects)]
}

fn request(core: &Arc<Core>, memory: Vec<SharedLease>, objects: Vec<Writing>) -> Move {
    let piece = |(memory, object): (SharedLease, &Writing)| {
        let storage = core.storage(&object.kept, memory.len() as u64);
        Piece { memory, storage, offset: 0 }
    };
    let pieces = memory.into_iter().zip(&objects).map(piece).collect();
    // A request that is parked at its deadline may still write: its pages, and its names, are nobody else's until it has ended.
    let kept: Vec<_> = objects.iter().map(|object| Arc::clone(&object.kept)).collect();
    let keep: Keep = Arc::new((kept, core.medium.claim()));
    let core = Arc::clone(core);
    Move::Store(Request::new(pieces, move |moved| written(&core, objects, moved)).keeping(keep))
}

/// What happens when a request has ended.
fn written(core: &Arc<Core>, objects: Vec<Writing>, moved: Moved<SharedLease>) -> Vec<Move> {
    let Moved { result, memory } = moved;
    match (result, memory) {
        (Ok(()), Some(memory)) => {
            for (object, memory) in objects.into_iter().zip(memory) {
                let Writing { kept, reservation, slot } = object;
                let bytes = reservation.bytes();
                reservation.commit_with(kept);
                slot.finish(StoreOutcome { result: Ok(Stored::Written { bytes }), memory: Some(memory) });
            }
            Vec::new()
        }
        // One outcome for all: each is tried by itself, so that a bad one does not take its neighbours with it.
        (Err(_), Some(memory)) if objects.len() > 1 => {
            let alone = objects.into_iter().zip(memory);
            alone.map(|(object, memory)| request(core, vec![memory], vec![object])).collect()
        }
        (result, memory) => {
            let mut memory = memory.unwrap_or_default().into_iter();
            let cause = result.err().unwrap_or(EngineError::Closed);
            for object in objects {
                let Writing { kept, reservation, slot } = object;
                let error = L2Error::new(cause.kind(), cause.to_string())
                    .with_path(core.place(&kept))
                    .with_range(0, reservation.bytes())
                    .with_key(reservation.key());
                drop(reservation);
                drop(kept);
                slot.finish(StoreOutcome { result: Err(error), memory: memory.next() });
            }
            Vec::new()
        }
    }
}
