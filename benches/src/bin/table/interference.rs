//! Lookups and loads while a large store goes on, against the same on an idle adapter.

use std::time::Duration;

use anyhow::{Result, bail};
use benches::Pairs;

use crate::adapters::{Adapter, How, stored, wait};
use crate::bed::{Bed, LARGE, SMALL, Stores as _};
use crate::latency::{percentile, single};
use crate::lookup::look_up;
use crate::row::{Bound, Row, Work};
use crate::table::Table;

/// Objects of the store: 1 GiB.
const STORED: u64 = 32;
/// Their numbers begin here.
const FIRST: u64 = 1 << 20;
/// Loads on the idle adapter, and at least so many beside the stores.
const SAMPLES: usize = 1000;
/// No more stores than this are made for as many.
const STORES: usize = 40;

const fn work(ours: &'static str) -> Work {
    Work { ours, against: "on an idle adapter", unit: "µs", bounds: &[Bound::RatioAtMost(3.0)] }
}
const LOOKUP: Work = work("lookup of 64 keys while 1 GiB is stored, p99");
const LOAD: Work = work("one 16 KiB load while 1 GiB is stored, p99");

/// One of what is measured, and how long it took.
type Sample<'a> = &'a dyn Fn(u64) -> Result<Duration>;

/// Both.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    if !(table.wants(LOOKUP) || table.wants(LOAD)) {
        return Ok(());
    }
    let adapter = Adapter::dynamic(bed, How::default())?.holding(bed, SMALL)?;
    let look_up = |number: u64| {
        let first = number % (SMALL.count - 64);
        Ok(look_up(&adapter, &(first..first + 64).collect::<Vec<_>>())?.0)
    };
    let load = |number| single(bed, &adapter, SMALL, number * 7 % SMALL.count);
    let rows: [(Work, Sample<'_>); 2] = [(LOOKUP, &look_up), (LOAD, &load)];
    for (work, sample) in rows {
        if table.wants(work) {
            let pairs =
                Pairs::measure(table.pairs(), || idle(sample), || beside_stores(bed, &adapter, sample))?;
            table.add(Row::of_times(work, 1e6, &pairs))?;
        }
    }
    Ok(())
}

fn idle(sample: Sample<'_>) -> Result<Duration> {
    let mut times = (0..SAMPLES as u64).map(sample).collect::<Result<Vec<_>>>()?;
    Ok(percentile(&mut times, 99))
}

fn beside_stores(bed: &Bed, adapter: &Adapter, sample: Sample<'_>) -> Result<Duration> {
    let numbers: Vec<u64> = (FIRST..FIRST + STORED).collect();
    let mut times = Vec::new();
    for _ in 0..STORES {
        // What is sampled has the front of L1.
        let memory = bed.filled(LARGE.bytes, &numbers, LARGE.bytes)?;
        let task = adapter.submit_store(&numbers, memory)?;
        while !task.is_done() {
            times.push(sample(times.len() as u64)?);
        }
        stored(&wait(task)?)?;
        adapter.remove(&numbers)?;
        if times.len() >= SAMPLES {
            return Ok(percentile(&mut times, 99));
        }
    }
    bail!("only {} were done beside {STORES} stores", times.len())
}
