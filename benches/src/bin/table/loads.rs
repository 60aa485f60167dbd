//! Loads from the page cache: the dynamic adapter, and the pool.

use anyhow::Result;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, LARGE, Loads, MIDDLE, Objects, SMALL};
use crate::plain::{Open, Opening};
use crate::row::{Bound, Work};
use crate::table::Table;

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
