//! How long one small object takes, from the call to the result.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use benches::Pairs;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, Loads, Objects, SMALL};
use crate::plain::Opening;
use crate::row::{Bound, Row, Work};
use crate::table::Table;

const WORK: Work = Work {
    ours: "one 16 KiB load, p50",
    against: "open, pread, close",
    unit: "µs",
    bounds: &[Bound::RatioAtMost(10.0), Bound::AtMost(60.0)],
};
/// The worker sleeps by then, and is woken: what that costs is the machine's.
const RESTED: Work = Work { ours: "one 16 KiB load after 5 ms without any, p50", bounds: &[], ..WORK };

/// How many, and how many of those after a rest.
const SINGLES: u64 = 1000;
const RESTED_SINGLES: u64 = 100;
const REST: Duration = Duration::from_millis(5);
/// From one to the next, so that all are of different ones.
const STRIDE: u64 = 7;

/// The median of a thousand loads, one after the other, and of some after a rest each.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    let rows = [(WORK, SINGLES, Duration::ZERO), (RESTED, RESTED_SINGLES, REST)];
    if !rows.iter().any(|(work, ..)| table.wants(*work)) {
        return Ok(());
    }
    let adapter = Adapter::dynamic(bed, How::default())?.holding(bed, SMALL)?;
    let raw = Opening::of(adapter.files(SMALL)?, 1)?;
    for (work, singles, rest) in rows {
        if !table.wants(work) {
            continue;
        }
        let median = |by: &dyn Loads| {
            let one = |number| {
                if rest > Duration::ZERO {
                    thread::sleep(rest);
                }
                single(bed, by, SMALL, number * STRIDE % SMALL.count)
            };
            anyhow::Ok(percentile(&mut (0..singles).map(one).collect::<Result<Vec<_>>>()?, 50))
        };
        let pairs = Pairs::measure(table.pairs(), || median(&raw), || median(&adapter))?;
        table.add(Row::of_times(work, 1e6, &pairs))?;
    }
    Ok(())
}

/// Loads one object, and compares it.
pub(crate) fn single(bed: &Bed, by: &dyn Loads, objects: Objects, number: u64) -> Result<Duration> {
    let (cost, memory) = by.load(&[number], bed.blank(0, 1, objects.bytes)?)?;
    bed.check(&[number], &memory)?;
    Ok(cost.wall)
}

/// What so many in a hundred are at most; nothing of none.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_smallest_that_enough_are_not_above() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        assert_eq!(percentile(&mut times, 50), Duration::from_micros(100));
        assert_eq!(percentile(&mut times, 99), Duration::from_micros(198));
        assert_eq!(percentile(&mut [Duration::from_micros(7)], 99), Duration::from_micros(7));
        assert_eq!(percentile(&mut [], 99), Duration::ZERO);
    }
}
