//! `nixl_store_dynamic` by itself: a batch of objects loaded, each of which is a file.
//!
//! See `docs/benchmarks.md`.

use anyhow::{Context, Result};
use benches::Layer;
use criterion::Criterion;
use l2_config::{Backend, DynamicConfig};
use l2_dynamic::DynamicAdapter;
use nixl_safe::Nixl;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let nixl = Nixl::load().context("run this as `cargo xtask bench dynamic`")?;
    nixl.silence();
    for layer in Layer::each()? {
        let home = layer.directory()?;
        let config = DynamicConfig::new(Backend::Posix, home.path(), 1 << 30);
        let adapter = DynamicAdapter::open(nixl, &config, layer.l1())?;
        layer.measure_adapter(&mut criterion, "nixl_store_dynamic", &adapter)?;
    }
    criterion.final_summary();
    Ok(())
}
