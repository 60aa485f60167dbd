//! Listeners that panic, at every call they get: nothing is lost by it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use l2_core::testing::fixtures::{key, keys};
use l2_core::{L2Listener, ObjectKey};

use crate::cache::{Cache, close, counted};

#[derive(Default)]
struct Panicking(AtomicUsize);

impl Panicking {
    fn hear(&self) -> ! {
        self.0.fetch_add(1, Ordering::AcqRel);
        panic!("on purpose");
    }
}

impl L2Listener for Panicking {
    fn on_stored(&self, _: &[(ObjectKey, u64)], _: bool) {
        self.hear();
    }

    fn on_accessed(&self, _: &[ObjectKey]) {
        self.hear();
    }

    fn on_deleted(&self, _: &[(ObjectKey, u64)]) {
        self.hear();
    }
}

#[test]
fn a_listener_that_always_panics_loses_no_object() {
    let cache = Cache::fresh();
    let host = cache.host(8);
    let listener = Arc::new(Panicking::default());
    host.adapter.add_listener(Arc::clone(&listener) as Arc<dyn L2Listener>);
    host.must_store(&keys(4));
    host.must_hit(&keys(4));
    host.adapter.unlock(&keys(4));
    host.must_load(&keys(4));
    // Healing tells of a deletion from within a load.
    fs::write(cache.file(&key(1)), "short").unwrap();
    assert_eq!(host.load(&keys(4)).bitmap(), [true, false, true, true]);
    host.must_delete(&[key(0)]);
    assert!(listener.0.load(Ordering::Acquire) >= 6);
    assert!(host.adapter.status().healthy);
    host.must_use(2);
    close(host);

    // What was there is told of while it is counted, and by lookups.
    let host = cache.host(8);
    host.adapter.add_listener(listener);
    host.must_hit(&[key(2), key(3)]);
    counted(&host, &cache.objects());
    host.must_load(&[key(2), key(3)]);
    host.must_store(&[key(0), key(1)]);
    host.must_load(&keys(4));
    assert_eq!(cache.objects().len(), 4);
}
