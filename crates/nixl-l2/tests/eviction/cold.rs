//! What is cold goes, also what an earlier run left.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nixl_l2::{AdapterConfig, KeyScope, L2Adapter, Nixl, ObjectKey, Region, StoreItem};

const LIMIT: Duration = Duration::from_secs(60);
const OBJECT: usize = 4096;

/// Room for ten objects; evicts from eight on, one of five at a time.
fn open(directory: &Path, l1: &Region) -> Arc<dyn L2Adapter> {
    Nixl::load().unwrap().silence();
    let json = format!(
        r#"{{"type": "nixl_store_dynamic", "backend": "POSIX",
            "backend_params": {{"file_path": {directory:?}, "use_direct_io": "false", "max_capacity_gb": {}}},
            "eviction": {{"eviction_policy": "LRU", "trigger_watermark": 0.8, "eviction_ratio": 0.2}}}}"#,
        10.0 * OBJECT as f64 / f64::from(1 << 30)
    );
    nixl_l2::open(&AdapterConfig::parse(&json).unwrap(), l1).unwrap()
}

fn key(number: u8) -> ObjectKey {
    KeyScope::new("org/m", 0, 0, "").unwrap().key(&[number; 32]).unwrap()
}

fn store(adapter: &dyn L2Adapter, l1: &Region, number: u8) {
    let memory = l1.lease(0, OBJECT).unwrap().freeze();
    let report = adapter.submit_store(vec![StoreItem { key: key(number), memory }]).wait(LIMIT).unwrap();
    assert!(report.failures().next().is_none(), "{report:?}");
}

fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "bin"))
        .count()
}

#[track_caller]
fn settles_below(adapter: &dyn L2Adapter, objects: u64) {
    let start = Instant::now();
    while adapter.usage().used_bytes >= objects * OBJECT as u64 {
        assert!(start.elapsed() < LIMIT, "usage stays at {:?}", adapter.usage());
        std::thread::yield_now();
    }
}

fn is_there(adapter: &dyn L2Adapter, number: u8) -> bool {
    let report = adapter.submit_lookup_and_lock(vec![key(number)]).wait(LIMIT).unwrap();
    adapter.unlock(&[key(number)]);
    report.prefix_hits() == 1
}

#[test]
fn what_is_cold_makes_room_and_what_was_used_stays() {
    let home = tempfile::tempdir().unwrap();
    let l1 = Region::allocate(OBJECT).unwrap();
    let adapter = open(home.path(), &l1);
    for number in 0..30 {
        if number > 0 {
            assert!(is_there(&*adapter, 0), "the hot object was evicted before number {number}");
        }
        store(&*adapter, &l1, number);
        settles_below(&*adapter, 8);
    }
    assert!(is_there(&*adapter, 29), "the newest");
    assert!(!is_there(&*adapter, 1), "the coldest");
    adapter.close().unwrap();
}

#[test]
fn what_an_earlier_run_left_is_evicted_too() {
    let home = tempfile::tempdir().unwrap();
    let l1 = Region::allocate(OBJECT).unwrap();
    let first = open(home.path(), &l1);
    for number in 0..7 {
        store(&*first, &l1, number);
    }
    first.close().unwrap();
    drop(first);
    // Three more than there is room for, as an operator would copy them in.
    for number in 7..13 {
        let name = nixl_l2::paths::key_to_path(&key(number), nixl_l2::paths::Layout::Flat);
        std::fs::write(home.path().join(name), [0; OBJECT]).unwrap();
    }
    let second = open(home.path(), &l1);
    // The index is empty at first: the scan finds them one by one.
    let start = Instant::now();
    while files(home.path()) >= 8 {
        assert!(start.elapsed() < LIMIT, "{} files stay", files(home.path()));
        std::thread::yield_now();
    }
    settles_below(&*second, 8);
}
