//! Closing in the middle of everything: each task ends, and all that was lent comes back.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use l2_core::testing::Host;
use l2_core::testing::fixtures::{Seeded, key, keys};
use l2_core::{ErrorKind, L2Error, Stored};

use crate::pool::{PAGE, Pool, home};

/// Nothing but the closing may be what kept it from being done.
#[track_caller]
fn assert_expected<T: std::fmt::Debug>(result: &Result<T, L2Error>) {
    if let Err(error) = result {
        let kinds = [ErrorKind::Closed, ErrorKind::Full, ErrorKind::Busy, ErrorKind::NotFound];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    }
}

/// Tasks that were taken, and tasks that nobody waits for.
fn work(host: &Host, seed: u64, submitted: &AtomicUsize) {
    let mut random = Seeded::new(seed);
    let batch = |random: &mut Seeded| (0..6).map(|_| key(random.below(40) as u64)).collect::<Vec<_>>();
    // Lengths belong to keys here, so that a load cannot ask for another.
    let bytes = |key: &l2_core::ObjectKey| 1 + usize::try_from(key.hash64() % (3 * PAGE as u64)).unwrap();
    let mut tasks = (Vec::new(), Vec::new());
    for _ in 0..12 {
        let (stored, loaded) = (batch(&mut random), batch(&mut random));
        let store = stored.iter().map(|key| host.item_of(key, bytes(key))).collect();
        tasks.0.push(host.adapter.submit_store(store));
        let load = loaded.iter().map(|key| host.blank_of(key, bytes(key))).collect();
        tasks.1.push((loaded, host.adapter.submit_load(load)));
        drop(host.adapter.submit_store(vec![host.item_of(&stored[0], bytes(&stored[0]))]));
        drop(host.adapter.submit_load(vec![host.blank_of(&stored[1], bytes(&stored[1]))]));
        host.adapter.delete(&stored[2..3]);
        submitted.fetch_add(1, Ordering::AcqRel);
    }
    for task in tasks.0 {
        host.wait(task).outcomes.iter().for_each(|outcome| assert_expected(&outcome.result));
    }
    for (keys, task) in tasks.1 {
        for (key, outcome) in keys.iter().zip(host.wait(task).outcomes) {
            assert_expected(&outcome.result);
            if let (Ok(_), Some(memory)) = (outcome.result, outcome.memory) {
                l2_core::testing::fixtures::check(key, memory.as_slice().unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn whatever_is_under_way_when_a_pool_closes_ends_and_gives_back_what_it_was_lent() {
    const THREADS: u64 = 3;
    let home = home();
    for round in 0..16 {
        let path = home.path().join(round.to_string());
        let pool = Pool::at(&path, 60).of(2 * PAGE).uring(round % 2 == 1).workers(1 + round % 3);
        let host = &pool.host(32 << 20);
        let (submitted, start) = (&AtomicUsize::new(0), &Barrier::new(4));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    start.wait();
                    work(host, thread << 32 | round as u64, submitted);
                });
            }
            start.wait();
            host.eventually("so much is submitted", || submitted.load(Ordering::Acquire) >= round);
            host.adapter.close().unwrap();
        });
        host.eventually("all tasks have ended", || host.adapter.status().tasks_in_flight == 0);
        host.eventually("all memory is free", || host.l1.leased_bytes() == 0);
        assert_eq!(pool.descriptors(), [0; 0], "round {round}");
        assert_eq!(pool.visible(), [""; 0]);
        assert!(!host.adapter.status().healthy);
    }
}

#[test]
fn what_is_asked_of_a_closed_pool_is_answered_closed() {
    let pool = Pool::fresh(8);
    let host = pool.host(1 << 20);
    host.must_store(&keys(4));
    host.adapter.close().unwrap();
    host.adapter.close().unwrap();
    let closed = |error: &L2Error| assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    for outcome in host.store(&keys(8)).outcomes {
        closed(&outcome.result.unwrap_err());
        assert!(outcome.memory.is_some());
    }
    for outcome in host.load(&keys(8)).outcomes {
        closed(&outcome.result.unwrap_err());
        assert!(outcome.memory.is_some());
    }
    for answer in host.lookup(&keys(8)).answers {
        assert!(matches!(answer, l2_core::Looked::Miss(error) if error.kind() == ErrorKind::Closed));
    }
    for answer in host.delete(&keys(8)).answers {
        assert!(matches!(answer, l2_core::Deleted::Failed(error) if error.kind() == ErrorKind::Closed));
    }
    host.adapter.unlock(&keys(8));
    assert_eq!(host.l1.leased_bytes(), 0);
}

/// Pages of a store that is under way go to nobody else, however it ends.
#[test]
fn stores_whose_reports_nobody_reads_are_stored_all_the_same() {
    let pool = Pool::fresh(64).of(2 * PAGE);
    let host = pool.host(8 << 20);
    for _ in 0..10 {
        for key in keys(128) {
            drop(host.adapter.submit_store(vec![host.item(&key)]));
        }
        host.eventually("they have ended", || host.adapter.status().tasks_in_flight == 0);
        // A report that nobody reads goes right after its task has ended.
        host.eventually("what they were lent is back", || host.l1.leased_bytes() == 0);
        let again = host.store(&keys(128));
        let present = |outcome: &l2_core::StoreOutcome| matches!(outcome.result, Ok(Stored::AlreadyPresent));
        assert!(again.outcomes.iter().all(present), "{again:?}");
        drop(again);
        host.must_load(&keys(128));
        host.must_delete(&keys(128));
        host.must_use(0);
    }
}
