//! Lookups of keys that are there, on one thread.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, SMALL};
use crate::latency::percentile;
use crate::row::{Bound, Row, Work};
use crate::table::Table;

/// Keys of a lookup.
const KEYS: u64 = 64;
/// Lookups for one number.
const LOOKUPS: usize = 5000;

const RATE: Work = Work {
    ours: "lookup of 64 present keys, with its unlock",
    against: "",
    unit: "million keys/s",
    bounds: &[Bound::AtLeast(2.0)],
};
const P99: Work =
    Work {
        ours: "lookup of 64 present keys, p99", against: "", unit: "µs", bounds: &[Bound::AtMost(100.0)]
    };

/// The rate, and how long a lookup takes.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    if !(table.wants(RATE) || table.wants(P99)) {
        return Ok(());
    }
    let adapter = Adapter::dynamic(bed, How::default())?.holding(bed, SMALL)?;
    let (mut rates, mut p99s) = (Vec::new(), Vec::new());
    for round in 0..=table.pairs() {
        let (rate, p99) = round_of(&adapter)?;
        // Of the first nothing is warm.
        if round > 0 {
            rates.push((rate, None));
            p99s.push((p99, None));
        }
    }
    for (work, pairs) in [(RATE, rates), (P99, p99s)] {
        if table.wants(work) {
            table.add(Row { work, pairs, raw_by: String::new() })?;
        }
    }
    Ok(())
}

/// Million keys in a second, and the p99 in µs.
fn round_of(adapter: &Adapter) -> Result<(f64, f64)> {
    let (mut both, mut times) = (Duration::ZERO, Vec::with_capacity(LOOKUPS));
    for first in (0..SMALL.count - KEYS).cycle().step_by(7).take(LOOKUPS) {
        let numbers: Vec<u64> = (first..first + KEYS).collect();
        let looked = look_up(adapter, &numbers)?;
        times.push(looked.0);
        both += looked.0 + looked.1;
    }
    let keys = LOOKUPS as f64 * KEYS as f64;
    Ok((keys / both.as_secs_f64() / 1e6, percentile(&mut times, 99).as_secs_f64() * 1e6))
}

/// Looks objects up, all of which must be there, and gives the pins back. How long each took.
pub(crate) fn look_up(adapter: &Adapter, numbers: &[u64]) -> Result<(Duration, Duration)> {
    let keys = adapter.keys(numbers)?;
    let begun = Instant::now();
    let mut task = adapter.get().submit_lookup_and_lock(keys);
    let report = task.try_take().context("a hit is answered at once")?;
    let looked_up = begun.elapsed();
    ensure!(report.prefix_hits() == numbers.len(), "a key is missing");
    let begun = Instant::now();
    adapter.get().unlock_task(task.id(), &report.keys);
    Ok((looked_up, begun.elapsed()))
}
