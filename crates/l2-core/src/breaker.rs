//! The breaker: storage that fails again and again is left alone for a while, and tested until it works.
//!
//! While it is open nothing is asked of the storage: each request would cost its caller the wait for an error. One thread
//! tests the storage, with longer and longer pauses, and closes the breaker when it works; with the breaker closed there
//! is no such thread.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, L2Error};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Pause before the first test, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Counts the failures of one kind of request, batch by batch, and opens when there are too many in a row.
pub struct Breaker {
    /// So many in a row open it.
    most: u32,
    /// Counts up under the lock; what goes well sets it to 0 without.
    in_a_row: AtomicU32,
    /// The same, of what proves less; the sum of both opens it.
    lesser_in_a_row: AtomicU32,
    /// Changes under the lock, together with who tests; it is read without.
    is_open: AtomicBool,
    /// How often it has opened.
    opened: AtomicU64,
    tested: Mutex<Tested>,
    changed: Condvar,
}

#[derive(Default)]
struct Tested {
    is_tested: bool,
    is_shut_down: bool,
}

/// How a breaker is, for a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BreakerStatus {
    /// Whether requests are answered without asking the storage.
    pub is_open: bool,
    /// How often it has opened.
    pub opened: u64,
}

impl Breaker {
    /// One that is closed, and opens after so many failures in a row.
    pub fn new(most: u32) -> Self {
        Self {
            most: most.max(1),
            in_a_row: AtomicU32::new(0),
            lesser_in_a_row: AtomicU32::new(0),
            is_open: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            tested: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Held for a moment, never while the storage is asked or something is logged.
    fn tested(&self) -> MutexGuard<'_, Tested> {
        self.tested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears how a batch ended. Only what says something of the storage counts: that it worked, if only for one of them; else
    /// that it failed ([`ErrorKind::Io`]) or did not answer ([`ErrorKind::TimedOut`]), which is one failure however many there
    /// were: they may have one cause. Whether it has opened for that.
    pub fn hear<'a>(&self, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) -> bool {
        match Says::of(results) {
            Says::Works => {
                forget(&self.in_a_row);
                forget(&self.lesser_in_a_row);
                false
            }
            Says::Fails(error) => self.count(&self.in_a_row, error),
            Says::Nothing => false,
        }
    }

    /// Hears how a batch ended that proves less when it works than those of [`Breaker::hear`]: its failures count as theirs do,
    /// but its success forgets its own kind's alone. Whether it has opened for that.
    pub fn hear_lesser<'a>(&self, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) -> bool {
        match Says::of(results) {
            Says::Works => {
                forget(&self.lesser_in_a_row);
                false
            }
            Says::Fails(error) => self.count(&self.lesser_in_a_row, error),
            Says::Nothing => false,
        }
    }

    /// Counts a failure. Whether it has opened for that.
    fn count(&self, in_a_row: &AtomicU32, error: &L2Error) -> bool {
        let failures = {
            let _tested = self.tested();
            // What ends late, begun before it opened, says nothing new: it is not to count against storage that works again.
            if self.is_open() {
                return false;
            }
            in_a_row.fetch_add(1, Ordering::Relaxed);
            let counts = [&self.in_a_row, &self.lesser_in_a_row].map(|count| count.load(Ordering::Relaxed));
            let failures = counts[0].saturating_add(counts[1]);
            if failures < self.most {
                return false;
            }
            self.is_open.store(true, Ordering::Release);
            self.opened.fetch_add(1, Ordering::Relaxed);
            failures
        };
        tracing::warn!(failures, %error, "the storage fails again and again: it is left alone until it works");
        true
    }

    /// Whether nothing is to be asked of the storage.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// What a request is told while it is open.
    pub fn error() -> L2Error {
        let what =
            "the storage failed again and again and is left alone until it works; it is tested meanwhile";
        L2Error::new(ErrorKind::Unavailable, what)
    }

    /// How it is.
    pub fn status(&self) -> BreakerStatus {
        BreakerStatus { is_open: self.is_open(), opened: self.opened.load(Ordering::Relaxed) }
    }

    /// The right to test the storage, if the breaker is open and nobody does yet.
    pub fn begin_test(&self) -> bool {
        let mut tested = self.tested();
        self.is_open() && !tested.is_shut_down && !std::mem::replace(&mut tested.is_tested, true)
    }

    /// For who has [begun](Breaker::begin_test): tests the storage until it works, which closes the breaker, or the breaker
    /// is shut down. `test` says whether it works; between two calls there are pauses, each twice as long as the one before,
    /// from half a second to a minute. A panic in it closes the breaker, too: nobody else would.
    pub fn test_until_it_works(&self, test: impl FnMut() -> bool) {
        self.test_with_pauses(PAUSE, test);
    }

    pub(crate) fn test_with_pauses(
        &self,
        (mut pause, longest): (Duration, Duration),
        mut test: impl FnMut() -> bool,
    ) {
        // Its end closes the breaker.
        let _testing = Testing(self);
        while self.pause(pause) && !test() {
            pause = (pause * 2).min(longest);
        }
    }

    /// Ends a test and closes the breaker, both at once: between the two it could open again, with nobody to test it. One
    /// that is shut down stays open. Whether it has closed.
    fn end_test(&self) -> bool {
        let mut tested = self.tested();
        tested.is_tested = false;
        if tested.is_shut_down {
            return false;
        }
        forget(&self.in_a_row);
        forget(&self.lesser_in_a_row);
        self.is_open.store(false, Ordering::Release);
        true
    }

    /// Waits. Whether it is to go on.
    fn pause(&self, pause: Duration) -> bool {
        let start = Instant::now();
        let mut tested = self.tested();
        while !tested.is_shut_down {
            let Some(left) = pause.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                return true;
            };
            tested = self.changed.wait_timeout(tested, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Ends the test, for the adapter closes. It does not wait for it.
    pub fn shut_down(&self) {
        self.tested().is_shut_down = true;
        self.changed.notify_all();
    }
}

/// Sets a count to 0. Almost always it is that already, and to read it costs the other threads nothing.
fn forget(in_a_row: &AtomicU32) {
    if in_a_row.load(Ordering::Relaxed) > 0 {
        in_a_row.store(0, Ordering::Relaxed);
    }
}

/// What a batch says of the storage.
enum Says<'a> {
    Works,
    Fails(&'a L2Error),
    Nothing,
}

impl<'a> Says<'a> {
    fn of(results: impl IntoIterator<Item = Result<(), &'a L2Error>>) -> Self {
        let mut says = Self::Nothing;
        for result in results {
            match result {
                Ok(()) => return Self::Works,
                Err(error) if !matches!(error.kind(), ErrorKind::Io | ErrorKind::TimedOut) => {}
                Err(error) => says = Self::Fails(error),
            }
        }
        says
    }
}

/// A test under way, however it ends.
struct Testing<'a>(&'a Breaker);

impl Drop for Testing<'_> {
    fn drop(&mut self) {
        let has_closed = self.0.end_test();
        if thread::panicking() {
            tracing::error!("a test of the storage panicked; this is a bug, and it is taken for good again");
        } else if has_closed {
            tracing::info!("the storage works again");
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Breaker").field(&self.status()).finish()
    }
}
