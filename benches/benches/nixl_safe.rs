//! `nixl-safe` by itself: files opened, registered, read in one request of NIXL's POSIX plugin, and closed.
//!
//! See `docs/benchmarks.md`.

use std::time::Duration;

use anyhow::{Context, Result};
use benches::Layer;
use criterion::Criterion;
use nixl_safe::{Nixl, Part};

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let nixl = Nixl::load().context("run this as `cargo xtask bench nixl_safe`")?;
    nixl.silence();
    for layer in Layer::each()? {
        let backend =
            nixl.agent("bench")?.backend("POSIX", [("ios_pool_size", "256"), ("kernel_queue_size", "64")])?;
        let registered = backend.register_memory(layer.l1())?;
        layer.measure(&mut criterion, "nixl-safe", |leases| {
            let files = backend.register_files(layer.open()?)?;
            let parts =
                leases.into_iter().enumerate().map(|(index, memory)| Part { memory, index, offset: 0 });
            let transfer =
                backend.start(&registered, &files, parts.collect()).map_err(|refused| refused.error)?;
            let finished = transfer.wait(Duration::from_secs(60)).ok().context("NIXL hangs")?;
            finished.result?;
            Ok(finished.memory)
        })?;
    }
    criterion.final_summary();
    Ok(())
}
