//! The process that is killed.

use std::io::Write as _;
use std::sync::Arc;
use std::thread;

use l2_core::testing::Host;
use l2_core::testing::fixtures::Seeded;
use trials::{Cache, Universe, length_of};

/// What it says when its cache is open.
pub(crate) const READY: &str = "ready";
const THREADS: u64 = 3;

/// Works until it is killed; returns when it has found a wrong byte or something that hangs, and has said so.
pub(crate) fn work(cache: &Cache, universe: Universe, seed: u64) {
    let host = Arc::new(cache.host());
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{READY}");
    let _ = out.flush();
    let workers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (host, mut random) = (Arc::clone(&host), Seeded::new(seed.wrapping_add(thread)));
            let work = move || {
                loop {
                    step(&host, universe, &mut random);
                }
            };
            thread::Builder::new().name(format!("work-{thread}")).spawn(work)
        })
        .collect();
    for worker in workers.into_iter().flatten() {
        let _ = worker.join();
    }
}

fn step(host: &Host, universe: Universe, random: &mut Seeded) {
    let numbers = universe.some(random);
    let keys: Vec<_> = numbers.iter().map(|number| universe.key(*number)).collect();
    match random.below(8) {
        0..=3 => {
            let items = numbers.iter().zip(&keys).map(|(number, key)| host.item_of(key, length_of(*number)));
            // What does not fit because all is pinned or being written is rejected.
            host.store_items(items.collect());
        }
        4..=6 => {
            let lookup = host.adapter.submit_lookup_and_lock(keys.clone());
            let task = lookup.id();
            let hits: Vec<_> = host.wait(lookup).hits().map(|(key, _)| key.clone()).collect();
            universe.load(host, &numbers);
            host.adapter.unlock_task(task, &hits);
        }
        _ => drop(host.delete(&keys)),
    }
}
