//! Looking up: the index on the caller's thread, the disk on a worker.

use std::sync::Arc;

use l2_core::{Batch, ErrorKind, ItemSlot, L2Error, Looked, LookupReport, ObjectKey, Task};
use l2_engine::{Class, Engine};
use l2_index::Pin;

use crate::core::{Core, Ending, Kind, Recovered};

/// Gives the pins of a lookup back whose result nobody took.
pub(crate) type Abandon = Arc<dyn Fn(LookupReport) + Send + Sync>;

/// Keys that a worker looks for on the disk in one job: 256 take about 0.4 ms.
const KEYS_PER_JOB: usize = 256;

pub(crate) fn submit(
    core: &Arc<Core>,
    engine: &Engine,
    abandon: &Abandon,
    keys: Vec<ObjectKey>,
) -> Task<LookupReport> {
    let (task, ending) = core.task(Kind::Lookup, Some(Arc::clone(abandon)));
    let closed = core.is_closed();
    // `None`: only the disk knows.
    let known = |key| if closed { Some(Looked::Miss(L2Error::closed())) } else { ask_index(core, key) };
    let answers: Vec<Option<Looked>> = keys.iter().map(known).collect();
    let unknown: Vec<ObjectKey> = keys
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_none())
        .map(|(key, _)| key.clone())
        .collect();
    if unknown.is_empty() {
        end(core, ending, keys, answers.into_iter().flatten().collect());
        return task;
    }
    let finish = {
        let core = Arc::clone(core);
        move |found: Vec<Looked>| {
            let mut found = found.into_iter();
            let answers = answers.into_iter().map(|answer| {
                answer.or_else(|| found.next()).unwrap_or_else(|| Looked::Miss(L2Error::not_found()))
            });
            let answers = answers.collect();
            end(&core, ending, keys, answers);
        }
    };
    let mut asked = Batch::collect(unknown.len(), finish).into_iter().zip(unknown).peekable();
    while asked.peek().is_some() {
        let some: Vec<_> = asked.by_ref().take(KEYS_PER_JOB).collect();
        let core = Arc::clone(core);
        engine.submit(
            Class::Read,
            Box::new(move || {
                ask_disk(&core, some);
                Vec::new()
            }),
        );
    }
    task
}

fn ask_index(core: &Core, key: &ObjectKey) -> Option<Looked> {
    match core.index.pin(key) {
        Pin::Hit { bytes } => Some(Looked::Hit { bytes }),
        Pin::Absent => None,
        // A miss whatever lies on the disk: it is on its way in or out.
        Pin::Storing | Pin::Deleting => Some(Looked::Miss(L2Error::not_found())),
        Pin::Overflow => Some(Looked::Miss(L2Error::new(ErrorKind::Busy, "the object has too many pins"))),
    }
}

fn ask_disk(core: &Core, keys: Vec<(ItemSlot<Looked>, ObjectKey)>) {
    // A directory that is gone holds nothing: every answer is a miss.
    core.refresh(false);
    for (slot, key) in keys {
        slot.finish(match core.recover(&key, &core.path(&key), 1) {
            Recovered::Here { bytes } => Looked::Hit { bytes },
            Recovered::Absent => Looked::Miss(L2Error::not_found()),
            Recovered::Failed(error) => Looked::Miss(error.with_key(&key)),
        });
    }
}

fn end(core: &Core, ending: Ending<LookupReport>, keys: Vec<ObjectKey>, answers: Vec<Looked>) {
    let report = LookupReport { keys, answers };
    if !core.listeners.is_empty() {
        let hits: Vec<ObjectKey> = report.hits().map(|(key, _)| key.clone()).collect();
        if !hits.is_empty() {
            core.listeners.tell(|listener| listener.on_accessed(&hits));
        }
    }
    ending.end(report);
}
