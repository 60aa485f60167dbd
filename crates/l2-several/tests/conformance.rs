//! The conformance suite on two adapters, of which one stores nothing: the other is as good as alone. (Eviction is
//! each adapter's own.)
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use l2_core::memory::Region;
use l2_core::testing::{Damage, Factory, MemoryAdapter, MemoryStorage, NoopAdapter, Opened, Options};
use l2_core::{L2Adapter, ObjectKey};
use l2_several::{Member, Several};

/// Makes pairs; keeps the storage of the latest, to open it again.
#[derive(Default)]
struct Pair {
    works_first: bool,
    storage: Mutex<MemoryStorage>,
}

impl Pair {
    fn new(works_first: bool) -> Self {
        Self { works_first, ..Self::default() }
    }

    fn open(&self, storage: MemoryStorage, options: Options) -> Opened {
        let works = MemoryAdapter::open(storage, options.capacity_bytes).expect("a thread");
        let works = Member::new(Arc::new(works));
        let fails = Member::new(Arc::new(NoopAdapter::new()));
        let (first, second) = if self.works_first { (works, fails) } else { (fails, works) };
        let adapter: Arc<dyn L2Adapter> = Arc::new(Several::of(first, [second]));
        Opened { adapter, l1: Region::allocate(options.l1_bytes).expect("memory") }
    }
}

impl Factory for Pair {
    fn open(&self, options: Options) -> Opened {
        let storage = MemoryStorage::default();
        *self.storage.lock().unwrap() = storage.clone();
        self.open(storage, options)
    }

    fn reopen(&self, options: Options) -> Option<Opened> {
        Some(self.open(self.storage.lock().unwrap().clone(), options))
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        let storage = self.storage.lock().unwrap();
        match damage {
            Damage::Gone => storage.lose(key),
            Damage::Cut => storage.cut(key, self.object_bytes() / 2),
            Damage::Empty => storage.cut(key, 0),
        }
    }
}

mod behind_one_that_fails {
    l2_core::conformance_suite! { @all_but_eviction super::Pair::new(false) }
}

mod before_one_that_fails {
    l2_core::conformance_suite! { @all_but_eviction super::Pair::new(true) }
}
