//! Waiting for a deletion, and trying it again.

use std::sync::Barrier;
use std::time::Instant;

use l2_index::{BeginDelete, Pin};

use super::*;

/// Each round waits for the deletion that another thread ends with `end`.
fn is_woken_by(end: impl Fn(Deletion) + Sync) {
    const ROUNDS: usize = 200;
    let (index, _) = with_one();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let deletion = deleting(&index, &key(1));
        let ready = Barrier::new(2);
        std::thread::scope(|scope| {
            let ender = scope.spawn(|| {
                ready.wait();
                // For the other to be waiting, mostly.
                (0..20).for_each(|_| std::thread::yield_now());
                end(deletion);
            });
            ready.wait();
            assert!(index.await_deletion(&key(1), VERY_LONG));
            ender.join().unwrap();
        });
        assert!(start.elapsed() < VERY_LONG, "it was not woken");
        if let BeginDelete::Started(failed) = index.begin_delete(&key(1)) {
            failed.finish();
        }
        stored(&index, &key(1), 4);
    }
}

#[test]
fn who_waits_for_a_deletion_is_woken_when_it_finishes() {
    is_woken_by(Deletion::finish);
}

#[test]
fn who_waits_for_a_deletion_is_woken_when_it_fails() {
    is_woken_by(Deletion::fail);
}

#[test]
fn who_waits_for_a_deletion_gives_up_at_the_limit() {
    let (index, _) = with_one();
    let deletion = deleting(&index, &key(1));
    let limit = Duration::from_millis(20);
    let start = Instant::now();
    assert!(!index.await_deletion(&key(1), limit));
    assert!(start.elapsed() >= limit, "it gave up too early");
    assert!(!index.await_deletion(&key(1), Duration::ZERO));
    deletion.finish();
    assert!(index.await_deletion(&key(1), Duration::ZERO));
}

#[test]
fn the_end_of_another_deletion_does_not_end_the_wait_for_this_one() {
    let index = Arc::new(Index::new(10));
    let keys = keys_of_one_shard(2);
    keys.iter().for_each(|key| stored(&index, key, 4));
    let (this, other) = (deleting(&index, &keys[0]), deleting(&index, &keys[1]));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let gone = index.await_deletion(&keys[0], VERY_LONG);
            (gone, index.get(&keys[0]))
        });
        other.finish();
        std::thread::yield_now();
        this.finish();
        assert_eq!(waiter.join().unwrap(), (true, None));
    });
}

#[test]
fn nobody_waits_for_what_nobody_deletes() {
    let (index, _) = with_one();
    let is_free = |number| index.await_deletion(&key(number), Duration::ZERO);
    let storing = reserved(&index, &key(3), 1);
    assert!(is_free(1) && is_free(2) && is_free(3), "stored, unknown and being stored");
    assert!(index.condemn(&candidate(&index)));
    assert!(is_free(1), "only condemned");
    deleting(&index, &key(1)).fail();
    assert!(is_free(1), "given up");
    drop(storing);
}

#[test]
fn a_deletion_that_failed_is_tried_again_by_the_next() {
    let (index, _) = with_one();
    deleting(&index, &key(1)).fail();
    drop(deleting(&index, &key(1)));
    assert_eq!((index.used_bytes(), index.objects()), (4, 0));
    let last = deleting(&index, &key(1));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Deleting), "one at a time");
    assert_eq!(pin(&index, &key(1), 7), Pin::Deleting);
    last.finish();
    assert_eq!(index.used_bytes(), 0);
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Absent));
}
