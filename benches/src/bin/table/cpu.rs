//! What a load costs in time of the processor, in all threads and the kernel.

use anyhow::Result;
use benches::Pairs;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, Loads, MIDDLE};
use crate::loads::threads;
use crate::plain::Opening;
use crate::row::{Bound, Row, Work};
use crate::table::Table;

const WORK: Work = Work {
    ours: "CPU time of dynamic loads, 16 × 1 MiB, 1 worker",
    against: "the pread loop, one thread",
    unit: "ms/GiB",
    bounds: &[Bound::RatioAtMost(1.15)],
};
/// No bound: two threads at once each take longer to copy, for they share the way to memory.
const USUAL: Work = Work {
    ours: "CPU time of dynamic loads, 16 × 1 MiB, as many workers as usual",
    against: "the pread loop, as many threads",
    bounds: &[],
    ..WORK
};

/// For a GiB.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    for (work, workers) in [(WORK, 1), (USUAL, threads()?)] {
        if !table.wants(work) {
            continue;
        }
        let how = How { workers: Some(workers), ..How::default() };
        let adapter = Adapter::dynamic(bed, how)?.holding(bed, MIDDLE)?;
        let raw = Opening::of(adapter.files(MIDDLE)?, workers)?;
        let cost = |by: &dyn Loads| anyhow::Ok(bed.load(MIDDLE, by)?.cpu);
        let pairs = Pairs::measure(table.pairs(), || cost(&raw), || cost(&adapter))?;
        let gib = MIDDLE.total() as f64 / (1u64 << 30) as f64;
        table.add(Row::of_times(work, 1e3 / gib, &pairs))?;
    }
    Ok(())
}
