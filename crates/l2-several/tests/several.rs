//! What two adapters that both work do together.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use l2_core::memory::Region;
use l2_core::testing::fixtures::{key, keys};
use l2_core::testing::{Factory, Host, MemoryAdapter, MemoryStorage, Opened, Options};
use l2_core::{Deleted, ErrorKind, L2Adapter, ObjectKey, Stored};
use l2_several::{Member, Several};
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_secs(30);

/// Two adapters, each by itself and both as one.
struct Two {
    each: [Arc<MemoryAdapter>; 2],
    storage: [MemoryStorage; 2],
    both: Arc<Several>,
    host: Host,
}

/// Opens what it was given.
struct Given(Arc<dyn L2Adapter>);

impl Factory for Given {
    fn open(&self, options: Options) -> Opened {
        Opened { adapter: Arc::clone(&self.0), l1: Region::allocate(options.l1_bytes).unwrap() }
    }
}

impl Two {
    /// With room for so many objects in the first, and many in the second.
    fn new(objects: usize) -> Self {
        let storage = [MemoryStorage::default(), MemoryStorage::default()];
        let open = |storage: &MemoryStorage, objects: usize| {
            Arc::new(MemoryAdapter::open(storage.clone(), 4096 * objects as u64).unwrap())
        };
        let each = [open(&storage[0], objects), open(&storage[1], 64)];
        let member = |adapter: &Arc<MemoryAdapter>| Member::new(Arc::clone(adapter) as Arc<dyn L2Adapter>);
        let both = Arc::new(Several::of(member(&each[0]), [member(&each[1])]));
        let host = Host::open(&Given(Arc::clone(&both) as Arc<dyn L2Adapter>), 64);
        Self { each, storage, both, host }
    }

    /// Stores in one alone.
    fn store_in(&self, member: usize, keys: &[ObjectKey]) {
        let batch = keys.iter().map(|key| self.host.item(key)).collect();
        let report = self.each[member].submit_store(batch).wait(LIMIT).unwrap();
        assert_eq!(report.failures().count(), 0, "{report:?}");
    }

    fn has(&self, member: usize, key: &ObjectKey) -> bool {
        let adapter = &self.each[member];
        let report = adapter.submit_lookup_and_lock(vec![key.clone()]).wait(LIMIT).unwrap();
        let hits = report.prefix_hits();
        adapter.unlock(&report.keys[..hits]);
        hits == 1
    }

    /// Waits for so many pins in each: who answers when another has answered for all gives its own back by itself.
    #[track_caller]
    fn must_pin(&self, pinned: [u64; 2]) {
        self.host.eventually("the pins are as they should be", || {
            self.each.each_ref().map(|adapter| adapter.status().pinned_objects) == pinned
        });
    }
}

#[test]
fn a_store_goes_to_both_and_is_done_where_one_has_room() {
    let two = Two::new(2);
    two.host.must_store(&keys(5));
    for (member, has) in [(0, 2), (1, 5)] {
        assert_eq!(keys(5).iter().filter(|key| two.has(member, key)).count(), has);
    }
    assert_eq!(two.host.adapter.usage().used_bytes, 7 * 4096);
    let [small, large] = &two.both.shortfalls()[..] else { panic!("two") };
    assert_eq!((small.stores, large.stores, &large.first_error), (3, 0, &None));
    assert!(small.first_error.is_some());
    let report = two.host.store(&keys(2));
    assert!(report.outcomes.iter().all(|outcome| matches!(outcome.result, Ok(Stored::AlreadyPresent))));
    two.host.must_load(&keys(5));
}

