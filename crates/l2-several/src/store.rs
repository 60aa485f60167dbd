//! A store goes to all adapters, and is done where one has the object.

use std::sync::Arc;

use l2_core::{
    Batch, ErrorKind, L2Error, Outcome, StoreItem, StoreOutcome, StoreReport, Stored, Task, TaskKind,
};

use crate::several::Shared;
use crate::shortfall::Asked;

pub(crate) fn submit(shared: &Arc<Shared>, batch: Vec<StoreItem>) -> Task<StoreReport> {
    let (task, ending) = shared.tasks.begin(shared.tasks.next_id(), TaskKind::Store, None);
    let again = |item: &StoreItem| StoreItem { key: item.key.clone(), memory: item.memory.clone() };
    let items = batch.len();
    let reports = Batch::collect(shared.members.len(), move |reports: Vec<Answered>| {
        ending.end(StoreReport { outcomes: by_item(items, reports) });
    });
    let mut batch = Some(batch);
    let last = shared.members.len().saturating_sub(1);
    for (at, (member, slot)) in shared.members.iter().zip(reports).enumerate() {
        let batch = match at == last {
            true => batch.take().unwrap_or_default(),
            false => batch.iter().flatten().map(again).collect(),
        };
        let ended = member.adapter().submit_store(batch);
        let shared = Arc::clone(shared);
        ended.when_ended(move |report| {
            shared.note(at, Asked::Store, report.failures().map(|(_, error)| error));
            slot.finish(Answered(report.outcomes));
        });
    }
    task
}

/// What one adapter says of each item; nothing when it is lost.
struct Answered(Vec<StoreOutcome>);

impl Outcome for Answered {
    fn lost() -> Self {
        Self(Vec::new())
    }
}

fn by_item(items: usize, reports: Vec<Answered>) -> Vec<StoreOutcome> {
    let mut each: Vec<_> = reports.into_iter().map(|Answered(outcomes)| outcomes.into_iter()).collect();
    (0..items)
        .map(|_| {
            let outcomes = each.iter_mut().map(|outcomes| outcomes.next().unwrap_or_else(StoreOutcome::lost));
            outcomes.reduce(joined).unwrap_or_else(StoreOutcome::lost)
        })
        .collect()
}

/// The outcome of both. The memory is free when both have given it back.
fn joined(one: StoreOutcome, other: StoreOutcome) -> StoreOutcome {
    StoreOutcome { result: better(one.result, other.result), memory: one.memory.and(other.memory) }
}

/// What of both says that more was done.
fn better(one: Result<Stored, L2Error>, other: Result<Stored, L2Error>) -> Result<Stored, L2Error> {
    match (one, other) {
        (Ok(Stored::Written { bytes }), _) | (_, Ok(Stored::Written { bytes })) => {
            Ok(Stored::Written { bytes })
        }
        (Ok(Stored::AlreadyPresent), _) | (_, Ok(Stored::AlreadyPresent)) => Ok(Stored::AlreadyPresent),
        // That there is no room says less than what went wrong.
        (Err(first), Err(second)) if first.kind() == ErrorKind::Full => Err(second),
        (Err(first), Err(_)) => Err(first),
    }
}
