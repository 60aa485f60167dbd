//! The same keys stored again and again by several threads, while they are evicted all the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use l2_core::testing::fixtures::{Seeded, key};
use nixl_l2::{ObjectKey, Stored};

use crate::setup::{LRU, Setup};

/// A few keys more than there is room for: those that are stored are those that are evicted.
const KEYS: u64 = 10;
const ROOM: usize = 8;
const ROUNDS: usize = 300;
const THREADS: u64 = 6;

#[test]
fn a_store_of_a_key_that_is_being_evicted_keeps_the_object_or_writes_it_again() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = &setup.host(ROOM);
        let (written, kept) = (&AtomicU64::new(0), &AtomicU64::new(0));
        let hammer = |seed| {
            let mut seeded = Seeded::new(seed);
            for _ in 0..ROUNDS {
                let first = seeded.next_u64() % KEYS;
                let keys: Vec<ObjectKey> = (first..first + 2).map(|number| key(number % KEYS)).collect();
                for outcome in host.store(&keys).outcomes {
                    match outcome.result {
                        Ok(Stored::Written { .. }) => written.fetch_add(1, Ordering::Relaxed),
                        Ok(Stored::AlreadyPresent) => kept.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
                // Whatever is loaded is compared; what is pinned must be there.
                let lookup = host.adapter.submit_lookup_and_lock(keys);
                let task = lookup.id();
                let hits: Vec<ObjectKey> = host.wait(lookup).hits().map(|(key, _)| key.clone()).collect();
                // Not so many that nothing could go.
                let (pinned, rest) = hits.split_at(hits.len().min(1));
                host.adapter.unlock_task(task, rest);
                host.must_load(pinned);
                host.adapter.unlock_task(task, pinned);
                host.load(rest);
                host.used();
            }
        };
        thread::scope(|scope| {
            for seed in 0..THREADS {
                scope.spawn(move || hammer(seed));
            }
        });
        assert!(written.load(Ordering::Relaxed) > KEYS, "hardly anything was evicted: {written:?}");
        assert!(kept.load(Ordering::Relaxed) > 0, "{kept:?}");
        let status = host.adapter.status();
        assert_eq!((status.pinned_objects, status.healed_objects), (0, 0), "{status:?}");
    }
}
