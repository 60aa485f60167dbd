//! Spinning before sleeping, where that has paid off lately.
//!
//! To be woken takes some 5 µs on a bare machine, and 50 to 100 µs on a virtual one whose processor has stopped: longer than
//! a small object takes to be moved. So who waits looks for a while before it sleeps. How long is learned from each wait, as
//! the kernel's KVM does for processors that halt: longer when what was slept for came soon, shorter when it did not. Where
//! things come seldom, nobody spins, and where nothing happens nobody ever does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::crew::Spinner;

/// First time, in nanoseconds, after waits that were not worth it.
const FIRST: u32 = 50_000;

/// How long to look for what one kind of wait is for. Shared by all who wait for that.
#[derive(Debug)]
pub struct Spin {
    /// In nanoseconds: longest time, and what comes later than that is slept for at once, or soon.
    most: u32,
    /// In nanoseconds, at most `most`.
    window: AtomicU32,
}

impl Spin {
    /// Longest time that anybody spins unless something else is said: 1 ms.
    pub const MOST: Duration = Duration::from_millis(1);

    /// At most so long, up to 4 s; not at all with zero.
    pub fn new(most: Duration) -> Self {
        Self { most: u32::try_from(most.as_nanos()).unwrap_or(u32::MAX), window: AtomicU32::new(0) }
    }

    /// Calls `attempt` until it gives something, or for as long as that is worth it. In between others have the processor.
    pub fn until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        if let Some(found) = attempt() {
            return Some(found);
        }
        let window = Duration::from_nanos(self.window.load(Ordering::Relaxed).into());
        let begun = Instant::now();
        while begun.elapsed() < window {
            thread::yield_now();
            if let Some(found) = attempt() {
                return Some(found);
            }
        }
        None
    }

    /// [`Spin::until`] for the result of work that a [`crate::Crew`] counts: gives up when it would take its processor.
    pub(crate) fn beside_work(&self, mut is_there: impl FnMut() -> bool) -> bool {
        /// Who has just done the work before may be counted for a moment longer.
        const LOOKS: u32 = 8;
        if is_there() || self.window.load(Ordering::Relaxed) == 0 {
            return is_there();
        }
        let own = Spinner::begin();
        let mut crowded = 0;
        let there_or_not = || {
            if is_there() {
                return Some(true);
            }
            crowded = if own.is_in_the_way() { crowded + 1 } else { 0 };
            (crowded > LOOKS).then_some(false)
        };
        self.until(there_or_not).unwrap_or(false)
    }

    /// Learns from one who slept: what it waited for came so long after it had begun to wait.
    pub fn slept(&self, waited: Duration) {
        // Of two at once, one may be lost.
        let window = self.window.load(Ordering::Relaxed);
        self.window.store(self.learned(window, waited), Ordering::Relaxed);
    }

    /// The window after a wait that was longer than the last one, in nanoseconds.
    fn learned(&self, window: u32, waited: Duration) -> u32 {
        if waited <= Duration::from_nanos(self.most.into()) {
            return window.saturating_mul(2).max(FIRST).min(self.most);
        }
        let half = window / 2;
        if half < FIRST { 0 } else { half }
    }
}

impl Default for Spin {
    fn default() -> Self {
        Self::new(Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crew::{Crew, Work};
    use proptest::prelude::*;
    use std::sync::Arc;

    const MOST: u64 = 1_000_000;
    const LONG: Duration = Duration::from_nanos(MOST + 1);

    #[test]
    fn nobody_spins_who_has_not_slept_for_what_came_soon() {
        let mut attempts = 0;
        let mut never = || {
            attempts += 1;
            None::<()>
        };
        let spin = Spin::default();
        assert!(spin.until(&mut never).is_none());
        spin.slept(LONG);
        assert!(spin.until(&mut never).is_none());
        let off = Spin::new(Duration::ZERO);
        off.slept(Duration::ZERO);
        assert!(off.until(&mut never).is_none());
        assert_eq!(attempts, 3, "one look each");
    }

    #[test]
    fn what_comes_within_the_window_is_found() {
        let spin = Spin { most: u32::MAX, window: AtomicU32::new(u32::MAX) };
        let mut attempts = 0;
        let third = || {
            attempts += 1;
            (attempts == 3).then_some("here")
        };
        assert_eq!(spin.until(third), Some("here"));
    }

    #[test]
    fn who_waits_beside_more_work_than_there_are_processors_gives_up_after_some_looks() {
        let spin = Spin { most: u32::MAX, window: AtomicU32::new(u32::MAX) };
        let jobs = thread::available_parallelism().unwrap().get();
        let crew = Arc::new(Crew::new(jobs));
        let _all: Vec<Work> = (0..jobs).map(|_| crew.begin()).collect();
        let mut looks = 0;
        let there = spin.beside_work(|| {
            looks += 1;
            false
        });
        assert_eq!((there, looks), (false, 10));
    }

    proptest! {
        #[test]
        fn the_window_is_none_or_within_its_limits_and_follows_what_comes(
            most in prop_oneof![Just(0), Just(MOST), 1..5 * MOST],
            waits in prop::collection::vec(0..2 * MOST, 0..50),
        ) {
            let spin = Spin::new(Duration::from_nanos(most));
            let window = || u64::from(spin.window.load(Ordering::Relaxed));
            for wait in waits {
                let before = window();
                spin.slept(Duration::from_nanos(wait));
                let after = window();
                prop_assert!(after == 0 || (most.min(FIRST.into())..=most).contains(&after));
                if wait <= most { prop_assert!(after > before || after == most) }
                else { prop_assert!(after < before || after == 0) }
            }
            (0..7).for_each(|_| spin.slept(Duration::from_nanos(most + 1)));
            prop_assert_eq!(window(), 0);
            (0..8).for_each(|_| spin.slept(Duration::from_nanos(most)));
            prop_assert_eq!(window(), most);
        }
    }
}
