//! Lengths: large and odd ones, those that do not match the lease, and objects that take another's place.

use super::prelude::*;

pub fn a_large_object_is_whole(factory: &dyn Factory) {
    let large = (8_usize << 20).next_multiple_of(factory.object_bytes());
    let options = Options { capacity_bytes: 2 * large as u64, object_bytes: large, l1_bytes: 3 * large };
    let host = Host::with(factory, options);
    host.must_store(&keys(2));
    host.must_hit(&keys(2));
    host.must_load(&[key(1), key(0)]);
}

pub fn objects_of_many_lengths_are_whole(factory: &dyn Factory) {
    let Some(step) = factory.length_step() else { return };
    let lengths =
        [1, 7, 511, 513, 4095, 4097, 12_289, 65_537].map(|bytes: usize| bytes.next_multiple_of(step));
    let total: usize = lengths.iter().sum();
    let mut options = Host::options(factory, 1);
    options.capacity_bytes = total as u64;
    options.l1_bytes = total + (lengths.len() << 12);
    let host = Host::with(factory, options);
    let all = || keys(lengths.len() as u64).into_iter().zip(lengths);

    let stored = host.store_items(all().map(|(key, bytes)| host.item_of(&key, bytes)).collect());
    for (outcome, bytes) in stored.outcomes.iter().zip(lengths) {
        assert!(is_written(&outcome.result, bytes as u64), "{bytes} bytes: {outcome:?}");
    }
    drop(stored);
    assert_eq!(host.used(), total as u64);
    for (key, bytes) in all() {
        assert_eq!(host.present(&key), Some(bytes as u64));
    }
    let loaded = host.load_items(all().map(|(key, bytes)| host.blank_of(&key, bytes)).collect());
    assert_eq!(loaded.bitmap(), [true; 8], "{loaded:?}");
}

/// Leases side by side: what surrounds the one of the wrong length must stay as it was.
pub fn a_load_into_a_lease_of_another_length_is_an_error_and_touches_nothing_else(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    host.must_store(&[key(0)]);
    let mut wrong = vec![2 * host.object_bytes];
    // A lease shorter than the object is where an overrun would show.
    wrong.extend(factory.length_step().map(|step| host.object_bytes - step).filter(|&bytes| bytes > 0));
    for bytes in wrong {
        let whole = host.lease(bytes + (2 << 12));
        let (mut before, rest) = whole.split_at(4096).expect("it is longer");
        let (lease, mut after) = rest.split_at(bytes).expect("it is longer");
        for guard in [&mut before, &mut after] {
            guard.as_mut_slice().expect("main memory").fill(0x3c);
        }
        let report = host.load_items(vec![LoadItem { key: key(0), memory: lease }]);
        let result = &report.outcomes[0].result;
        assert!(
            failed_as(result, ErrorKind::LengthMismatch),
            "{bytes} bytes for an object of {}: {result:?}",
            host.object_bytes
        );
        for guard in [&before, &after] {
            let bytes = guard.as_slice().expect("main memory");
            assert!(bytes.iter().all(|&byte| byte == 0x3c), "memory beside the lease was written");
        }
    }
    host.must_load(&[key(0)]);
}

pub fn neighbours_of_a_failed_load_are_loaded(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    host.must_store(&keys(4));
    let batch = vec![
        host.blank(&key(0)),
        host.blank(&key(9)),
        host.blank(&key(1)),
        host.blank_of(&key(2), 2 * host.object_bytes),
        host.blank(&key(3)),
    ];
    let report = host.load_items(batch);
    assert_eq!(report.bitmap(), [true, false, true, false, true], "{report:?}");
    let failed: Vec<usize> = report.failures().map(|(at, _)| at).collect();
    assert_eq!(failed, [1, 3]);
}

/// The lengths of two objects may differ and yet add up: each is checked for itself.
pub fn lengths_that_add_up_are_no_excuse_for_lengths_that_differ(factory: &dyn Factory) {
    if factory.length_step().is_none() {
        return;
    }
    let host = Host::open(factory, 16);
    let one = host.object_bytes;
    host.store_items(vec![host.item_of(&key(0), one), host.item_of(&key(1), 3 * one)]);
    let report = host.load_items(vec![host.blank_of(&key(0), 2 * one), host.blank_of(&key(1), 2 * one)]);
    for outcome in &report.outcomes {
        assert!(failed_as(&outcome.result, ErrorKind::LengthMismatch), "{outcome:?}");
    }
}

pub fn an_object_of_another_length_takes_the_place_of_the_old_one(factory: &dyn Factory) {
    if factory.length_step().is_none() {
        return;
    }
    let host = Host::open(factory, 8);
    host.must_store(&keys(2));
    for objects in [3, 1, 2] {
        let bytes = objects * host.object_bytes;
        let report = host.store_items(vec![host.item_of(&key(0), bytes)]);
        assert!(is_written(&report.outcomes[0].result, bytes as u64), "{report:?}");
        drop(report);
        host.must_use(1 + objects);
        assert_eq!(host.present(&key(0)), Some(bytes as u64));
        let report = host.load_items(vec![host.blank_of(&key(0), bytes)]);
        assert!(report.outcomes[0].result.is_ok(), "{report:?}");
    }
    host.must_load(&[key(1)]);
}

pub fn a_pinned_object_is_not_replaced(factory: &dyn Factory) {
    if factory.length_step().is_none() {
        return;
    }
    let host = Host::open(factory, 8);
    host.must_store(&[key(0)]);
    host.must_hit(&[key(0)]);
    let longer = || vec![host.item_of(&key(0), 2 * host.object_bytes)];
    let report = host.store_items(longer());
    assert!(failed_as(&report.outcomes[0].result, ErrorKind::Busy), "{report:?}");
    drop(report);
    host.must_load(&[key(0)]);
    host.must_use(1);
    host.adapter.unlock(&[key(0)]);
    let report = host.store_items(longer());
    assert!(is_written(&report.outcomes[0].result, 2 * host.object_bytes as u64), "{report:?}");
    host.must_use(2);
}
