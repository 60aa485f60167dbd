//! Many orders of threads for state where the order matters: shuttle's scheduler runs each step of each thread, in an order
//! drawn at random, thousands of times. The modules are those of the crate, compiled with shuttle's locks.

mod sync {
    pub(crate) use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::sync::PoisonError;
}

mod error {
    pub(crate) use l2_core::{ErrorKind, L2Error};
}

#[expect(dead_code, unreachable_pub, reason = "only a part of what the crate has is used here")]
#[path = "../../src/backlog.rs"]
mod backlog;
#[expect(dead_code, unreachable_pub, reason = "only a part of what the crate has is used here")]
#[path = "../../src/breaker.rs"]
mod breaker;

use std::time::Duration;

use backlog::{Backlog, Deferred, Turn};
use breaker::Breaker;
use l2_core::{ErrorKind, L2Error};
use sync::Arc;
use sync::atomic::{AtomicU32, Ordering};

/// How many orders of the threads are tried.
const ORDERS: usize = 5_000;

/// Whatever opens a breaker has it tested, and after the last test it is closed: it is never open with nobody to test it.
#[test]
fn a_breaker_that_opens_is_always_tested() {
    let run = || {
        let breaker = Arc::new(Breaker::new(2));
        let threads = (0..3).map(|_| {
            let breaker = Arc::clone(&breaker);
            shuttle::thread::spawn(move || {
                for _ in 0..2 {
                    let error = L2Error::new(ErrorKind::Io, "asked for by the test");
                    if breaker.hear([Err(&error)]) && breaker.begin_test() {
                        breaker.test_with_pauses((Duration::ZERO, Duration::ZERO), || true);
                    }
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!breaker.is_open(), "it is open, and nobody tests it");
    };
    shuttle::check_random(run, ORDERS);
    shuttle::check_pct(run, ORDERS, 3);
}

/// A place for one, and three who want it: each gets it in the end or finds it hopeless, and none waits when all is over.
#[test]
fn no_store_waits_for_room_when_none_is_under_way() {
    let run = || {
        let (backlog, room) = (Arc::new(Backlog::<u32>::new()), Arc::new(AtomicU32::new(1)));
        let served = Arc::new(AtomicU32::new(0));
        let threads = (0..3).map(|store| {
            let (backlog, room, served) = (Arc::clone(&backlog), Arc::clone(&room), Arc::clone(&served));
            shuttle::thread::spawn(move || {
                try_to_store(store, &backlog, &room, &served, Turn::Last);
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(backlog.take(), None, "it waits, and nobody is there to take it");
        assert!(served.load(Ordering::SeqCst) >= 1);
    };
    shuttle::check_random(run, ORDERS);
    shuttle::check_pct(run, ORDERS, 3);
}

/// As an adapter's worker does it. `false` when the store waits.
fn try_to_store(
    mut store: u32,
    backlog: &Backlog<u32>,
    room: &AtomicU32,
    served: &AtomicU32,
    turn: Turn,
) -> bool {
    loop {
        let since = backlog.now();
        let taken = room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1));
        if taken.is_ok() {
            let under_way = backlog.begin();
            served.fetch_add(1, Ordering::SeqCst);
            room.fetch_add(1, Ordering::SeqCst);
            drop(under_way);
            // What waits is tried again, until one has to wait on.
            while let Some(next) = backlog.take()
                && try_to_store(next, backlog, room, served, Turn::First)
            {}
            return true;
        }
        store = match backlog.defer(store, since, turn) {
            Deferred::Waits => return false,
            Deferred::Hopeless(_) => return true,
            Deferred::TryAgain(store) => store,
        };
    }
}
