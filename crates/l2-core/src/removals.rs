//! Evictions under way, which closing an adapter waits for: after it nothing goes any more.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

thread_local! {
    /// How many this thread has under way: whoever closes an adapter from a listener must not wait for itself.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    under_way: Mutex<usize>,
    fewer: Condvar,
}

/// One under way, until it is dropped.
#[derive(Debug)]
pub struct Removing<'a>(&'a Removals);

impl Removals {
    fn under_way(&self) -> MutexGuard<'_, usize> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self) -> Removing<'_> {
        *self.under_way() += 1;
        OWN.set(OWN.get() + 1);
        Removing(self)
    }

    /// Waits until none is under way but this thread's own, at most for `limit`. Whether that was so in time.
    pub(crate) fn await_end(&self, limit: Duration) -> bool {
        let start = Instant::now();
        let mut under_way = self.under_way();
        while *under_way > OWN.get() {
            let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                return false;
            };
            under_way = self.fewer.wait_timeout(under_way, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        *self.0.under_way() -= 1;
        OWN.set(OWN.get().saturating_sub(1));
        self.0.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_waits_waits_for_others_and_not_for_itself() {
        let removals = Removals::default();
        let own = removals.begin();
        assert!(removals.await_end(LONG));
        let (begun, has_begun) = mpsc::channel();
        let (end, is_to_end) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let removals = &removals;
            scope.spawn(move || {
                let _other = removals.begin();
                begun.send(()).unwrap();
                is_to_end.recv().unwrap();
            });
            has_begun.recv().unwrap();
            assert!(!removals.await_end(Duration::ZERO), "another is under way");
            end.send(()).unwrap();
            assert!(removals.await_end(LONG));
        });
        drop(own);
        assert_eq!(*removals.under_way(), 0);
    }
}
