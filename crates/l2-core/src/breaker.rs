//! The breaker: storage that fails again and again is left alone for a while, and tested until it works.
//!
//! While it is open nothing is asked of the storage: each request would cost its caller the wait for an error. One thread
//! tests the storage, with longer and longer pauses, and closes the breaker when it works; with the breaker closed there
//! is no such thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, L2Error};

/// Pause before the first test, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Counts the failures of one kind of request, batch by batch, and opens when there are too many in a row.
pub struct Breaker {
    /// So many in a row open it.
    most: u32,
    in_a_row: AtomicU32,
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
            is_open: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            tested: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Hears how a batch ended. Only what says something of the storage counts: that it worked, if only for one of them; else
    /// that it failed ([`ErrorKind::Io`]) or did not answer ([`ErrorKind::TimedOut`]), which is one failure however many there
    /// were: they may have one cause. Whether it has opened for that.
    pub fn hear<'a>(&self, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) -> bool {
        let mut failure = None;
        for result in results {
            match result {
                Ok(()) => {
                    // Almost always it is 0 already: to read it costs the other threads nothing.
                    if self.in_a_row.load(Ordering::Relaxed) > 0 {
                        self.in_a_row.store(0, Ordering::Relaxed);
                    }
                    return false;
                }
                Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::TimedOut) => {
                    failure.get_or_insert(error);
                }
                Err(_) => {}
            }
        }
        let Some(error) = failure else { return false };
        let failures = self.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let opens = failures >= self.most && !self.is_open.swap(true, Ordering::AcqRel);
        if opens {
            self.opened.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(failures, %error, "the storage fails again and again: it is left alone until it works");
        }
        opens
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
        if !self.is_open() {
            return false;
        }
        let mut tested = self.tested.lock().unwrap_or_else(PoisonError::into_inner);
        !tested.is_shut_down && !std::mem::replace(&mut tested.is_tested, true)
    }

    /// For who has [begun](Breaker::begin_test): tests the storage until it works, which closes the breaker, or the breaker
    /// is shut down. `test` says whether it works; between two calls there are pauses, each twice as long as the one before,
    /// from half a second to a minute.
    pub fn test_until_it_works(&self, test: impl FnMut() -> bool) {
        self.test_with_pauses(PAUSE, test);
    }

    fn test_with_pauses(&self, (mut pause, longest): (Duration, Duration), mut test: impl FnMut() -> bool) {
        while self.pause(pause) {
            if test() {
                self.in_a_row.store(0, Ordering::Relaxed);
                self.is_open.store(false, Ordering::Release);
                tracing::info!("the storage works again");
                break;
            }
            pause = (pause * 2).min(longest);
        }
        self.tested.lock().unwrap_or_else(PoisonError::into_inner).is_tested = false;
    }

    /// Waits. Whether it is to go on.
    fn pause(&self, pause: Duration) -> bool {
        let start = Instant::now();
        let mut tested = self.tested.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.tested.lock().unwrap_or_else(PoisonError::into_inner).is_shut_down = true;
        self.changed.notify_all();
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Breaker").field(&self.status()).finish()
    }
}

/// The breakers of an adapter.
pub struct Breakers {
    /// Of stores.
    pub stores: Breaker,
    /// Of lookups and loads: it opens later, for somebody waits for them, and others may work.
    pub loads: Breaker,
    works: OnceLock<Works>,
}

type Works = Box<dyn Fn() -> bool + Send + Sync>;

impl Breakers {
    /// Closed; they open after 5 batches in a row of stores that failed, and 10 of loads.
    pub fn new() -> Self {
        Self { stores: Breaker::new(5), loads: Breaker::new(10), works: OnceLock::new() }
    }

    /// How the storage is tested once a breaker is open: `works` says whether it works; it may block. What it holds should
    /// hold the adapter weakly.
    pub fn test_with(&self, works: impl Fn() -> bool + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.works.set(Box::new(works));
    }

    /// Hears how a batch of stores ended, as [`Breaker::hear`].
    pub fn hear_stores<'a>(self: &Arc<Self>, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) {
        if self.stores.hear(results) {
            self.test(|both| &both.stores);
        }
    }

    /// Hears how a batch of loads ended, as [`Breaker::hear`].
    pub fn hear_loads<'a>(self: &Arc<Self>, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) {
        if self.loads.hear(results) {
            self.test(|both| &both.loads);
        }
    }

    /// Has a thread test the storage.
    fn test(self: &Arc<Self>, pick: fn(&Self) -> &Breaker) {
        if !pick(self).begin_test() {
            return;
        }
        let both = Arc::clone(self);
        let test = move || pick(&both).test_until_it_works(|| both.works.get().is_none_or(|works| works()));
        let spawned = thread::Builder::new().name("nixl-l2:test".to_owned()).spawn(test);
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to test the storage: it is taken for good again");
            pick(self).test_with_pauses((Duration::ZERO, Duration::ZERO), || true);
        }
    }

    /// Ends the tests, for the adapter closes. It does not wait for them.
    pub fn shut_down(&self) {
        self.stores.shut_down();
        self.loads.shut_down();
    }
}

