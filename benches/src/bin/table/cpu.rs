//! What a load costs in time of the processor, in all threads and the kernel.

use anyhow::Result;
use benches::Pairs;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, Loads, MIDDLE};
use crate::plain::Opening;
use crate::row::{Bound, Row, Work};
use crate::table::Table;

const WORK: Work = Work {
    ours: "CPU time of dynamic loads, 16 × 1 MiB, 1 worker",
    against: "the pread loop, one thread",
    unit: "ms/GiB",
    bounds: &[Bound::RatioAtMost(1.15)],
};

/// For a GiB, by one worker: two threads at once each take longer to copy, for they share the way to memory.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    if !table.wants(WORK) {
        return Ok(());
    }
    let adapter = Adapter::dynamic(bed, How { workers: Some(1), ..How::default() })?.holding(bed, MIDDLE)?;
    let raw = Opening::of(adapter.files(MIDDLE)?, 1)?;
    let cost = |by: &dyn Loads| Ok::<_, anyhow::Error>(bed.load(MIDDLE, by)?.cpu);
    let pairs = Pairs::measure(table.pairs(), || cost(&raw), || cost(&adapter))?;
    let gib = MIDDLE.total() as f64 / (1u64 << 30) as f64;
    table.add(Row::of_times(WORK, 1e3 / gib, &pairs))
}
