//! Looking up: the index on the caller's thread, the disk on a worker.

use std::sync::Arc;

use l2_core::{Breaker, ErrorKind, ItemSlot, L2Error, Looked, LookupReport, ObjectKey, Task, TaskId};
use l2_engine::{Class, Engine};
use l2_index::Pin;

use crate::core::{Core, Recovered};

/// Keys that a worker looks for on the disk in one job: 256 take about 0.4 ms.
const KEYS_PER_JOB: usize = 256;

pub(crate) fn submit(core: &Arc<Core>, engine: &Engine, keys: Vec<ObjectKey>) -> Task<LookupReport> {
    let mut owner = 0;
    // `None`: only the disk knows.
    let ask = |task: TaskId, keys: &[ObjectKey]| {
        owner = task;
        if core.desk.is_closed() {
            return keys.iter().map(|_| Some(Looked::Miss(L2Error::closed()))).collect();
        }
        if core.desk.breakers().loads.is_open() {
            return keys.iter().map(|_| Some(Looked::Miss(Breaker::error()))).collect();
        }
        core.index.pin_batch(keys, task).into_iter().map(known).collect()
    };
    let (task, unknown) = core.desk.lookup_task(keys, ask);
    let mut unknown = unknown.into_iter().peekable();
    while unknown.peek().is_some() {
        let some: Vec<_> = unknown.by_ref().take(KEYS_PER_JOB).collect();
        let core = Arc::clone(core);
        engine.submit(
            Class::Read,
            Box::new(move || {
                ask_disk(&core, owner, some);
                Vec::new()
            }),
        );
    }
    task
}

fn known(answer: Pin) -> Option<Looked> {
    match answer {
        Pin::Hit { bytes } => Some(Looked::Hit { bytes }),
        // Another process may have stored anew what was not to be served.
        Pin::Absent | Pin::Unwanted => None,
        // A miss whatever lies on the disk: it is on its way in or out.
        Pin::Storing | Pin::Deleting => Some(Looked::Miss(L2Error::not_found())),
        Pin::Overflow => Some(Looked::Miss(L2Error::new(ErrorKind::Busy, "there are too many pins"))),
    }
}

fn ask_disk(core: &Core, owner: TaskId, keys: Vec<(ItemSlot<Looked>, ObjectKey)>) {
    // A directory that is gone holds nothing: every answer is a miss.
    core.refresh(false);
    let stamps = core.index.stamps(keys.len());
    for ((slot, key), used) in keys.into_iter().zip(stamps) {
        slot.finish(match core.recover(&key, &core.path(&key), used, Some(owner)) {
            Recovered::Here { bytes } => Looked::Hit { bytes },
            Recovered::Absent => Looked::Miss(L2Error::not_found()),
            Recovered::Failed(error) => Looked::Miss(error.with_key(&key)),
        });
    }
}