impl Default for Breakers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breakers").field("stores", &self.stores).field("loads", &self.loads).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(4));

    fn hear(breaker: &Breaker, kinds: &[Option<ErrorKind>]) {
        let error = |kind: &Option<ErrorKind>| kind.map(|kind| L2Error::new(kind, "asked for by the test"));
        let errors: Vec<_> = kinds.iter().map(error).collect();
        breaker.hear(errors.iter().map(|error| error.as_ref().map_or(Ok(()), Err)));
    }

    fn fail(breaker: &Breaker, kind: ErrorKind) {
        hear(breaker, &[Some(kind)]);
    }

    fn opened(most: u32) -> Breaker {
        let breaker = Breaker::new(most);
        (0..most).for_each(|_| fail(&breaker, ErrorKind::Io));
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn it_opens_after_so_many_failures_in_a_row_of_the_storage_and_of_nothing_else() {
        let breaker = Breaker::new(3);
        for kind in
            [ErrorKind::Full, ErrorKind::Busy, ErrorKind::NotFound, ErrorKind::Corrupt, ErrorKind::Closed]
        {
            (0..9).for_each(|_| fail(&breaker, kind));
        }
        for _ in 0..9 {
            fail(&breaker, ErrorKind::Io);
            fail(&breaker, ErrorKind::TimedOut);
            hear(&breaker, &[Some(ErrorKind::Io), None, Some(ErrorKind::Io)]);
        }
        assert_eq!(breaker.status(), BreakerStatus::default());
        assert!(!breaker.begin_test());
        // However many of a batch fail, it is one failure.
        hear(&breaker, &[Some(ErrorKind::Io); 64]);
        assert!(!breaker.is_open());
        hear(&breaker, &[None]);
        fail(&breaker, ErrorKind::Io);
        fail(&breaker, ErrorKind::TimedOut);
        fail(&breaker, ErrorKind::Full);
        assert!(!breaker.is_open());
        fail(&breaker, ErrorKind::Io);
        assert_eq!(breaker.status(), BreakerStatus { is_open: true, opened: 1 });
        fail(&breaker, ErrorKind::Io);
        assert_eq!(breaker.status().opened, 1);
        assert_eq!(Breaker::error().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn one_tests_it_until_it_works_and_it_may_open_again() {
        let breaker = opened(2);
        assert!(breaker.begin_test() && !breaker.begin_test(), "one is enough");
        let mut tests = 0;
        breaker.test_with_pauses(SHORT, || {
            tests += 1;
            assert!(breaker.is_open());
            tests == 4
        });
        assert!(tests == 4 && !breaker.is_open());
        fail(&breaker, ErrorKind::Io);
        assert!(!breaker.is_open(), "it counts from nothing");
        fail(&breaker, ErrorKind::Io);
        assert_eq!(breaker.status(), BreakerStatus { is_open: true, opened: 2 });
        assert!(breaker.begin_test());
    }

    #[test]
    fn what_is_shut_down_is_tested_no_more() {
        let breaker = &opened(1);
        assert!(breaker.begin_test());
        std::thread::scope(|scope| {
            let test =
                scope.spawn(|| breaker.test_with_pauses((Duration::from_secs(3600), SHORT.1), || true));
            breaker.shut_down();
            test.join().unwrap();
        });
        assert!(breaker.is_open() && !breaker.begin_test());
    }

    #[test]
    fn it_is_tested_as_soon_as_it_opens_and_by_one_alone() {
        let both = Arc::new(Breakers::new());
        let (tests, told) = std::sync::mpsc::channel();
        both.test_with(move || tests.send(()).is_ok());
        let error = L2Error::new(ErrorKind::Io, "asked for by the test");
        (0..9).for_each(|_| both.hear_stores([Err(&error), Err(&error)]));
        assert!(both.stores.is_open() && !both.loads.is_open());
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        let start = Instant::now();
        while both.stores.is_open() {
            assert!(start.elapsed() < Duration::from_secs(60), "it works, and is not taken");
            thread::yield_now();
        }
        assert!(told.try_recv().is_err(), "one test was enough");
        both.shut_down();
    }
}
