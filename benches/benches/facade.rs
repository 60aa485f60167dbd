//! `nixl-l2` as a host has it: from the JSON of `--l2-adapter`, with eviction, a batch of objects loaded.
//!
//! See `docs/benchmarks.md`.

use anyhow::{Context, Result};
use benches::Layer;
use criterion::Criterion;
use nixl_l2::{AdapterConfig, Nixl};

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    Nixl::load().context("run this as `cargo xtask bench facade`")?.silence();
    for layer in Layer::each()? {
        let home = layer.directory()?;
        let json = serde_json::json!({
            "type": "nixl_store_dynamic",
            "backend": "POSIX",
            "backend_params": { "file_path": home.path(), "use_direct_io": "false", "max_capacity_gb": "1" },
            "eviction": { "eviction_policy": "LRU" },
        });
        let adapter = nixl_l2::open(&AdapterConfig::parse(&json.to_string())?, layer.l1())?;
        layer.measure_adapter(&mut criterion, "nixl-l2", &*adapter)?;
    }
    criterion.final_summary();
    Ok(())
}
