//! Loading: read an object's pages into the caller's memory, and drop what turns out to be wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use l2_core::{
    Breaker, Damage, ErrorKind, ItemSlot, L2Error, LoadItem, LoadOutcome, LoadReport, ObjectKey, Stamp, Task,
};
use l2_engine::{Class, Engine, EngineError, Move, Moved, Piece, Question, Request};
use l2_index::{Read, Reader};
use l2_memory::Lease;

use crate::core::Core;
use crate::kept::Kept;
use crate::medium::Medium;

/// An object that is to be read.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
struct Reading {
    reader: Reader<Arc<Kept>>,
    /// This is the second try.
    again: bool,
    slot: ItemSlot<LoadOutcome>,
}

pub(crate) fn submit(core: &Arc<Core>, engine: &Engine, batch: Vec<LoadItem>) -> Task<LoadReport> {
    let (task, items) = core.desk.load_task(batch);
    let stamps = core.index.stamps(items.len());
    let items = items.into_iter().zip(stamps).collect();
    for group in core.grouping.cut(items, |((_, item), _)| (item.memory.region().id(), item.memory.len())) {
        // A worker begins with the first group while the next is claimed.
        let wanted = group.into_iter().filter_map(|((slot, item), used)| claim(core, slot, item, used));
        let (memory, objects): (Vec<_>, Vec<_>) = wanted.unzip();
        if !objects.is_empty() {
            let core = Arc::clone(core);
            engine.submit(Class::Read, Box::new(move || vec![request(&core, memory, objects)]));
        }
    }
    task
}

fn fail(slot: ItemSlot<LoadOutcome>, memory: Option<Lease>, key: &ObjectKey, error: L2Error) {
    slot.finish(LoadOutcome { result: Err(error.with_key(key)), memory });
}

/// Protects the object for this load, or answers at once.
fn claim(core: &Core, slot: ItemSlot<LoadOutcome>, item: LoadItem, used: Stamp) -> Option<(Lease, Reading)> {
    let LoadItem { key, memory } = item;
    let error = if core.desk.is_closed() {
        L2Error::closed()
    } else if core.desk.breakers().loads.is_open() {
        Breaker::error()
    } else if let Err(error) = core.medium.check(memory.as_ptr().addr(), memory.len()) {
        error
    } else if core.compares_all && memory.as_slice().is_none() {
        L2Error::unreadable_memory()
    } else {
        match core.index.read(&key, used) {
            Read::Started(reader) if reader.bytes() == memory.len() as u64 => {
                return Some((memory, Reading { reader, again: false, slot }));
            }
            Read::Started(reader) => L2Error::length_mismatch(reader.bytes(), memory.len() as u64),
            Read::Absent | Read::Storing | Read::Deleting => L2Error::not_found(),
            Read::Overflow => L2Error::new(ErrorKind::Busy, "the object is being read too often at once"),
        }
    };
    fail(slot, Some(memory), &key, error);
    None
}

fn request(core: &Arc<Core>, memory: Vec<Lease>, objects: Vec<Reading>) -> Move {
    let piece = |(memory, object): (Lease, &Reading)| {
        let storage = core.storage(object.reader.value(), object.reader.bytes());
        Piece { memory, storage, offset: 0 }
    };
    let pieces = memory.into_iter().zip(&objects).map(piece).collect();
    let core = Arc::clone(core);
    let begun = Instant::now();
    Move::Load(Request::new(pieces, move |moved| loaded(&core, objects, moved, begun)))
}

/// What happens when a request has ended.
fn loaded(core: &Arc<Core>, objects: Vec<Reading>, moved: Moved<Lease>, begun: Instant) -> Vec<Move> {
    let Moved { result, memory } = moved;
    match (result, memory) {
        (Ok(()), Some(memory)) => {
            objects.into_iter().zip(memory).for_each(|(object, memory)| finish(core, object, memory));
            Vec::new()
        }
        // One outcome for all: each is tried by itself, so that a bad one does not take its neighbours with it.
        (Err(_), Some(memory)) if objects.len() > 1 => {
            let alone = objects.into_iter().zip(memory);
            alone.map(|(object, memory)| request(core, vec![memory], vec![object])).collect()
        }
        (result, memory) => {
            let cause = Arc::new(result.err().unwrap_or(EngineError::Closed));
            let mut memory = memory.unwrap_or_default().into_iter();
            let failed = objects.into_iter().map(|object| Failed {
                object,
                memory: memory.next(),
                cause: Arc::clone(&cause),
            });
            failed.filter_map(|failed| whose_fault(core, failed, begun)).collect()
        }
    }
}

