//! A load goes to the adapter that has the key's pin, or to the first; what fails there is tried on the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use l2_core::memory::Lease;
use l2_core::{
    Batch, ItemSlot, L2Error, LoadItem, LoadOutcome, LoadReport, ObjectKey, Outcome, Task, TaskKind,
};

use crate::several::Shared;
use crate::shortfall::Asked;

pub(crate) fn submit(shared: &Arc<Shared>, batch: Vec<LoadItem>) -> Task<LoadReport> {
    let (task, ending) = shared.tasks.begin(shared.tasks.next_id(), TaskKind::Load, None);
    let pinned = shared.pins.members(batch.iter().map(|item| &item.key));
    let slots = Batch::collect(batch.len(), move |outcomes| ending.end(LoadReport { outcomes }));
    let wants = slots.into_iter().zip(batch).zip(pinned).map(|((slot, item), pinned)| {
        let LoadItem { key, memory } = item;
        let others = (0..shared.members.len()).rev().filter(|member| Some(*member) != pinned);
        let want = Want { slot, key, members: others.chain(pinned).collect(), error: None };
        (want, memory)
    });
    load(shared, wants.collect());
    task
}

/// An item that is not loaded yet.
struct Want {
    slot: ItemSlot<LoadOutcome>,
    key: ObjectKey,
    /// Those that were not tried yet; the next is the last.
    members: Vec<usize>,
    /// What the others said.
    error: Option<L2Error>,
}

impl Want {
    /// Hears how it ended. What is to be tried elsewhere comes back.
    fn hear(mut self, outcome: LoadOutcome) -> Option<(Self, Lease)> {
        let LoadOutcome { result, memory } = outcome;
        let error = match result {
            Ok(bytes) => {
                self.slot.finish(LoadOutcome { result: Ok(bytes), memory });
                return None;
            }
            // That it is not there says less than why it could not be read.
            Err(error) => self.error.take().filter(|before| !before.is_miss()).unwrap_or(error),
        };
        match memory {
            Some(memory) if !self.members.is_empty() => {
                self.error = Some(error);
                Some((self, memory))
            }
            // Its memory may still be written to: it is lost for this load.
            memory => {
                self.slot.finish(LoadOutcome { result: Err(error), memory });
                None
            }
        }
    }
}

/// Loads each from its next adapter.
fn load(shared: &Arc<Shared>, wants: Vec<(Want, Lease)>) {
    let mut by_member: BTreeMap<usize, (Vec<Want>, Vec<LoadItem>)> = BTreeMap::new();
    for (mut want, memory) in wants {
        let Some(member) = want.members.pop() else { continue };
        let (wants, items) = by_member.entry(member).or_default();
        items.push(LoadItem { key: want.key.clone(), memory });
        wants.push(want);
    }
    for (member, (wants, items)) in by_member {
        // There is always one: dropped, the items would be reported as lost.
        let Some(adapter) = shared.adapter(member) else { continue };
        let shared = Arc::clone(shared);
        adapter.submit_load(items).when_ended(move |report| {
            shared.note(member, Asked::Load, report.failures().map(|(_, error)| error));
            let outcomes = report.outcomes.into_iter().chain(std::iter::repeat_with(LoadOutcome::lost));
            let again = wants.into_iter().zip(outcomes).filter_map(|(want, outcome)| want.hear(outcome));
            let again: Vec<_> = again.collect();
            if !again.is_empty() {
                load(&shared, again);
            }
        });
    }
}
