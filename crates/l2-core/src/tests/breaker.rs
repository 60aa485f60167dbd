//! Breakers, one thread after the other; `tests/interleavings` has them side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::breaker::{Breaker, BreakerStatus};
use crate::error::{ErrorKind, L2Error};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing::span;

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
    for kind in [ErrorKind::Full, ErrorKind::Busy, ErrorKind::NotFound, ErrorKind::Corrupt, ErrorKind::Closed]
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
        // What was begun before it opened ends.
        fail(&breaker, ErrorKind::TimedOut);
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

/// Fails a breaker as soon as it says that the storage works again.
struct FailsThen {
    breaker: Arc<Breaker>,
    /// Whether it was to be tested for that.
    is_tested: AtomicBool,
}

impl tracing::Subscriber for FailsThen {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        if *event.metadata().level() == tracing::Level::INFO {
            fail(&self.breaker, ErrorKind::TimedOut);
            self.is_tested.store(self.breaker.begin_test(), Ordering::Release);
        }
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn one_that_opens_again_while_its_last_test_ends_is_tested_again() {
    let breaker = Arc::new(opened(1));
    assert!(breaker.begin_test());
    let fails = Arc::new(FailsThen { breaker: Arc::clone(&breaker), is_tested: AtomicBool::new(false) });
    tracing::subscriber::with_default(Arc::clone(&fails), || breaker.test_with_pauses(SHORT, || true));
    assert_eq!(breaker.status(), BreakerStatus { is_open: true, opened: 2 });
    assert!(fails.is_tested.load(Ordering::Acquire), "another test begins");
    assert!(!breaker.begin_test(), "and the end of the last one has left it alone");
    breaker.test_with_pauses(SHORT, || true);
    assert!(!breaker.is_open());
}

#[test]
fn a_test_that_panics_does_not_leave_it_open_for_ever() {
    let breaker = opened(1);
    assert!(breaker.begin_test());
    let panics = || breaker.test_with_pauses(SHORT, || panic!("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert!(!breaker.is_open());
    fail(&breaker, ErrorKind::Io);
    assert!(breaker.is_open() && breaker.begin_test());
}

#[test]
fn what_is_shut_down_is_tested_no_more() {
    let breaker = &opened(1);
    assert!(breaker.begin_test());
    std::thread::scope(|scope| {
        let test = scope.spawn(|| breaker.test_with_pauses((Duration::from_secs(3600), SHORT.1), || true));
        breaker.shut_down();
        test.join().unwrap();
    });
    assert!(breaker.is_open() && !breaker.begin_test());
}
