//! Pins: each hit is one, each unlock gives one back, and while there is one the object stays.

use super::prelude::*;
use crate::report::LookupReport;
use crate::task::{Task, TaskId};

/// Panics unless `key` is pinned: a delete leaves it.
#[track_caller]
fn must_be_pinned(host: &Host, key: &ObjectKey) {
    let report = host.delete(std::slice::from_ref(key));
    assert!(matches!(report.answers[0], Deleted::Busy), "delete of {key}, which is pinned: {report:?}");
}

pub fn a_pinned_object_is_not_deleted(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(3));
    host.must_hit(&[key(1)]);
    let report = host.delete(&keys(3));
    assert!(matches!(report.answers[1], Deleted::Busy), "{report:?}");
    assert_eq!(report.freed_bytes(), 2 * host.object_bytes as u64, "the others are deleted: {report:?}");
    host.must_use(1);
    host.must_load(&[key(1)]);
    host.adapter.unlock(&[key(1)]);
    host.must_delete(&[key(1)]);
}

pub fn pins_count(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&[key(0)]);
    // Two lookups, and the same key twice in a third: four pins.
    host.must_hit(&[key(0)]);
    host.must_hit(&[key(0)]);
    host.must_hit(&[key(0), key(0)]);
    must_be_pinned(&host, &key(0));
    host.adapter.unlock(&[key(0)]);
    must_be_pinned(&host, &key(0));
    // One per occurrence.
    host.adapter.unlock(&[key(0), key(0)]);
    must_be_pinned(&host, &key(0));
    host.adapter.unlock(&[key(0)]);
    host.must_delete(&[key(0)]);
}

pub fn unlocking_unknown_keys_is_harmless(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(2));
    host.must_hit(&[key(0)]);
    host.adapter.unlock(&[key(8), key(9), key(8)]);
    must_be_pinned(&host, &key(0));
    host.must_use(2);
}

pub fn unlocking_more_than_was_pinned_is_harmless(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&[key(0)]);
    host.adapter.unlock(&[key(0), key(0)]);
    host.must_hit(&[key(0)]);
    must_be_pinned(&host, &key(0));
    host.adapter.unlock(&[key(0)]);
    host.must_delete(&[key(0)]);
}

pub fn misses_pin_nothing(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_miss(&keys(2));
    host.must_store(&keys(2));
    host.must_delete(&keys(2));
}

pub fn a_load_needs_no_pin_and_takes_none(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(2));
    host.must_load(&keys(2));
    host.must_delete(&keys(2));
}

pub fn a_lookup_dropped_when_done_gives_its_pins_back(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(3));
    let lookup = host.adapter.submit_lookup_and_lock(vec![key(0), key(9), key(1), key(0)]);
    host.eventually("the lookup ends", || lookup.is_done());
    must_be_pinned(&host, &key(0));
    drop(lookup);
    host.must_delete(&keys(3));
}

pub fn a_lookup_dropped_before_it_is_done_gives_its_pins_back(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(3));
    for _ in 0..20 {
        // The miss sends it to the storage, so that it may still be under way.
        drop(host.adapter.submit_lookup_and_lock(vec![key(0), key(9), key(1), key(0)]));
    }
    host.eventually("the pins are given back", || host.adapter.status().pinned_objects == 0);
    host.must_delete(&keys(3));
}

pub fn what_was_taken_from_a_lookup_keeps_its_pins(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(2));
    let mut lookup = host.adapter.submit_lookup_and_lock(keys(2));
    host.eventually("the lookup ends", || lookup.is_done());
    drop(lookup.try_take());
    drop(lookup);
    must_be_pinned(&host, &key(0));
    must_be_pinned(&host, &key(1));
}

pub fn a_dropped_lookup_gives_back_no_pin_but_its_own(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&[key(0)]);
    let lookup = host.adapter.submit_lookup_and_lock(keys(2));
    host.eventually("the lookup ends", || lookup.is_done());
    // It missed key 1, which another lookup pins now, and key 0 has two pins.
    host.must_store(&[key(1)]);
    host.must_hit(&keys(2));
    drop(lookup);
    must_be_pinned(&host, &key(0));
    must_be_pinned(&host, &key(1));
}

/// Pins one key; the number of the lookup, whose result is taken.
#[track_caller]
fn pin(host: &Host, key: &ObjectKey) -> TaskId {
    let lookup = host.adapter.submit_lookup_and_lock(vec![key.clone()]);
    let id = lookup.id();
    let report = host.wait(lookup);
    assert!(report.answers[0].is_hit(), "{report:?}");
    id
}

pub fn a_pin_belongs_to_the_lookup_that_took_it(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&[key(0)]);
    let (first, second) = (pin(&host, &key(0)), pin(&host, &key(0)));
    host.adapter.unlock_task(first, &[key(0)]);
    host.adapter.unlock_task(first, &[key(0), key(0)]);
    must_be_pinned(&host, &key(0));
    host.adapter.unlock_task(second, &[key(0)]);
    host.must_delete(&[key(0)]);
}

/// As by [`L2Adapter::unlock`].
pub fn a_lookups_pins_are_given_back_one_for_each_occurrence(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(2));
    let lookup = host.adapter.submit_lookup_and_lock(vec![key(0), key(1), key(0), key(0)]);
    let id = lookup.id();
    assert_eq!(host.wait(lookup).bitmap(), [true; 4]);
    host.adapter.unlock_task(id, &[key(0)]);
    must_be_pinned(&host, &key(0));
    host.adapter.unlock_task(id, &[key(0), key(0)]);
    host.must_delete(&[key(0)]);
    must_be_pinned(&host, &key(1));
    // Whoever does not know the lookup's number can give it back all the same.
    host.adapter.unlock(&[key(1)]);
    host.must_delete(&[key(1)]);
}

pub fn giving_back_pins_of_a_task_that_has_none_is_harmless(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(2));
    let missed = host.adapter.submit_lookup_and_lock(vec![key(9)]);
    let other = missed.id();
    host.wait(missed);
    let id = pin(&host, &key(0));
    // A lookup that hit nothing, a store, a task that there never was.
    for task in [other, 0, id + 1, TaskId::MAX] {
        host.adapter.unlock_task(task, &keys(2));
    }
    // Keys that are unknown, or not pinned, by a task that has a pin; and none.
    host.adapter.unlock_task(id, &[key(8), key(1), key(9)]);
    host.adapter.unlock_task(id, &[]);
    must_be_pinned(&host, &key(0));
    host.must_use(2);
    host.adapter.unlock_task(id, &[key(8), key(0)]);
    host.must_delete(&keys(2));
}

pub fn a_dropped_lookup_gives_back_its_own_pin_whatever_else_was_unlocked(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&[key(0)]);
    let lookup = || -> Task<LookupReport> {
        let lookup = host.adapter.submit_lookup_and_lock(vec![key(0)]);
        host.eventually("the lookup ends", || lookup.is_done());
        lookup
    };
    let [first, second, third] = [(); 3].map(|()| lookup());
    host.adapter.unlock_task(second.id(), &[key(0)]);
    // The second has none any more, and takes neither the first's nor the third's.
    drop(second);
    drop(first);
    must_be_pinned(&host, &key(0));
    drop(third);
    host.must_delete(&[key(0)]);
}
