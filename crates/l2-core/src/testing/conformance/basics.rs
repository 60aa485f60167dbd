//! What is stored can be looked up, loaded and deleted; everything is told key by key, in order.

use super::prelude::*;

pub fn what_is_stored_is_loaded_byte_for_byte(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let mut keys = keys(8);
    host.must_store(&keys);
    keys.reverse();
    host.must_load(&keys);
}

pub fn what_is_stored_can_be_looked_up_with_its_length(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let keys = keys(8);
    host.must_store(&keys);
    host.must_hit(&keys);
}

pub fn a_key_that_was_never_stored_is_a_miss(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    host.must_miss(&keys(4));
    host.must_store(&[key(0)]);
    host.must_miss(&[key(1)]);
    let load = host.load(&[key(1)]);
    assert!(failed_as(&load.outcomes[0].result, ErrorKind::NotFound), "{load:?}");
}

pub fn a_store_of_a_present_key_writes_nothing(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    host.must_store(&[key(0)]);
    // Other bytes under the same key: the object of a key never changes.
    let other = StoreItem { key: key(0), ..host.item(&key(1)) };
    let report = host.store_items(vec![other]);
    assert!(matches!(report.outcomes[0].result, Ok(Stored::AlreadyPresent)), "{report:?}");
    assert_eq!(report.lmcache_result(), 0, "that is a success without bytes");
    host.must_use(1);
    host.must_load(&[key(0)]);
}

pub fn of_a_key_twice_in_one_batch_one_is_stored(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let other = StoreItem { key: key(0), ..host.item(&key(7)) };
    let report = host.store_items(vec![host.item(&key(0)), other, host.item(&key(1))]);
    let bytes = host.object_bytes as u64;
    assert!(is_written(&report.outcomes[0].result, bytes), "the first is stored: {report:?}");
    assert!(matches!(report.outcomes[1].result, Ok(Stored::AlreadyPresent)), "the second is not: {report:?}");
    assert!(is_written(&report.outcomes[2].result, bytes), "{report:?}");
    host.must_use(2);
    host.must_load(&keys(2));
    host.must_delete(&keys(2));
    host.must_use(0);
}

pub fn a_batch_reports_each_key_in_order(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    host.must_store(&[key(1), key(3)]);

    let store = host.store(&[key(0), key(1), key(2), key(3)]);
    let written: Vec<bool> =
        store.outcomes.iter().map(|outcome| matches!(outcome.result, Ok(Stored::Written { .. }))).collect();
    assert_eq!(written, [true, false, true, false], "{store:?}");

    let asked = [key(9), key(2), key(8), key(0), key(3)];
    assert_eq!(host.lookup(&asked).bitmap(), [false, true, false, true, true], "a lookup's answers");
    host.adapter.unlock(&asked);
    assert_eq!(host.load(&asked).bitmap(), [false, true, false, true, true], "a load's outcomes");

    let delete = host.delete(&asked);
    let freed: Vec<bool> =
        delete.answers.iter().map(|answer| matches!(answer, Deleted::Freed { .. })).collect();
    assert_eq!(freed, [false, true, false, true, true], "{delete:?}");
    host.must_use(1);
}

pub fn an_empty_batch_ends(factory: &dyn Factory) {
    let host = Host::open(factory, 1);
    assert!(host.store(&[]).outcomes.is_empty());
    assert!(host.lookup(&[]).answers.is_empty());
    assert!(host.load(&[]).outcomes.is_empty());
    assert!(host.delete(&[]).answers.is_empty());
    host.adapter.unlock(&[]);
}

pub fn a_batch_of_hundreds_ends(factory: &dyn Factory) {
    let keys = keys(300);
    let host = Host::open(factory, keys.len());
    host.must_store(&keys);
    host.must_hit(&keys);
    host.must_load(&keys);
    host.adapter.unlock(&keys);
    host.must_delete(&keys);
    host.must_use(0);
}

pub fn task_numbers_count_from_0_across_kinds(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    let lookup = host.adapter.submit_lookup_and_lock(vec![key(0)]);
    let store = host.adapter.submit_store(vec![host.item(&key(0))]);
    let load = host.adapter.submit_load(vec![host.blank(&key(0))]);
    let empty = host.adapter.submit_lookup_and_lock(Vec::new());
    assert_eq!([lookup.id(), store.id(), load.id(), empty.id()], [0, 1, 2, 3]);
    host.wait(load);
    host.wait(store);
    host.wait(lookup);
    host.wait(empty);
}

pub fn a_hit_in_the_index_is_answered_at_once(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(4));
    let mut lookup = host.adapter.submit_lookup_and_lock(keys(4));
    let report = lookup.try_take().expect("hits in the index are answered on the caller's thread");
    assert_eq!(report.bitmap(), [true; 4]);
}

pub fn a_deleted_object_is_a_miss(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(3));
    host.must_delete(&[key(1)]);
    host.must_miss(&[key(1)]);
    let load = host.load(&[key(1)]);
    assert!(failed_as(&load.outcomes[0].result, ErrorKind::NotFound), "{load:?}");
    host.must_load(&[key(0), key(2)]);
}

pub fn a_deleted_key_can_be_stored_again(factory: &dyn Factory) {
    let host = Host::open(factory, 1);
    for _ in 0..3 {
        host.must_store(&[key(0)]);
        host.must_load(&[key(0)]);
        host.must_delete(&[key(0)]);
        host.must_use(0);
    }
}

pub fn deleting_an_unknown_key_is_absent(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&[key(0)]);
    // A key twice in one delete is gone at its second turn.
    let report = host.delete(&[key(1), key(0), key(0)]);
    assert!(matches!(report.answers[0], Deleted::Absent), "{report:?}");
    assert!(matches!(report.answers[1], Deleted::Freed { .. }), "{report:?}");
    assert!(matches!(report.answers[2], Deleted::Absent), "{report:?}");
    assert_eq!(report.freed_bytes(), host.object_bytes as u64);
}

pub fn the_status_counts_what_is_there(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    let status = host.adapter.status();
    assert!(status.healthy, "{status:?}");
    assert_eq!((status.stored_objects, status.pinned_objects, status.healed_objects), (0, 0, 0));
    host.must_store(&keys(3));
    host.must_hit(&keys(2));
    let status = host.adapter.status();
    assert_eq!((status.stored_objects, status.pinned_objects), (3, 2), "{status:?}");
    assert_eq!(status.usage, host.adapter.usage());
    host.adapter.unlock(&keys(2));
    assert_eq!(host.adapter.status().pinned_objects, 0);
    host.eventually("no task is in flight", || host.adapter.status().tasks_in_flight == 0);
}
