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

/// Once the faults have ended: every object is right or a miss, the count is what is on the disk, nothing is pinned or leased,
/// and, once it is closed, the process has what it had before.
pub(crate) fn must_add_up(cache: &Cache, host: Host, universe: Universe, before: &Process) -> Result<()> {
    let status = || host.adapter.status();
    host.eventually("the storage is taken again", || {
        !(status().store_breaker.is_open || status().load_breaker.is_open)
    });
    // Whatever is damaged still is found by those who load it.
    for number in 0..universe.len() {
        universe.load(&host, &[number]);
    }
    for number in 0..universe.len() {
        let number = universe.key(number);
        // What was dropped and not removed yet is removed now.
        host.delete(&[number]);
    }
    host.eventually("all tasks have ended", || {
        status().tasks_in_flight == 0 && status().parked_transfers == 0
    });
    let status = status();
    ensure!(status.pinned_objects == 0, "{} objects are pinned, and nobody is there", status.pinned_objects);
    ensure!(
        host.l1.leased_bytes() == 0,
        "{} bytes of L1 are leased, and nobody is there",
        host.l1.leased_bytes()
    );
    let disk =
        || OnDisk::of(cache.directory()).is_ok_and(|disk| disk.bytes == host.adapter.usage().used_bytes);
    host.eventually("the bytes that are counted are those on the disk", disk);
    let found = OnDisk::of(cache.directory())?;
    ensure!(found.others.is_empty(), "temporaries are left: {:?}", found.others);
    host.adapter.close()?;
    drop(host);
    let after = Process::now()?;
    ensure!(after.descriptors <= before.descriptors + 2, "descriptors: {before:?}, {after:?}");
    ensure!(after.threads <= before.threads, "threads: {before:?}, {after:?}");
    // L1, NIXL's library and its plugin, and what an allocator keeps.
    ensure!(after.resident_kib < before.resident_kib + (200 << 10), "memory: {before:?}, {after:?}");
    Ok(())
}
