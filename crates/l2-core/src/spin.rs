//! Spinning before sleeping, where that has paid off lately.
//!
//! To be woken takes some 5 µs on a bare machine, and 50 to 100 µs on a virtual one whose processor has stopped: longer than
//! a small object takes to be moved. So who waits looks for a while before it sleeps. How long is learned from each wait, as
//! the kernel's KVM does for processors that halt: longer when what was slept for came soon, shorter when it did not. Where
//! things come seldom, nobody spins, and where nothing happens nobody ever does.
//!
//! Who yields where another program wants the processor does not have it back for some milliseconds: a thousand times what was
//! to be saved. One who has lost it so stops, and the next waits are slept, for longer each time that it happens.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::crew::Spinner;

/// First time, in nanoseconds, after waits that were not worth it.
const FIRST: u32 = 50_000;
/// Who has not had its processor for so long had it taken away: a look takes less than a microsecond, and the time that the
/// kernel gives to another is some milliseconds.
const LOST: Duration = Duration::from_micros(500);
/// After a lost processor so many waits are slept at first, and at most.
const PENALTY: (u32, u32) = (16, 1024);

/// How long to look for what one kind of wait is for. Shared by all who wait for that.
#[derive(Debug)]
pub struct Spin {
    /// In nanoseconds: longest time, and what comes later than that is slept for at once, or soon.
    most: u32,
    /// In nanoseconds, at most `most`.
    window: AtomicU32,
    /// How many waits are slept before anybody looks again.
    rest: AtomicU32,
    /// As many as were to be slept after the last lost processor, less the looks that have paid off since.
    penalty: AtomicU32,
    /// [`LOST`]; tests that are not about it are more patient.
    lost: Duration,
}

impl Spin {
    /// Longest time that anybody spins unless something else is said: 1 ms.
    pub const MOST: Duration = Duration::from_millis(1);

    /// At most so long, up to 4 s; not at all with zero.
    pub fn new(most: Duration) -> Self {
        Self {
            most: u32::try_from(most.as_nanos()).unwrap_or(u32::MAX),
            window: AtomicU32::new(0),
            rest: AtomicU32::new(0),
            penalty: AtomicU32::new(0),
            lost: LOST,
        }
    }

    /// Calls `attempt` until it gives something, or for as long as that is worth it. In between others have the processor.
    pub fn until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        if let Some(found) = attempt() {
            return Some(found);
        }
        let window = Duration::from_nanos(self.window.load(Ordering::Relaxed).into());
        let begun = Instant::now();
        let mut last = begun;
        while last.duration_since(begun) < window {
            thread::yield_now();
            let found = attempt();
            let now = Instant::now();
            if now.duration_since(last) > self.lost {
                self.lose();
                return found;
            }
            if found.is_some() {
                self.pay_off();
                return found;
            }
            last = now;
        }
        None
    }

    /// Another program wants the processor.
    fn lose(&self) {
        let penalty = self.penalty.load(Ordering::Relaxed).saturating_mul(2).clamp(PENALTY.0, PENALTY.1);
        self.penalty.store(penalty, Ordering::Relaxed);
        self.rest.store(penalty, Ordering::Relaxed);
        self.window.store(0, Ordering::Relaxed);
    }

    fn pay_off(&self) {
        let penalty = self.penalty.load(Ordering::Relaxed);
        if penalty > 0 {
            self.penalty.store(penalty - 1, Ordering::Relaxed);
        }
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
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            return self.rest.store(rest - 1, Ordering::Relaxed);
        }
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

    /// Looks for 4 s, whoever takes the processor meanwhile.
    fn patient() -> Spin {
        Spin { window: AtomicU32::new(u32::MAX), lost: Duration::MAX, ..Spin::new(Duration::MAX) }
    }

    #[test]
    fn who_has_lost_the_processor_sleeps_for_a_while_and_for_longer_each_time() {
        let spin = Spin::default();
        let window = || spin.window.load(Ordering::Relaxed);
        let mut waits = 0;
        for expect in [16, 32, 64, 128, 256, 512, 1024, 1024] {
            spin.slept(Duration::ZERO);
            assert!(window() > 0);
            // What is found after all is not thrown away.
            let mut looks = 0;
            let found = spin.until(|| {
                looks += 1;
                thread::sleep(2 * LOST);
                (looks > 1).then_some("late")
            });
            assert_eq!((found, looks, window()), (Some("late"), 2, 0));
            for _ in 0..expect {
                spin.slept(Duration::ZERO);
                assert_eq!(window(), 0);
                waits += 1;
            }
        }
        assert_eq!(waits, 3056);
        // Looks that pay off shorten what the next loss costs.
        spin.pay_off();
        assert_eq!(spin.penalty.load(Ordering::Relaxed), 1023);
    }

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
        let spin = patient();
        let mut attempts = 0;
        let third = || {
            attempts += 1;
            (attempts == 3).then_some("here")
        };
        assert_eq!(spin.until(third), Some("here"));
    }

    #[test]
    fn who_waits_beside_more_work_than_there_are_processors_gives_up_after_some_looks() {
        let spin = patient();
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
