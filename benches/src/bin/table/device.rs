//! Past the page cache: against the device itself, and what the pages of L1 are worth there.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::Pairs;
use nixl_l2::HugePages;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, LARGE, Stores};
use crate::plain::Writing;
use crate::row::{Bound, Row, Work};
use crate::stores::stored;
use crate::table::{Table, say};
use crate::uring::{Ring, Way};

const STORE: Work = Work {
    ours: "direct store, 4 × 32 MiB",
    against: "io_uring at its best depth",
    unit: "GB/s",
    bounds: &[Bound::RatioAtLeast(0.9)],
};
const LOAD: Work = Work { ours: "direct load, 4 × 32 MiB", ..STORE };
/// No bound: it tells what huge pages are worth.
const LOAD_INTO_ORDINARY: Work = Work { against: "the same, L1 in ordinary pages", bounds: &[], ..LOAD };

/// A store, a load, and the load into an L1 of other pages.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    if table.wants(STORE) | table.wants(LOAD) {
        let mut ring = Ring::new()?;
        store(bed, table, &mut ring).context(STORE.ours)?;
        load(bed, table, &mut ring).context(LOAD.ours)?;
    }
    pages(bed, table)
}

fn store(bed: &Bed, table: &mut Table, ring: &mut Ring) -> Result<()> {
    if !table.wants(STORE) {
        return Ok(());
    }
    let adapter = adapter(bed)?;
    let names = Writing::new(bed, true)?;
    let paths: Vec<PathBuf> = LARGE.all().into_iter().map(|number| names.path(number)).collect();
    let write = |ring: &mut Ring| {
        let took = ring.run(Way::Write, &paths, LARGE.bytes)?;
        names.remove(&LARGE.all())?;
        Ok(took)
    };
    ring.tune(write)?;
    let pairs = Pairs::measure(table.pairs(), || write(ring), || stored(bed, LARGE, &adapter))?;
    table.add(Row::of_speeds(STORE, LARGE.total(), &pairs).against_best(ring.to_string()))
}

fn load(bed: &Bed, table: &mut Table, ring: &mut Ring) -> Result<()> {
    if !table.wants(LOAD) {
        return Ok(());
    }
    let adapter = adapter(bed)?.holding(bed, LARGE)?;
    let files = adapter.files(LARGE)?;
    let read = |ring: &mut Ring| ring.run(Way::Read, &files, LARGE.bytes);
    ring.tune(read)?;
    ring.read_all(&files, LARGE.bytes, |number, offset, block| {
        let content = bed.content(number as u64, LARGE.bytes)?;
        let right = content.get(usize::try_from(offset)?..).is_some_and(|rest| rest.starts_with(block));
        ensure!(right, "object {number} was read with wrong bytes at {offset}");
        Ok(())
    })?;
    let pairs = Pairs::measure(table.pairs(), || read(ring), || loaded(bed, &adapter))?;
    table.add(Row::of_speeds(LOAD, LARGE.total(), &pairs).against_best(ring.to_string()))
}

fn pages(bed: &Bed, table: &mut Table) -> Result<()> {
    if !table.wants(LOAD_INTO_ORDINARY) {
        return Ok(());
    }
    if !table.machine().joins_pages() {
        let Work { ours, against, .. } = LOAD_INTO_ORDINARY;
        return say(format_args!("({ours}, against {against}: left out, for the kernel joins no pages)"));
    }
    let ordinary = Bed::make(Some(bed.place()), HugePages::No)?;
    let in_ordinary = adapter(&ordinary)?.holding(&ordinary, LARGE)?;
    let in_huge = adapter(bed)?.holding(bed, LARGE)?;
    let into_ordinary = || loaded(&ordinary, &in_ordinary);
    table.speeds(LOAD_INTO_ORDINARY, LARGE.total(), into_ordinary, || loaded(bed, &in_huge))
}

fn adapter(bed: &Bed) -> Result<Adapter> {
    Adapter::dynamic(bed, How { direct: true, ..How::default() })
}

fn loaded(bed: &Bed, adapter: &Adapter) -> Result<Duration> {
    Ok(bed.load(LARGE, adapter)?.wall)
}
