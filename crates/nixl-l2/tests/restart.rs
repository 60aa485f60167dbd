//! The capacity over restarts, on real NIXL: what an earlier run left counts before anything new is let in.
#![expect(clippy::unwrap_used, reason = "a helper of tests")]

use std::path::Path;
use std::time::Duration;

use nixl_l2::{
    AdapterConfig, Backend, DynamicConfig, ErrorKind, KeyScope, Nixl, ObjectKey, Region, StoreItem,
};

const LIMIT: Duration = Duration::from_secs(60);
const OBJECT: usize = 4096;
const ROOM: usize = 300;

fn key(number: usize) -> ObjectKey {
    KeyScope::new("org/m", 0, 0, "").unwrap().key(&number.to_be_bytes()).unwrap()
}

fn bytes_on_disk(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

#[test]
fn a_full_cache_rejects_from_the_first_store_after_each_restart() {
    let home = tempfile::tempdir().unwrap();
    let l1 = Region::allocate(OBJECT).unwrap();
    Nixl::load().unwrap().silence();
    let capacity = (ROOM * OBJECT) as u64;
    let config: AdapterConfig = DynamicConfig::new(Backend::Posix, home.path(), capacity).into();
    for run in 0..5 {
        let adapter = nixl_l2::open(&config, &l1).unwrap();
        let memory = l1.lease(0, OBJECT).unwrap().freeze();
        // New keys in each run, at once after it opened.
        let batch =
            (0..2 * ROOM).map(|number| StoreItem { key: key(run * 10_000 + number), memory: memory.clone() });
        let report = adapter.submit_store(batch.collect()).wait(LIMIT).unwrap();
        let full = report.failures().filter(|(_, error)| error.kind() == ErrorKind::Full).count();
        assert_eq!(full, if run == 0 { ROOM } else { 2 * ROOM }, "run {run}");
        assert_eq!(report.written_bytes(), if run == 0 { capacity } else { 0 }, "run {run}");
        adapter.close().unwrap();
        assert_eq!(bytes_on_disk(home.path()), capacity, "run {run}");
    }
}
