//! Capacity: what does not fit is rejected, what is freed fits again, and it always adds up.

use super::prelude::*;

pub fn what_does_not_fit_is_rejected_and_what_fits_is_kept(factory: &dyn Factory) {
    let mut options = Host::options(factory, 7);
    options.capacity_bytes = 4 * options.object_bytes as u64;
    let host = Host::with(factory, options);
    let keys = keys(7);
    let report = host.store(&keys);
    let (kept, rejected): (Vec<_>, Vec<_>) =
        keys.iter().cloned().zip(&report.outcomes).partition(|(_, outcome)| outcome.result.is_ok());
    assert_eq!(kept.len(), 4, "as many as fit: {report:?}");
    for (key, outcome) in &rejected {
        assert!(failed_as(&outcome.result, ErrorKind::Full), "{key}: {outcome:?}");
    }
    let (kept, rejected) = (only_keys(kept), only_keys(rejected));
    drop(report);
    host.must_use(4);
    host.must_miss(&rejected);
    host.must_load(&kept);
}

fn only_keys<T>(pairs: Vec<(ObjectKey, T)>) -> Vec<ObjectKey> {
    pairs.into_iter().map(|(key, _)| key).collect()
}

pub fn rejected_stores_give_their_bytes_back(factory: &dyn Factory) {
    let host = Host::open(factory, 3);
    host.must_store(&keys(3));
    for number in 10..30 {
        let report = host.store(&[key(number)]);
        assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "{report:?}");
        host.must_use(3);
    }
    host.must_delete(&[key(0)]);
    host.must_store(&[key(10)]);
    host.must_use(3);
}

pub fn an_object_larger_than_the_capacity_is_rejected(factory: &dyn Factory) {
    if factory.length_step().is_none() {
        return;
    }
    let mut options = Host::options(factory, 4);
    options.capacity_bytes = 2 * options.object_bytes as u64;
    let host = Host::with(factory, options);
    let report = host.store_items(vec![host.item_of(&key(0), 3 * host.object_bytes)]);
    assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "{report:?}");
    drop(report);
    host.must_use(0);
    host.must_store(&keys(2));
}

/// Whether the old object of the key is kept then, is the adapter's choice.
pub fn what_does_not_fit_over_an_old_object_is_rejected_and_adds_up(factory: &dyn Factory) {
    if factory.length_step().is_none() {
        return;
    }
    let mut options = Host::options(factory, 4);
    options.capacity_bytes = 2 * options.object_bytes as u64;
    let host = Host::with(factory, options);
    host.must_store(&keys(2));
    let report = host.store_items(vec![host.item_of(&key(0), 2 * host.object_bytes)]);
    assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "{report:?}");
    drop(report);
    match host.present(&key(0)) {
        Some(_) => {
            host.must_load(&keys(2));
            host.must_use(2);
        }
        None => {
            host.must_load(&[key(1)]);
            host.must_use(1);
        }
    }
}

pub fn deleting_frees_the_bytes(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    for round in 0..5 {
        let keys: Vec<ObjectKey> = (0..4).map(|number| key(round * 10 + number)).collect();
        host.must_store(&keys);
        host.must_use(4);
        host.must_delete(&keys);
        host.must_use(0);
    }
}

pub fn the_capacity_is_what_was_asked_for(factory: &dyn Factory) {
    let options = Host::options(factory, 5);
    let host = Host::with(factory, options);
    assert_eq!(host.adapter.usage(), Usage { used_bytes: 0, capacity_bytes: options.capacity_bytes });
}

pub fn stores_from_many_threads_never_pass_the_capacity(factory: &dyn Factory) {
    let mut options = Host::options(factory, 64);
    options.capacity_bytes = 10 * options.object_bytes as u64;
    let host = &Host::with(factory, options);
    let stores = |thread: u64| {
        move || -> u64 {
            let store = |number| {
                let written = host.store(&[key(thread * 10 + number)]).written_bytes();
                // It panics when the capacity is passed.
                host.used();
                written
            };
            (0..5).map(store).sum()
        }
    };
    let written: u64 = all_at_once((0..8).map(stores)).into_iter().sum();
    assert_eq!(written, 10 * host.object_bytes as u64, "of 40 objects, as many as fit are stored");
    host.must_use(10);
}

/// As those see it who give each tenant a share.
pub fn the_usage_of_all_tenants_adds_up_to_the_usage(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let evictable = &*host.adapter.evictable();
    let bytes = host.object_bytes as u64;
    // Sorted, for they come in no order.
    let tenants = || {
        let mut tenants: Vec<(String, u64, u64)> =
            evictable.usage_by_salt().into_iter().map(|of| (of.salt, of.bytes / bytes, of.objects)).collect();
        tenants.sort();
        let sum: u64 = evictable.usage_by_salt().iter().map(|of| of.bytes).sum();
        assert_eq!((sum, evictable.usage()), (host.used(), host.adapter.usage()), "the sum of {tenants:?}");
        tenants
    };
    let of = |salt: &str, objects| (salt.to_owned(), objects, objects);
    assert_eq!(tenants(), []);
    let tenant = |salt: &str| (0..3).map(|number| key_of("org/model", salt, number)).collect::<Vec<_>>();
    host.must_store(&[tenant("a"), tenant(""), keys(5)[3..].to_vec()].concat());
    host.must_store(&tenant("b")[..1]);
    host.must_store(&[key_of("org/other", "b", 0)]);
    assert_eq!(tenants(), [of("", 5), of("a", 3), of("b", 2)], "objects and bytes of each tenant");
    host.must_delete(&tenant("a"));
    host.must_delete(&keys(1));
    assert_eq!(tenants(), [of("", 4), of("b", 2)], "of those that have any");
    host.store(&keys(1));
    host.store(&keys(1));
    assert_eq!(tenants(), [of("", 5), of("b", 2)], "what is present is counted once");
}
