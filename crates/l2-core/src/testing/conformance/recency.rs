//! Recency: what was used last, and whether it was used more than once, as those who evict see it.

use super::eviction::scan;
use super::prelude::*;
use crate::evictable::Evictable;

/// The numbers of the keys that could go, in the order of their stamps: what was used least lately comes first.
#[track_caller]
fn by_stamp(evictable: &dyn Evictable, keys: u64) -> Vec<u64> {
    let mut found = scan(evictable);
    found.sort_by_key(|(_, candidate)| candidate.used);
    let stamps = found.windows(2).all(|pair| pair[0].1.used < pair[1].1.used);
    assert!(stamps, "no two have the same stamp: {found:?}");
    let number =
        |found: &ObjectKey| (0..keys).find(|number| key(*number) == *found).expect("a key that was stored");
    found.iter().map(|(key, _)| number(key)).collect()
}

/// Whether each of the keys counts as used again.
#[track_caller]
fn reused(evictable: &dyn Evictable, keys: u64) -> Vec<bool> {
    let found = scan(evictable);
    let reused = |number| {
        let of = found.iter().find(|(found, _)| *found == key(number));
        of.unwrap_or_else(|| panic!("key {number} could go, but no scan shows it")).1.reused
    };
    (0..keys).map(reused).collect()
}

/// A prefix without its head is useless: the head goes last.
pub fn of_a_batch_the_last_key_was_used_least_lately(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let evictable = &*host.adapter.evictable();
    host.must_store(&[key(1), key(0), key(2)]);
    assert_eq!(by_stamp(evictable, 3), [2, 0, 1], "after a store");
    host.must_store(&[key(4), key(3), key(5)]);
    assert_eq!(by_stamp(evictable, 6), [2, 0, 1, 5, 3, 4], "after another store");
    let batch = [key(2), key(3), key(1)];
    host.must_hit(&batch);
    host.adapter.unlock(&batch);
    assert_eq!(by_stamp(evictable, 6), [0, 5, 4, 1, 3, 2], "after a lookup");
    host.must_load(&[key(0), key(1), key(5)]);
    assert_eq!(by_stamp(evictable, 6), [4, 3, 2, 5, 1, 0], "after a load");
}

pub fn a_lookup_and_a_load_make_an_object_the_latest(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let evictable = &*host.adapter.evictable();
    host.must_store(&keys(4));
    assert_eq!(by_stamp(evictable, 4), [3, 2, 1, 0], "after a store");
    host.must_hit(&[key(3)]);
    host.adapter.unlock(&[key(3)]);
    assert_eq!(by_stamp(evictable, 4), [2, 1, 0, 3], "after a lookup of the last");
    host.must_load(&[key(2)]);
    assert_eq!(by_stamp(evictable, 4), [1, 0, 3, 2], "after a load of the coldest");
    // A lookup that nobody wanted the result of counts all the same.
    let lookup = host.adapter.submit_lookup_and_lock(vec![key(1)]);
    host.eventually("the lookup ends", || lookup.is_done());
    drop(lookup);
    assert_eq!(by_stamp(evictable, 4), [0, 3, 2, 1], "after a dropped lookup");
    // What was not there was not used, and what is given back was used before.
    host.must_miss(&[key(9)]);
    host.adapter.unlock(&[key(0)]);
    assert_eq!(by_stamp(evictable, 4), [0, 3, 2, 1]);
}

pub fn what_was_looked_up_or_loaded_counts_as_used_again(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let evictable = &*host.adapter.evictable();
    host.must_store(&keys(5));
    // That it is stored once more says nothing of whether it is read.
    host.store(&[key(4)]);
    assert_eq!(reused(evictable, 5), [false; 5], "after a store");
    host.must_hit(&[key(0)]);
    host.adapter.unlock(&[key(0)]);
    assert_eq!(reused(evictable, 5), [true, false, false, false, false], "after a lookup");
    host.must_load(&[key(3)]);
    assert_eq!(reused(evictable, 5), [true, false, false, true, false], "after a load");
    evictable.mark_reused(&[key(9), key(1)]);
    assert_eq!(reused(evictable, 5), [true, true, false, true, false], "after it was marked");
    // What is stored under a key that was deleted is new.
    host.must_delete(&[key(0)]);
    host.must_store(&[key(0)]);
    assert_eq!(reused(evictable, 5), [false, true, false, true, false], "after it was stored anew");
}
