//! Stores, against files that are made the plain way.

use std::time::Duration;

use anyhow::Result;

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, LARGE, MIDDLE, Objects, Stores};
use crate::plain::Writing;
use crate::row::{Bound, Work};
use crate::table::Table;

const LEAST: &[Bound] = &[Bound::RatioAtLeast(0.9)];

/// Buffered and direct.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    let rows: [(&str, bool, Objects); 4] = [
        ("dynamic store, buffered, 16 × 1 MiB", false, MIDDLE),
        ("dynamic store, buffered, 4 × 32 MiB", false, LARGE),
        ("dynamic store, direct, 16 × 1 MiB", true, MIDDLE),
        ("dynamic store, direct, 4 × 32 MiB", true, LARGE),
    ];
    for (ours, direct, objects) in rows {
        let work = Work { ours, against: "create, reserve, pwrite, rename", unit: "GB/s", bounds: LEAST };
        if !table.wants(work) {
            continue;
        }
        let adapter = Adapter::dynamic(bed, How { direct, ..How::default() })?;
        let raw = Writing::new(bed, direct)?;
        let plainly = || {
            let took = bed.store(objects, &raw)?.wall;
            raw.remove(&objects.all())?;
            Ok(took)
        };
        table.speeds(work, objects.total(), plainly, || stored(bed, objects, &adapter))?;
    }
    Ok(())
}

/// Stores, compares what is there then, and removes it.
pub(crate) fn stored(bed: &Bed, objects: Objects, adapter: &Adapter) -> Result<Duration> {
    let took = bed.store(objects, adapter)?.wall;
    bed.load(objects, adapter)?;
    adapter.remove(&objects.all())?;
    Ok(took)
}
