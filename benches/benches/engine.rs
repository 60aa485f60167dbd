//! `l2-engine` by itself: one job, on one worker, that opens files and asks for one request that reads them.
//!
//! See `docs/benchmarks.md`.

use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result};
use benches::Layer;
use criterion::Criterion;
use l2_engine::{Class, Engine, EngineConfig, Fixtures, Move, Piece, Request, Storage};
use nixl_safe::Nixl;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let nixl = Nixl::load().context("run this as `cargo xtask bench engine`")?;
    nixl.silence();
    for layer in Layer::each()? {
        let mut config = EngineConfig::new("POSIX");
        config.workers = 1;
        let fixtures = Fixtures { regions: vec![layer.l1().clone()], ..Fixtures::default() };
        let engine = Engine::start(nixl, config, &fixtures)?;
        let paths = layer.paths();
        layer.measure(&mut criterion, "l2-engine", |leases| {
            let (sender, ended) = channel();
            let paths = paths.clone();
            let job = move || {
                let piece = |(path, memory)| {
                    let file = std::fs::File::open(path).ok()?;
                    Some(Piece {
                        memory,
                        storage: Storage::File(std::sync::Arc::new(file.into())),
                        offset: 0,
                    })
                };
                let Some(pieces) = paths.into_iter().zip(leases).map(piece).collect() else {
                    return Vec::new();
                };
                vec![Move::Load(Request::new(pieces, move |moved| {
                    // Who waits has given up if this fails.
                    let _ = sender.send(moved);
                    Vec::new()
                }))]
            };
            engine.submit(Class::Read, Box::new(job));
            let moved =
                ended.recv_timeout(Duration::from_secs(60)).context("a file did not open, or NIXL hangs")?;
            moved.result?;
            moved.memory.context("a load that succeeded kept its memory")
        })?;
        engine.close();
    }
    criterion.final_summary();
    Ok(())
}
