//! The conformance suite on the adapter in memory, and what of it holds for the one that stores nothing.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use l2_core::memory::Region;
use l2_core::testing::fixtures::keys;
use l2_core::testing::{Damage, Factory, Host, MemoryAdapter, MemoryStorage, NoopAdapter, Opened, Options};
use l2_core::{Deleted, ErrorKind, ObjectKey, Usage};

/// Makes adapters in memory; keeps the storage of the latest, to open it again.
#[derive(Default)]
struct InMemory(Mutex<MemoryStorage>);

impl InMemory {
    fn open(storage: MemoryStorage, options: Options) -> Opened {
        let adapter = MemoryAdapter::open(storage, options.capacity_bytes).expect("a thread");
        Opened { adapter: Arc::new(adapter), l1: Region::allocate(options.l1_bytes).expect("memory") }
    }
}

impl Factory for InMemory {
    fn open(&self, options: Options) -> Opened {
        let storage = MemoryStorage::default();
        *self.0.lock().unwrap() = storage.clone();
        Self::open(storage, options)
    }

    fn reopen(&self, options: Options) -> Option<Opened> {
        Some(Self::open(self.0.lock().unwrap().clone(), options))
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        let storage = self.0.lock().unwrap();
        match damage {
            Damage::Gone => storage.lose(key),
            Damage::Cut => storage.cut(key, self.object_bytes() / 2),
            Damage::Empty => storage.cut(key, 0),
        }
    }
}

l2_core::conformance_suite!(InMemory::default());

struct StoresNothing;

impl Factory for StoresNothing {
    fn open(&self, options: Options) -> Opened {
        let l1 = Region::allocate(options.l1_bytes).expect("memory");
        Opened { adapter: Arc::new(NoopAdapter::new()), l1 }
    }
}

mod noop {
    // Those that need nothing to be stored.
    l2_core::conformance_suite! { @tests super::StoresNothing;
        an_empty_batch_ends
        task_numbers_count_from_0_across_kinds
        the_event_descriptors_are_three_and_stay_the_same
    }
}

#[test]
fn the_noop_adapter_rejects_every_store_and_misses_every_key() {
    let host = Host::open(&StoresNothing, 4);
    for (_, error) in host.store(&keys(2)).failures() {
        assert_eq!(error.kind(), ErrorKind::Full);
    }
    assert_eq!(host.store(&keys(2)).lmcache_result(), -1);
    host.must_miss(&keys(2));
    assert_eq!(host.load(&keys(2)).bitmap(), [false, false]);
    assert!(host.delete(&keys(2)).answers.iter().all(|answer| matches!(answer, Deleted::Absent)));
    assert_eq!(host.adapter.usage(), Usage::default());
    host.adapter.close().unwrap();
    assert!(host.store(&keys(1)).failures().all(|(_, error)| error.kind() == ErrorKind::Closed));
    assert!(!host.adapter.status().healthy);
    assert_eq!(host.l1.leased_bytes(), 0);
}
