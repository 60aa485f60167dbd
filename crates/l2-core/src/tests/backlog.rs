//! Stores that wait for room.

use std::sync::Arc;

use crate::backlog::{Backlog, Deferred, Turn};

#[test]
fn a_store_waits_only_while_another_is_under_way_and_is_tried_again_when_one_has_ended() {
    let backlog = Backlog::new();
    let start = backlog.now();
    let defer = |store, since| backlog.defer(store, since, Turn::Last);
    assert!(matches!(defer(1, start), Deferred::Hopeless(1)), "nothing is under way");
    let (one, two) = (backlog.begin(), backlog.begin());
    assert!(matches!(defer(1, start), Deferred::Waits));
    assert!(matches!(defer(2, start), Deferred::Waits));
    drop(one);
    assert!(matches!(defer(3, start), Deferred::TryAgain(3)), "one has ended");
    let now = backlog.now();
    assert!(matches!(defer(3, now), Deferred::Waits));
    assert_eq!(backlog.take(), Some(1));
    assert!(matches!(backlog.defer(1, now, Turn::First), Deferred::Waits), "it finds no room again");
    assert_eq!((backlog.take(), backlog.take()), (Some(1), Some(2)));
    drop(two);
    assert!(matches!(defer(1, now), Deferred::TryAgain(1)));
    assert!(matches!(defer(1, backlog.now()), Deferred::Hopeless(1)));
    assert_eq!((backlog.take_all(), backlog.take()), (vec![3], None));
}

#[test]
fn what_waits_when_it_is_closed_is_dropped_and_nothing_waits_any_more() {
    let backlog = Backlog::new();
    let _under_way = backlog.begin();
    let store = Arc::new(());
    assert!(matches!(backlog.defer(Arc::clone(&store), backlog.now(), Turn::Last), Deferred::Waits));
    backlog.close();
    assert_eq!(Arc::strong_count(&store), 1);
    assert!(matches!(backlog.defer(store, backlog.now(), Turn::Last), Deferred::Hopeless(_)));
}

#[test]
fn what_waits_for_one_that_panics_is_lost_and_does_not_wait_for_ever() {
    let backlog = Backlog::new();
    let store = Arc::new(());
    let dies = &backlog;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _under_way = dies.begin();
        assert!(matches!(dies.defer(Arc::clone(&store), dies.now(), Turn::Last), Deferred::Waits));
        panic!("as a worker might");
    }));
    assert!(panicked.is_err());
    assert_eq!(Arc::strong_count(&store), 1);
}