/// One object was read.
fn finish(core: &Core, object: Reading, memory: Lease) {
    let Reading { reader, slot, .. } = object;
    let (key, bytes) = (reader.key().clone(), reader.bytes());
    if reader.value().is_right(&memory) {
        drop(reader);
        return slot.finish(LoadOutcome { result: Ok(bytes), memory: Some(memory) });
    }
    let place = core.place(reader.value());
    heal(core, reader, Damage::Checksum);
    let what = "what was read is not what was stored; it was dropped";
    fail(slot, Some(memory), &key, L2Error::new(ErrorKind::Corrupt, what).with_path(place));
}

/// An object that could not be read.
struct Failed {
    object: Reading,
    memory: Option<Lease>,
    cause: Arc<EngineError>,
}

impl Failed {
    /// The object is as good as before: another try may do.
    fn keep(self, core: &Core) {
        let Self { object: Reading { reader, slot, .. }, memory, cause } = self;
        let (key, bytes, place) = (reader.key().clone(), reader.bytes(), core.place(reader.value()));
        drop(reader);
        let error = L2Error::new(cause.kind(), cause.to_string()).with_path(place).with_range(0, bytes);
        fail(slot, memory, &key, error);
    }

    /// Reads it once more.
    fn try_again(self, core: &Arc<Core>) -> Vec<Move> {
        match self {
            Self { object, memory: Some(memory), .. } => {
                vec![request(core, vec![memory], vec![Reading { again: true, ..object }])]
            }
            // NIXL has the memory.
            other => {
                other.keep(core);
                Vec::new()
            }
        }
    }

    /// The object is lost.
    fn drop_object(self, core: &Core) {
        let Self { object: Reading { reader, slot, .. }, memory, cause } = self;
        let (key, bytes, place) = (reader.key().clone(), reader.bytes(), core.place(reader.value()));
        heal(core, reader, Damage::Unreadable);
        let error = L2Error::new(ErrorKind::Corrupt, format!("{cause}; the object was dropped"));
        fail(slot, memory, &key, error.with_path(place).with_range(0, bytes));
    }
}

/// Decides whether the object is to blame, and answers. For an object store that takes a question.
fn whose_fault(core: &Arc<Core>, failed: Failed, begun: Instant) -> Option<Move> {
    /// A server that answers does so sooner; one that does not would answer no question either.
    const ANSWERS: Duration = Duration::from_secs(2);
    let by_transfer =
        matches!(&*failed.cause, EngineError::Nixl(error) if error.kind() == nixl_safe::ErrorKind::Failed);
    let kept = failed.object.reader.value();
    if !by_transfer {
        failed.keep(core);
        return None;
    }
    let Medium::Objects(objects) = &core.medium else {
        if core.is_readable(kept) {
            failed.keep(core)
        } else {
            failed.drop_object(core)
        }
        return None;
    };
    if begun.elapsed() > ANSWERS {
        failed.keep(core);
        return None;
    }
    let names = objects.names_of(&kept.taken).collect();
    let core = Arc::clone(core);
    Some(Move::Ask(Question::new(names, move |answer| {
        match answer {
            Ok(found) if found.contains(&false) => failed.drop_object(&core),
            // The connection may have been cut, or the server restarted.
            Ok(_) if !failed.object.again => return failed.try_again(&core),
            // A server that has the object, and will not give it, has made something else of it.
            Ok(_) => failed.drop_object(&core),
            // One that does not answer this either says nothing of the object.
            Err(_) => failed.keep(&core),
        }
        Vec::new()
    })))
}

/// Drops an object whose bytes are lost.
fn heal(core: &Core, reader: Reader<Arc<Kept>>, damage: Damage) {
    core.heals.count(damage);
    tracing::warn!(key = %reader.key(), %damage, "dropped a damaged object");
    // Others may be reading it: the last of them to find it wrong, or the next store or delete, frees it.
    if let Some(deletion) = reader.heal() {
        core.free(deletion);
    }
}
