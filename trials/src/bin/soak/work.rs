//! What the threads do.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use l2_core::testing::Host;
use l2_core::testing::fixtures::Seeded;
use nixl_l2::{Deleted, Stored};
use trials::{Universe, length_of};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    stored: AtomicU64,
    rejected: AtomicU64,
    loaded: AtomicU64,
    missed: AtomicU64,
    deleted: AtomicU64,
}

impl Tally {
    fn add(count: &AtomicU64, by: usize) {
        count.fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Counts what has ended, so that somebody can tell whether anything goes on.
    pub(crate) fn ended(&self) -> impl Fn() -> u64 + '_ {
        || {
            [&self.stored, &self.rejected, &self.loaded, &self.missed]
                .map(|count| count.load(Ordering::Relaxed))
                .iter()
                .sum()
        }
    }

    /// Fails if the trial tried nothing of one kind.
    pub(crate) fn must_have_tried_everything(&self) -> Result<()> {
        for (what, count) in [
            ("stored", &self.stored),
            ("loaded", &self.loaded),
            ("missed", &self.missed),
            ("deleted", &self.deleted),
        ] {
            ensure!(count.load(Ordering::Relaxed) > 0, "nothing was ever {what}");
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stored, rejected, loaded, missed, deleted] =
            [&self.stored, &self.rejected, &self.loaded, &self.missed, &self.deleted]
                .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "stored {stored}, rejected {rejected}, loaded {loaded} (each byte compared), missed {missed}, deleted {deleted}"
        )
    }
}

/// One call, and what belongs to it.
///
/// # Panics
/// When a byte is wrong, or something does not end.
pub(crate) fn step(host: &Host, universe: Universe, random: &mut Seeded, tally: &Tally) {
    let numbers = universe.some(random);
    let keys: Vec<_> = numbers.iter().map(|number| universe.key(*number)).collect();
    match random.below(10) {
        0..=3 => {
            let items = numbers.iter().zip(&keys).map(|(number, key)| host.item_of(key, length_of(*number)));
            let report = host.store_items(items.collect());
            let written =
                report.outcomes.iter().filter(|outcome| matches!(outcome.result, Ok(Stored::Written { .. })));
            Tally::add(&tally.stored, written.count());
            Tally::add(&tally.rejected, report.failures().count());
        }
        4..=7 => {
            let lookup = host.adapter.submit_lookup_and_lock(keys);
            let task = lookup.id();
            // Some of those who look up do not wait for the answer.
            if random.below(20) == 0 {
                return drop(lookup);
            }
            let hits: Vec<_> = host.wait(lookup).hits().map(|(key, _)| key.clone()).collect();
            let loaded = universe.load(host, &numbers);
            Tally::add(&tally.loaded, loaded);
            Tally::add(&tally.missed, numbers.len() - loaded);
            host.adapter.unlock_task(task, &hits);
        }
        8 => drop(host.adapter.status()),
        _ => {
            let report = host.delete(&keys);
            let freed = report.answers.iter().filter(|answer| matches!(answer, Deleted::Freed { .. }));
            Tally::add(&tally.deleted, freed.count());
        }
    }
}
