//! Many threads that load at once, against one that loads as much.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nixl_l2::{Lease, LoadItem};

use crate::adapters::{Adapter, How, loaded, wait};
use crate::bed::{Bed, SMALL};
use crate::row::{Bound, Work};
use crate::table::Table;

/// Batches for one number, of all threads together.
const BATCHES: usize = 128;

/// A share of the batches: the numbers of each, and what is loaded, or was.
type Share<T> = Vec<(Vec<u64>, Vec<T>)>;

/// Two, four and eight threads.
pub(crate) fn measure(bed: &Bed, table: &mut Table) -> Result<()> {
    let rows = [
        ("2 threads load 64 × 16 KiB at a time", 2),
        ("4 threads load 64 × 16 KiB at a time", 4),
        ("8 threads load 64 × 16 KiB at a time", 8),
    ];
    for (ours, threads) in rows {
        let work = Work {
            ours,
            against: "1 thread, as much in all",
            unit: "GB/s",
            bounds: &[Bound::RatioAtLeast(1.0)],
        };
        if !table.wants(work) {
            continue;
        }
        let adapter = Adapter::dynamic(bed, How::default())?.holding(bed, SMALL)?;
        let bytes = BATCHES as u64 * SMALL.batch * SMALL.bytes as u64;
        let took = |threads| load_by(bed, &adapter, threads);
        table.speeds(work, bytes, || took(1), || took(threads))?;
    }
    Ok(())
}

/// Loads all batches by so many threads, and compares them.
fn load_by(bed: &Bed, adapter: &Adapter, threads: usize) -> Result<Duration> {
    let batch = SMALL.bytes * usize::try_from(SMALL.batch)?;
    let numbered = SMALL.all().chunks(usize::try_from(SMALL.batch)?).map(<[u64]>::to_vec).collect::<Vec<_>>();
    let batches = numbered.into_iter().cycle().take(BATCHES).enumerate();
    let mut shares: Vec<Share<LoadItem>> = (0..threads).map(|_| Share::new()).collect();
    for (at, numbers) in batches {
        let memory = bed.blank(at * batch, numbers.len(), SMALL.bytes)?;
        let items = adapter.items(&numbers, memory)?;
        shares.get_mut(at % threads).context("a share for each thread")?.push((numbers, items));
    }
    // The threads are there when the time begins.
    let start = Barrier::new(threads + 1);
    let (took, ended) = thread::scope(|scope| {
        let load = |share: Share<LoadItem>| {
            let start = &start;
            let run = move || {
                start.wait();
                let load = |(numbers, items)| Ok((numbers, loaded(wait(adapter.get().submit_load(items))?)?));
                share.into_iter().map(load).collect::<Result<Share<Lease>>>()
            };
            thread::Builder::new().name("submits".to_owned()).spawn_scoped(scope, run)
        };
        let running = shares.into_iter().map(load).collect::<std::io::Result<Vec<_>>>()?;
        start.wait();
        let begun = Instant::now();
        let ended: Vec<_> = running.into_iter().map(thread::ScopedJoinHandle::join).collect();
        Ok::<_, anyhow::Error>((begun.elapsed(), ended))
    })?;
    for share in ended {
        for (numbers, memory) in share.ok().context("a thread panicked")?? {
            bed.check(&numbers, &memory)?;
        }
    }
    Ok(took)
}
