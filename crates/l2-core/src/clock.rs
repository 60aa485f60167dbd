//! The time, for what ends by itself: real, or set by hand in tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tells how much time has passed since it was made. Cheap to clone; clones tell the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Real(Instant),
    Manual(Arc<AtomicU64>),
}

/// Sets a [`Clock`] that stands still otherwise.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl Clock {
    /// The system's monotonic clock.
    pub fn real() -> Self {
        Self(Source::Real(Instant::now()))
    }

    /// A clock that stands at 0 until the other end moves it.
    pub fn manual() -> (Self, ManualClock) {
        let nanoseconds = Arc::new(AtomicU64::new(0));
        (Self(Source::Manual(Arc::clone(&nanoseconds))), ManualClock(nanoseconds))
    }

    /// The time since it was made.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Real(start) => start.elapsed(),
            Source::Manual(nanoseconds) => Duration::from_nanos(nanoseconds.load(Ordering::SeqCst)),
        }
    }
}

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanoseconds, Ordering::SeqCst);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved_and_a_real_one_goes_on() {
        let (clock, hand) = Clock::manual();
        assert_eq!(clock.now(), Duration::ZERO);
        hand.advance(Duration::from_secs(3));
        assert_eq!(clock.clone().now(), Duration::from_secs(3));
        let real = Clock::default();
        let before = real.now();
        while real.now() == before {}
        assert!(real.now() > before);
    }
}
