//! Few descriptors: a cache may have more objects than the process may have open files.

use l2_core::testing::Host;
use l2_core::testing::fixtures::{fill, keys};
use l2_core::{LoadItem, ObjectKey, StoreItem};
use l2_memory::Lease;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::cache::{Cache, close, counted};
use crate::child;

const COUNT: usize = 2000;
const TEST: &str = "limits::two_thousand_objects_are_stored_and_loaded_with_64_descriptors";

#[test]
fn two_thousand_objects_are_stored_and_loaded_with_64_descriptors() {
    let Some(directory) = child::given() else {
        return child::must_pass_again(TEST, Cache::fresh().path());
    };
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    for (name, workers, change) in [
        ("flat", None, Cache::uring as fn(Cache) -> Cache),
        ("sharded", None, Cache::sharded),
        ("wide", Some(8), Cache::sharded),
    ] {
        let mut cache = change(Cache::at(&directory.join(name)));
        cache.config.engine.workers = workers;
        let host = cache.host(COUNT);
        let stored = host.store_items(items(&host, |key, memory| StoreItem { key, memory: memory.freeze() }));
        assert!(
            stored.outcomes.iter().all(|outcome| outcome.result.is_ok()),
            "{:?}",
            stored.failures().next()
        );
        assert_eq!(stored.written_bytes(), COUNT as u64 * 4096);
        drop(stored);
        host.must_hit(&keys(COUNT as u64));
        must_load_all(&host);
        close(host);

        // And all of it from the disk, in one lookup.
        let host = cache.host(COUNT);
        host.must_hit(&keys(COUNT as u64));
        must_load_all(&host);
        counted(&host, &cache.objects());
    }
}

/// One item per key, each with its own place in L1.
fn items<T>(host: &Host, item: impl Fn(ObjectKey, Lease) -> T) -> Vec<T> {
    let keys = keys(COUNT as u64).into_iter().enumerate();
    let items = keys.map(|(at, key)| {
        let mut memory = host.l1.lease(at * 4096, 4096).unwrap();
        fill(&key, memory.as_mut_slice().unwrap());
        item(key, memory)
    });
    items.collect()
}

fn must_load_all(host: &Host) {
    let blank = |key, mut memory: Lease| {
        memory.as_mut_slice().unwrap().fill(0);
        LoadItem { key, memory }
    };
    let loaded = host.load_items(items(host, blank));
    assert!(loaded.bitmap().iter().all(|loaded| *loaded), "{:?}", loaded.failures().next());
}
