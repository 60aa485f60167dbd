//! `nixl_store` by itself: a batch of objects loaded from a pool of files. `static_pool` has what fragments it.
//!
//! See `docs/benchmarks.md`.

use anyhow::{Context, Result};
use benches::Layer;
use criterion::Criterion;
use l2_config::{Backend, FileStorage, StaticConfig};
use l2_static::StaticAdapter;
use nixl_safe::Nixl;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let nixl = Nixl::load().context("run this as `cargo xtask bench pool`")?;
    nixl.silence();
    for layer in Layer::each()? {
        let home = layer.directory()?;
        let mut config = StaticConfig::new(Backend::Posix, 8);
        config.slot_bytes = Some(4 << 20);
        config.file = Some(FileStorage::new(home.path()));
        let adapter = StaticAdapter::open(nixl, &config, layer.l1(), None)?;
        layer.measure_adapter(&mut criterion, "nixl_store", &adapter)?;
    }
    criterion.final_summary();
    Ok(())
}
