//! Stores far above the capacity: with eviction none is refused, the capacity holds, and what is pinned stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use nixl_l2::{ErrorKind, ObjectKey};

use crate::setup::{LRU, OBJECT, Setup, all_stored, full};

/// Room for so many objects.
const ROOM: usize = 32;

fn range(from: u64, count: u64) -> Vec<ObjectKey> {
    (from..from + count).map(key).collect()
}

/// Does this while another thread looks whether the capacity is passed.
fn watched(host: &Host, work: impl FnOnce() + Send) {
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // It panics when the capacity is passed.
                host.used();
                thread::yield_now();
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Release);
        watch.join().unwrap();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn of_stores_one_after_the_other_none_fails_and_what_is_pinned_stays() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = setup.host(ROOM);
        host.must_store(&keys(8));
        host.must_hit(&keys(8));
        watched(&host, || {
            for batch in 0..60 {
                host.must_store(&range(100 + 10 * batch, 10));
            }
        });
        host.must_load(&keys(8));
        host.must_load(&range(690, 10));
    }
}

#[test]
fn of_a_batch_far_above_the_capacity_no_store_fails() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = setup.host(ROOM);
        host.must_store(&keys(8));
        host.must_hit(&keys(8));
        watched(&host, || {
            for round in 0..3 {
                all_stored(&host.store(&range(100 + 400 * round, 400)));
            }
        });
        host.must_load(&keys(8));
    }
}

#[test]
fn of_many_batches_at_once_far_above_the_capacity_no_store_fails_and_what_is_pinned_stays() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = &setup.host(ROOM);
        host.must_store(&keys(8));
        host.must_hit(&keys(8));
        watched(host, || {
            thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        let batch = |batch: u64| {
                            let keys = range(1000 * (thread + 1) + 40 * batch, 40);
                            keys.iter().map(|key| host.item(key)).collect()
                        };
                        let tasks: Vec<_> = (0..8).map(|at| host.adapter.submit_store(batch(at))).collect();
                        tasks.into_iter().for_each(|task| all_stored(&host.wait(task)));
                    });
                }
            });
        });
        host.must_load(&keys(8));
        host.adapter.unlock(&keys(8));
        assert_eq!(host.l1.leased_bytes(), 0);
    }
}

/// Stores until a lookup comes before eviction, which may begin at once.
#[track_caller]
fn must_pin(host: &Host, key: &ObjectKey) {
    host.eventually("it is pinned", || {
        all_stored(&host.store(std::slice::from_ref(key)));
        host.lookup(std::slice::from_ref(key)).answers[0].is_hit()
    });
}

#[test]
fn when_all_is_pinned_a_store_is_rejected_and_told_why_and_goes_on_when_a_pin_is_given_back() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = setup.host(4);
        for number in 0..4 {
            must_pin(&host, &key(number));
        }
        let said = full(&host.store(&[key(9)]));
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("pinned") && said[0].contains("nothing more can be evicted"), "{}", said[0]);
        assert!(said[0].contains(&(4 * OBJECT).to_string()), "{}", said[0]);
        host.must_load(&keys(4));
        host.adapter.unlock(&[key(2)]);
        host.must_store(&[key(9)]);
        host.must_miss(&[key(2)]);
        host.must_load(&[key(0), key(1), key(3)]);
    }
}

#[test]
fn without_eviction_what_does_not_fit_is_rejected() {
    for setup in Setup::both() {
        let host = setup.host(ROOM);
        let said = full(&host.store(&keys(100)));
        assert_eq!(said.len(), 100 - ROOM);
        assert!(said.iter().all(|said| said.contains("configure eviction")), "{}", said[0]);
        host.must_load(&keys(ROOM as u64));
        host.must_use(ROOM);
    }
}

#[test]
fn what_is_larger_than_everything_is_rejected_and_costs_nothing() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = setup.host(8);
        host.must_store(&keys(6));
        let report = host.store_items(vec![host.item_of(&key(9), 9 * OBJECT)]);
        let error = report.failures().next().unwrap().1;
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.to_string().contains("never fit"), "{error}");
        host.must_load(&keys(6));
    }
}

#[test]
fn of_a_burst_into_an_adapter_that_is_closed_every_task_ends() {
    for setup in Setup::both() {
        let setup = setup.evicting(LRU);
        let host = setup.host(ROOM);
        let batch = |batch: u64| range(100 * batch, 40).iter().map(|key| host.item(key)).collect();
        let tasks: Vec<_> = (0..20).map(|number| host.adapter.submit_store(batch(number))).collect();
        host.adapter.close().unwrap();
        for task in tasks {
            let report = task.wait(Duration::ZERO).expect("it ended before the close did");
            for (key, error) in report.failures() {
                assert_eq!(error.kind(), ErrorKind::Closed, "{key:?}: {error}");
            }
        }
        assert_eq!(host.l1.leased_bytes(), 0);
    }
}