#[test]
fn what_none_has_room_for_is_rejected() {
    let two = Two::new(2);
    two.host.must_store(&keys(64));
    let report = two.host.store(&[key(100)]);
    assert_eq!(report.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
    assert!(report.outcomes[0].memory.is_some());
}

#[test]
fn the_first_with_the_longest_run_answers_and_has_the_pins() {
    let two = Two::new(64);
    two.store_in(0, &[key(0), key(1), key(5)]);
    two.store_in(1, &[key(0), key(1), key(2), key(4)]);
    for (asked, bitmap, pinned) in [
        (vec![key(0), key(1)], vec![true, true], [2, 0]),
        (vec![key(0), key(1), key(2)], vec![true, true, true], [0, 3]),
        (vec![key(0), key(1), key(2), key(5)], vec![true, true, true, false], [0, 3]),
        (vec![key(0), key(7), key(5)], vec![true, false, true], [2, 0]),
        (vec![key(9), key(4)], vec![false, true], [0, 1]),
    ] {
        let report = two.host.lookup(&asked);
        assert_eq!(report.bitmap(), bitmap);
        two.must_pin(pinned);
        two.host.adapter.unlock(&asked);
        two.must_pin([0, 0]);
    }
}

#[test]
fn what_is_loaded_comes_from_where_it_is() {
    let two = Two::new(64);
    two.store_in(0, &[key(0), key(2)]);
    two.store_in(1, &[key(1), key(2)]);
    two.host.must_load(&keys(3));
    let report = two.host.load(&[key(0), key(8), key(1)]);
    assert_eq!(report.bitmap(), [true, false, true]);
    assert_eq!(report.outcomes[1].result.as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(report.outcomes[1].memory.is_some());
}

#[test]
fn what_one_has_lost_is_loaded_from_the_other() {
    for pinned in [true, false] {
        let two = Two::new(64);
        two.host.must_store(&keys(3));
        if pinned {
            assert_eq!(two.host.lookup(&keys(3)).prefix_hits(), 3);
            two.must_pin([3, 0]);
        }
        assert!(two.storage[0].lose(&key(1)) && two.storage[0].cut(&key(2), 5));
        two.host.must_load(&keys(3));
        assert!(two.host.adapter.status().healed_objects >= 1);
    }
}

#[test]
fn a_delete_reaches_both_and_says_what_is_left() {
    let two = Two::new(64);
    two.host.must_store(&keys(2));
    two.store_in(1, &[key(2)]);
    let pin = two.each[1].submit_lookup_and_lock(vec![key(1)]).wait(LIMIT).unwrap();
    let answers = two.host.delete(&keys(4)).answers;
    assert!(matches!(answers[0], Deleted::Freed { bytes: 8192 }), "{answers:?}");
    assert!(matches!(answers[1], Deleted::Busy), "{answers:?}");
    assert!(matches!(answers[2], Deleted::Freed { bytes: 4096 }), "{answers:?}");
    assert!(matches!(answers[3], Deleted::Absent), "{answers:?}");
    assert!(!two.has(0, &key(1)) && two.has(1, &key(1)));
    two.each[1].unlock(&pin.keys);
}

#[test]
fn one_that_is_closed_does_not_hurt_the_other() {
    let two = Two::new(64);
    two.host.must_store(&keys(2));
    two.each[0].close().unwrap();
    two.host.must_hit(&keys(2));
    two.host.must_load(&keys(2));
    two.host.must_store(&[key(2)]);
    assert!(two.host.adapter.status().healthy);
    two.each[1].close().unwrap();
    assert!(!two.host.adapter.status().healthy);
}

proptest! {
    /// Lookups and unlocks in any order, by task or not, of objects that are here, there, in both or nowhere: when every
    /// hit was given back, nothing is pinned in either; and a lookup hits the longest run that there is.
    #[test]
    fn pins_go_back_to_where_they_are(
        here in prop::collection::btree_set(0..8u64, 0..8), there in prop::collection::btree_set(0..8u64, 0..8),
        lookups in prop::collection::vec((prop::collection::vec(0..8u64, 1..6), any::<bool>()), 1..12),
        order in any::<prop::sample::Index>(),
    ) {
        let two = Two::new(64);
        let of = |set: &BTreeSet<u64>| set.iter().map(|number| key(*number)).collect::<Vec<_>>();
        two.store_in(0, &of(&here));
        two.store_in(1, &of(&there));
        let run = |asked: &[u64], set: &BTreeSet<u64>| asked.iter().take_while(|number| set.contains(number)).count();
        let mut held = Vec::new();
        for (asked, by_task) in lookups {
            let task = two.host.adapter.submit_lookup_and_lock(asked.iter().map(|number| key(*number)).collect());
            let id = task.id();
            let report = task.wait(LIMIT).unwrap();
            prop_assert_eq!(report.prefix_hits(), run(&asked, &here).max(run(&asked, &there)));
            let hits: Vec<_> = report.hits().map(|(key, _)| key.clone()).collect();
            held.push((id, hits, by_task));
        }
        let first = order.index(held.len());
        held.rotate_left(first);
        // By task first: those without take whoever's is the oldest.
        held.sort_by_key(|(_, _, by_task)| !by_task);
        for (id, hits, by_task) in held {
            match by_task {
                true => two.host.adapter.unlock_task(id, &hits),
                false => two.host.adapter.unlock(&hits),
            }
        }
        two.must_pin([0, 0]);
    }
}
