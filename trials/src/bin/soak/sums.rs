//! What must add up at the end.

use std::fs;

use anyhow::{Context, Result, ensure};
use l2_core::testing::Host;
use trials::{Cache, OnDisk, Universe};

/// What the process has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    descriptors: usize,
    threads: usize,
    resident_kib: u64,
}

impl Process {
    pub(crate) fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.trim().split(' ').next()?.parse().ok());
        Ok(Self {
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            threads: fs::read_dir("/proc/self/task")?.count(),
            resident_kib: resident.context("no VmRSS in /proc/self/status")?,
        })
    }
}

/// Once the faults have ended: every object is right or a miss, the count is what is on the disk (of a cache; nobody sees the
/// files of a pool), nothing is pinned or leased, and all can be deleted.
pub(crate) fn must_add_up(host: &Host, universe: Universe, cache: Option<&Cache>) -> Result<()> {
    let status = || host.adapter.status();
    host.eventually("the storage is taken again", || {
        !(status().store_breaker.is_open || status().load_breaker.is_open)
    });
    host.eventually("all tasks have ended", || {
        status().tasks_in_flight == 0 && status().parked_transfers == 0
    });
    // Whatever is damaged or gone still is found by those who load it.
    let there: usize = (0..universe.len()).map(|number| universe.load(host, &[number])).sum();
    let on_disk = || cache.map(|cache| OnDisk::of(cache.directory())).transpose();
    let is_counted = || {
        let used = host.adapter.usage().used_bytes;
        on_disk().is_ok_and(|disk| disk.is_none_or(|disk| disk.bytes == used))
    };
    host.eventually("the bytes that are counted are those on the disk", is_counted);
    ensure!(there > 0, "nothing is left to be counted");
    for number in 0..universe.len() {
        // What was dropped and not removed yet is removed now.
        host.delete(&[universe.key(number)]);
    }
    let status = status();
    ensure!(status.pinned_objects == 0, "{} objects are pinned, and nobody is there", status.pinned_objects);
    let leased = host.l1.leased_bytes();
    ensure!(leased == 0, "{leased} bytes of L1 are leased, and nobody is there");
    let used = host.adapter.usage().used_bytes;
    ensure!(used == 0, "{used} bytes count, and nothing is there");
    if let Some(found) = on_disk()? {
        ensure!(found.bytes == 0, "{} bytes are on the disk that nobody could delete", found.bytes);
        ensure!(found.others.is_empty(), "temporaries are left: {:?}", found.others);
    }
    host.adapter.close()?;
    Ok(())
}

/// Once all is closed the process has what it had before.
pub(crate) fn must_be_as_before(before: &Process) -> Result<()> {
    let after = Process::now()?;
    // NIXL's library and its plugin stay loaded, with what they open once.
    ensure!(after.descriptors <= before.descriptors + 1, "descriptors: {before:?}, {after:?}");
    ensure!(after.threads <= before.threads, "threads: {before:?}, {after:?}");
    // The libraries, and what an allocator keeps: it does not grow with the time.
    ensure!(after.resident_kib < before.resident_kib + (100 << 10), "memory: {before:?}, {after:?}");
    Ok(())
}
