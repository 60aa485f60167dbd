//! Storing: take the key and the pages, write, make it visible.
//!
//! Key and pages are taken on the caller's thread (`take.rs`), for that needs no I/O. A worker has NIXL write them; what
//! failed gives its pages back, at the latest when NIXL has let go of them. A store for which only those that are under way
//! could make room waits in the backlog, and [`resume`] tries it again.

use std::sync::Arc;

use l2_core::{
    Breaker, Deferred, ItemSlot, L2Error, ObjectKey, Stamp, StoreItem, StoreOutcome, StoreReport, Stored,
    Task, Turn, UnderWay,
};
use l2_engine::{Class, Engine, EngineError, Keep, Move, Moved, Piece, Request};
use l2_index::Reservation;
use l2_memory::SharedLease;

use crate::core::Core;
use crate::kept::Kept;
use crate::pool::Taken;
use crate::take::{NotTaken, take};

/// An object that is to be stored.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
#[derive(Debug)]
pub(crate) struct Write {
    key: ObjectKey,
    memory: SharedLease,
    /// When.
    used: Stamp,
    slot: ItemSlot<StoreOutcome>,
}

/// One that has a place.
struct Placed {
    memory: SharedLease,
    taken: Taken,
    reservation: Reservation<Arc<Kept>>,
    /// Ends after the reservation: then the object can be evicted, or its pages are free.
    under_way: UnderWay<Write>,
    slot: ItemSlot<StoreOutcome>,
}

/// One on its way to its place.
struct Writing {
    kept: Arc<Kept>,
    reservation: Reservation<Arc<Kept>>,
    under_way: UnderWay<Write>,
    slot: ItemSlot<StoreOutcome>,
}

pub(crate) fn submit(core: &Arc<Core>, engine: &Engine, batch: Vec<StoreItem>) -> Task<StoreReport> {
    let occupied = {
        let core = Arc::clone(core);
        move |bytes| core.slots.occupied(bytes)
    };
    let (task, items) = core.desk.store_task(batch, occupied);
    let stamps = core.index.stamps(items.len());
    let mut placed = Vec::new();
    for ((slot, StoreItem { key, memory }), used) in items.into_iter().zip(stamps) {
        place(core, Write { key, memory, used, slot }, Turn::Last, &mut placed);
    }
    for group in groups(core, placed) {
        let core = Arc::clone(core);
        engine.submit(Class::Store, Box::new(move || vec![run(&core, group)]));
    }
    task
}

fn groups(core: &Core, placed: Vec<Placed>) -> Vec<Vec<Placed>> {
    core.grouping.cut(placed, |object| (object.memory.region().id(), object.memory.len()))
}

/// Tries the stores that wait, as far as there is room.
fn resume(core: &Arc<Core>) -> Vec<Move> {
    let mut placed = Vec::new();
    while let Some(write) = core.backlog.take()
        && place(core, write, Turn::First, &mut placed)
    {}
    groups(core, placed).into_iter().map(|group| run(core, group)).collect()
}

/// Takes key and pages for an object, or answers, or has it wait for room; only then it is `false`.
fn place(core: &Core, mut write: Write, turn: Turn, placed: &mut Vec<Placed>) -> bool {
    loop {
        let since = core.backlog.now();
        let not = match try_to_take(core, &write) {
            Ok((reservation, taken)) => {
                let Write { memory, slot, .. } = write;
                placed.push(Placed { memory, taken, reservation, under_way: core.backlog.begin(), slot });
                return true;
            }
            Err(not) => not,
        };
        if not.missing().is_some() && core.desk.has_room_maker() {
            write = match core.backlog.defer(write, since, turn) {
                Deferred::Waits => return false,
                Deferred::TryAgain(again) => again,
                Deferred::Hopeless(hopeless) => {
                    let closed = || Err(L2Error::closed());
                    let answer = if core.desk.is_closed() { closed() } else { not.answer(core) };
                    hopeless.end(answer);
                    return true;
                }
            };
        } else {
            write.end(not.answer(core));
            return true;
        }
    }
}

impl Write {
    fn end(self, answer: Result<Stored, L2Error>) {
        let Self { key, memory, slot, .. } = self;
        let result = answer.map_err(|error| error.with_key(&key));
        slot.finish(StoreOutcome { result, memory: Some(memory) });
    }
}

fn try_to_take(core: &Core, write: &Write) -> Result<(Reservation<Arc<Kept>>, Taken), NotTaken> {
    let (memory, bytes) = (&write.memory, write.memory.len() as u64);
    if core.desk.is_closed() {
        return Err(NotTaken::Answer(Err(L2Error::closed())));
    }
    if core.desk.breakers().stores.is_open() {
        return Err(NotTaken::Answer(Err(Breaker::error())));
    }
    core.medium.check(memory.as_ptr().addr(), memory.len()).map_err(|error| NotTaken::Answer(Err(error)))?;
    if core.compares_all && memory.as_slice().is_none() {
        return Err(NotTaken::Answer(Err(L2Error::unreadable_memory())));
    }
    // Room is made here, too: it takes no I/O.
    core.desk.with_room(write.key.scope(), || take(core, &write.key, bytes, write.used), NotTaken::missing)
}

/// The storage has stopped to answer: what waits would wait for it, too.
fn give_up(core: &Core, cause: &EngineError) {
    for write in core.backlog.take_all() {
        let what = format!("not tried, for it waited for room behind stores that failed: {cause}");
        write.end(Err(L2Error::new(cause.kind(), what)));
    }
}

/// One request that writes a group.
fn run(core: &Arc<Core>, group: Vec<Placed>) -> Move {
    let check = core.medium.is_to_be_checked();
    let placed = group.into_iter().map(|object| {
        let Placed { memory, taken, reservation, under_way, slot } = object;
        let bytes = reservation.bytes();
        let padded = core.padding.add(reservation.key(), core.slots.occupied(bytes) - bytes);
        let kept = Arc::new(Kept::new(taken, padded, &memory, check));
        (memory, Writing { kept, reservation, under_way, slot })
    });
    let (memory, objects) = placed.unzip();
    request(core, memory, objects)
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
                let Writing { kept, reservation, under_way, slot } = object;
                let bytes = reservation.bytes();
                reservation.commit_with(kept);
                drop(under_way);
                slot.finish(StoreOutcome { result: Ok(Stored::Written { bytes }), memory: Some(memory) });
            }
            resume(core)
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
                let Writing { kept, reservation, under_way, slot } = object;
                let error = L2Error::new(cause.kind(), cause.to_string())
                    .with_path(core.place(&kept))
                    .with_range(0, reservation.bytes())
                    .with_key(reservation.key());
                drop(reservation);
                drop(kept);
                drop(under_way);
                slot.finish(StoreOutcome { result: Err(error), memory: memory.next() });
            }
            if cause.is_no_answer() {
                give_up(core, &cause);
            }
            resume(core)
        }
    }
}
