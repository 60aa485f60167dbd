//! Who wants to know what an adapter stores, reads and deletes: eviction policies, metrics, a host's event bus.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::key::ObjectKey;

/// Hears of every change, after the index has it and before the task's result can be taken. Called outside the
/// adapter's locks, on its threads and, where a call is answered at once, on the caller's: it should be quick, may call
/// the adapter, and must not take a lock that is held around a call of it.
///
/// What several threads do at once may be told in another order than it was done: a deletion before the store that it
/// undid. Whoever keeps an account of its own asks the adapter in doubt (a delete of what is gone answers
/// [`crate::Deleted::Absent`]).
pub trait L2Listener: Send + Sync {
    /// These objects can be looked up from now on; in the order of the batch, each with its bytes. `recovered` when
    /// they were found on the storage rather than stored, or were there when this listener was added. An object that
    /// is told twice is there once.
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool);

    /// These objects were hit by a lookup or loaded; in the order of the batch.
    fn on_accessed(&self, keys: &[ObjectKey]);

    /// These objects are gone, each with the bytes that were freed.
    fn on_deleted(&self, objects: &[(ObjectKey, u64)]);

    /// Whether [`L2Listener::on_accessed`] does anything. If no listener of an adapter has a use for it, hits are quicker.
    /// Asked once.
    fn hears_accesses(&self) -> bool {
        true
    }

    /// Whether it is to be told at first what is there already. Asked once.
    fn hears_what_is_there(&self) -> bool {
        true
    }
}

/// The listeners of an adapter, called in the order in which they were added.
#[derive(Default)]
pub struct Listeners {
    all: RwLock<Arc<[Arc<dyn L2Listener>]>>,
    /// Whether any has a use for accesses.
    accesses: AtomicBool,
}

impl Listeners {
    /// Adds one.
    pub fn add(&self, listener: Arc<dyn L2Listener>) {
        if listener.hears_accesses() {
            self.accesses.store(true, Ordering::Relaxed);
        }
        let mut list = self.all.write().unwrap_or_else(PoisonError::into_inner);
        *list = list.iter().cloned().chain([listener]).collect();
    }

    /// Calls `tell` with each. One that panics does not keep the others from hearing of it, nor the adapter from
    /// going on.
    pub fn tell(&self, tell: impl Fn(&dyn L2Listener)) {
        let list = Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner));
        for listener in list.iter() {
            Self::tell_one(&**listener, &tell);
        }
    }

    /// Calls `tell` with one listener, whose panic harms nobody.
    pub fn tell_one(listener: &dyn L2Listener, tell: impl Fn(&dyn L2Listener)) {
        if catch_unwind(AssertUnwindSafe(|| tell(listener))).is_err() {
            tracing::error!("a listener panicked; the adapter goes on");
        }
    }

    /// Whether there is one that has a use for accesses.
    pub fn hear_accesses(&self) -> bool {
        self.accesses.load(Ordering::Relaxed)
    }

    /// Whether there is none, so that nobody need collect what to tell.
    pub fn is_empty(&self) -> bool {
        self.all.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listeners({})", self.all.read().unwrap_or_else(PoisonError::into_inner).len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counts(AtomicUsize);
    impl L2Listener for Counts {
        fn on_stored(&self, _: &[(ObjectKey, u64)], _: bool) {}
        fn on_accessed(&self, _: &[ObjectKey]) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        fn on_deleted(&self, _: &[(ObjectKey, u64)]) {}
    }

    struct Panics;
    impl L2Listener for Panics {
        fn on_stored(&self, _: &[(ObjectKey, u64)], _: bool) {}
        fn on_accessed(&self, _: &[ObjectKey]) {
            panic!("a listener's own fault");
        }
        fn on_deleted(&self, _: &[(ObjectKey, u64)]) {}
    }

    #[test]
    fn a_listener_that_panics_harms_nobody_else() {
        let listeners = Listeners::default();
        assert!(listeners.is_empty());
        let counts = Arc::new(Counts(AtomicUsize::new(0)));
        listeners.add(Arc::new(Panics));
        listeners.add(Arc::clone(&counts) as Arc<dyn L2Listener>);
        listeners.tell(|listener| listener.on_accessed(&[]));
        assert_eq!(counts.0.load(Ordering::SeqCst), 1);
    }
}
