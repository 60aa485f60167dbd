//! The listeners that the inner adapter has; they call the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

use l2_core::testing::MemoryAdapter;
use l2_core::{L2Adapter, L2Listener, ObjectKey};

use super::Fault;

/// Hears of everything for all listeners.
pub(super) struct Hub {
    pub(super) fault: Fault,
    pub(super) adapter: Weak<MemoryAdapter>,
    pub(super) listeners: Mutex<Vec<Arc<dyn L2Listener>>>,
}

impl Hub {
    /// Calls each listener; whether one panicked.
    pub(super) fn tell(&self, tell: impl Fn(&dyn L2Listener)) -> bool {
        let mut listeners = self.listeners.lock().unwrap().clone();
        match self.fault {
            Fault::TellsListenersBackwards => listeners.reverse(),
            Fault::TellsNothing => listeners.clear(),
            _ => {}
        }
        let panics =
            |listener: &Arc<dyn L2Listener>| catch_unwind(AssertUnwindSafe(|| tell(&**listener))).is_err();
        listeners.iter().filter(|listener| panics(listener)).count() > 0
    }
}

impl L2Listener for Hub {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool) {
        let panicked = self.tell(|listener| listener.on_stored(objects, recovered));
        if panicked && self.fault == Fault::DropsWhatAListenerPanickedAt {
            let keys: Vec<ObjectKey> = objects.iter().map(|(key, _)| key.clone()).collect();
            self.adapter.upgrade().unwrap().delete(&keys);
        }
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.tell(|listener| listener.on_accessed(keys));
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.tell(|listener| listener.on_deleted(objects));
    }
}

/// Hears what is there for one listener that is being added.
pub(super) struct WhatIsThere(pub(super) Mutex<Option<Arc<dyn L2Listener>>>);

impl L2Listener for WhatIsThere {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool) {
        let listener = self.0.lock().unwrap().clone();
        if let Some(listener) = listener {
            listener.on_stored(objects, recovered);
        }
    }

    fn on_accessed(&self, _: &[ObjectKey]) {}

    fn on_deleted(&self, _: &[(ObjectKey, u64)]) {}
}
