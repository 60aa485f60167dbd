//! Loads: the dynamic adapter, the pool, and the device itself.

use anyhow::{Result, ensure};
use benches::Pairs;
use nixl_l2::HugePages;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, LARGE, Loads, MIDDLE, Objects, SMALL};
use crate::plain::{Open, Opening};
use crate::row::{Bound, Row, Work};
use crate::table::Table;
use crate::uring::{Ring, Way};

const OPENING: &str = "open, pread, close of the same files";

/// The same calls, made as an adapter has to make them: not by whoever wants the bytes. No bound: it tells what of a ratio is
/// the handing over.
const WOKEN: &str = "the same, by threads that are woken for it";

/// A file for each object, from the page cache.
pub(crate) fn dynamic(bed: &Bed, table: &mut Table) -> Result<()> {
    const SMALL_LEAST: &[Bound] = &[Bound::RatioAtLeast(0.7)];
    const LEAST: &[Bound] = &[Bound::RatioAtLeast(0.95)];
    let rows: [(&str, &[Bound], Objects, usize); 6] = [
        ("dynamic load, 64 × 16 KiB, 1 thread", SMALL_LEAST, SMALL, 1),
        ("dynamic load, 64 × 16 KiB, 2 threads", SMALL_LEAST, SMALL, 2),
        ("dynamic load, 16 × 1 MiB, 1 thread", LEAST, MIDDLE, 1),
        ("dynamic load, 16 × 1 MiB, 2 threads", LEAST, MIDDLE, 2),
        ("dynamic load, 4 × 32 MiB, 1 thread", LEAST, LARGE, 1),
        ("dynamic load, 4 × 32 MiB, 2 threads", LEAST, LARGE, 2),
    ];
    for (name, least, objects, threads) in rows {
        let work = Work { ours: name, against: OPENING, unit: "GB/s", bounds: least };
        let by_woken = Work { against: WOKEN, bounds: &[], ..work };
        if !table.wants(work) && !table.wants(by_woken) {
            continue;
        }
        let how = How { workers: Some(threads), ..How::default() };
        let adapter = Adapter::dynamic(bed, how)?.holding(bed, objects)?;
        let raw = Opening::of(adapter.files(objects)?, threads)?;
        compare(bed, table, work, objects, &raw, &adapter)?;
        let raw = Opening::by_woken(adapter.files(objects)?, threads)?;
        compare(bed, table, by_woken, objects, &raw, &adapter)?;
    }
    let work = Work {
        ours: "dynamic load, 4 × 32 MiB, two workers",
        against: "one worker",
        unit: "GB/s",
        bounds: &[Bound::RatioAtLeast(1.5)],
    };
    if table.wants(work) {
        let open = |workers| {
            Adapter::dynamic(bed, How { workers: Some(workers), ..How::default() })?.holding(bed, LARGE)
        };
        compare(bed, table, work, LARGE, &open(1)?, &open(2)?)?;
    }
    Ok(())
}

/// A pool, from the page cache.
pub(crate) fn pool(bed: &Bed, table: &mut Table) -> Result<()> {
    let rows: [(&str, &[Bound], Objects); 3] = [
        ("static load, 64 × 16 KiB", &[Bound::RatioAtLeast(0.7)], SMALL),
        ("static load, 16 × 1 MiB", &[Bound::RatioAtLeast(0.95)], MIDDLE),
        ("static load, 4 × 32 MiB", &[Bound::RatioAtLeast(0.95)], LARGE),
    ];
    for (ours, bounds, objects) in rows {
        let work = Work { ours, against: "pread on open descriptors", unit: "GB/s", bounds };
        if !table.wants(work) {
            continue;
        }
        let adapter = Adapter::pool(bed, objects)?.holding(bed, objects)?;
        let raw = Open::holding(bed, objects, threads()?)?;
        compare(bed, table, work, objects, &raw, &adapter)?;
    }
    Ok(())
}

/// Past the page cache.
pub(crate) fn direct(bed: &Bed, table: &mut Table) -> Result<()> {
    let work = Work {
        ours: "direct load, 4 × 32 MiB",
        against: "io_uring at its best depth",
        unit: "GB/s",
        bounds: &[Bound::RatioAtLeast(0.9)],
    };
    if !table.wants(work) {
        return Ok(());
    }
    let adapter = past_the_page_cache(bed)?;
    let files = adapter.files(LARGE)?;
    let read = |ring: &mut Ring| ring.run(Way::Read, &files, LARGE.bytes);
    let mut ring = Ring::fastest(read)?;
    ring.read_all(&files, LARGE.bytes, |number, offset, block| {
        let content = bed.content(number as u64, LARGE.bytes)?;
        let right = content.get(usize::try_from(offset)?..).is_some_and(|rest| rest.starts_with(block));
        ensure!(right, "object {number} was read with wrong bytes at {offset}");
        Ok(())
    })?;
    let pairs = Pairs::measure(table.pairs(), || read(&mut ring), || Ok(bed.load(LARGE, &adapter)?.wall))?;
    table.add(Row::of_speeds(work, LARGE.total(), &pairs).against_best(ring.to_string()))
}

/// The same, into an L1 that is not in huge pages. No bound: it tells what they are worth.
pub(crate) fn pages(bed: &Bed, table: &mut Table) -> Result<()> {
    let work = Work {
        ours: "direct load, 4 × 32 MiB",
        against: "the same, L1 in ordinary pages",
        unit: "GB/s",
        bounds: &[],
    };
    if !table.wants(work) {
        return Ok(());
    }
    let ordinary = Bed::make(Some(bed.place()), HugePages::No)?;
    let (raw, ours) = (past_the_page_cache(&ordinary)?, past_the_page_cache(bed)?);
    let took = |bed: &Bed, adapter| Ok(bed.load(LARGE, adapter)?.wall);
    table.speeds(work, LARGE.total(), || took(&ordinary, &raw), || took(bed, &ours))
}

fn past_the_page_cache(bed: &Bed) -> Result<Adapter> {
    Adapter::dynamic(bed, How { direct: true, ..How::default() })?.holding(bed, LARGE)
}

fn compare(
    bed: &Bed,
    table: &mut Table,
    work: Work,
    objects: Objects,
    raw: &dyn Loads,
    ours: &dyn Loads,
) -> Result<()> {
    let took = |by: &dyn Loads| Ok(bed.load(objects, by)?.wall);
    table.speeds(work, objects.total(), || took(raw), || took(ours))
}

/// As many as an adapter has workers, by default.
pub(crate) fn threads() -> Result<usize> {
    Ok(std::thread::available_parallelism()?.get().clamp(2, 8))
}
