//! Pins have an owner, and end by themselves when nobody gives them back.

use std::slice::from_ref;
use std::time::Duration;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{Deleted, ErrorKind, ObjectKey, TaskId};

use crate::pool::{Pool, store_of};

/// So short that a test need not wait for it.
const TTL: Option<Duration> = Some(Duration::from_millis(1));

/// Pins a key that is there; whose pin it is.
#[track_caller]
fn pin(host: &Host, key: &ObjectKey) -> TaskId {
    let lookup = host.adapter.submit_lookup_and_lock(vec![key.clone()]);
    let task = lookup.id();
    assert!(host.wait(lookup).answers[0].is_hit(), "{key} is there");
    task
}

#[track_caller]
fn must_be_pinned(host: &Host, key: &ObjectKey) {
    let answers = host.delete(from_ref(key)).answers;
    assert!(matches!(answers[0], Deleted::Busy), "{answers:?}");
}

#[test]
fn a_pin_that_nobody_gives_back_ends_by_itself_and_is_counted() {
    let host = Pool::fresh(8).pins_end_after(TTL).host(4 << 20);
    host.must_store(&keys(3));
    for _ in 0..2 {
        host.must_hit(&keys(2));
    }
    host.eventually("the pins have ended", || {
        matches!(host.delete(&[key(0)]).answers[0], Deleted::Freed { .. })
    });
    host.eventually("all that ended are counted", || host.adapter.status().expired_pins == 4);
    let status = host.adapter.status();
    assert_eq!((status.pinned_objects, status.stored_objects), (0, 2), "{status:?}");
    // What is unlocked late is nobody's any more.
    host.adapter.unlock(&keys(2));
    host.must_delete(&[key(1), key(2)]);
    assert_eq!(host.adapter.status().expired_pins, 4);
}

#[test]
fn a_pin_whose_time_is_over_keeps_no_other_object_from_the_key() {
    let host = Pool::fresh(8).pins_end_after(TTL).host(4 << 20);
    host.must_store(&keys(1));
    pin(&host, &key(0));
    host.eventually("another length is stored", || store_of(&host, &key(0), 2 * host.object_bytes).is_ok());
    assert_eq!(host.present(&key(0)), Some(2 * host.object_bytes as u64));
}

#[test]
fn a_pin_without_an_end_stays_and_only_its_own_lookup_gives_it_back_by_its_number() {
    let host = Pool::fresh(8).pins_end_after(None).host(4 << 20);
    host.must_store(&keys(2));
    let first = pin(&host, &key(0));
    let second = pin(&host, &key(0));
    let other = pin(&host, &key(1));
    for _ in 0..3 {
        host.adapter.unlock_task(second, &[key(0)]);
        host.adapter.unlock_task(other, &[key(0)]);
        host.adapter.unlock_task(second + 1000, &[key(0)]);
    }
    must_be_pinned(&host, &key(0));
    assert!(store_of(&host, &key(0), 2 * host.object_bytes).is_err_and(|e| e.kind() == ErrorKind::Busy));
    host.adapter.unlock_task(first, &keys(2));
    host.must_delete(&[key(0)]);
    must_be_pinned(&host, &key(1));
    host.adapter.unlock_task(other, &[key(1)]);
    host.must_delete(&[key(1)]);
    assert_eq!(host.adapter.status().expired_pins, 0);
}
