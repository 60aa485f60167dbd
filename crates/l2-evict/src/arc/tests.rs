//! Whose turn it is, how the target moves, and what is remembered.

use l2_core::testing::fixtures::key;

use super::*;
use crate::fake::{Fake, object, stamps};

const ALL: Want<'_> = Want { objects: usize::MAX, bytes: u64::MAX, pressed: true, asker: None };

fn one(policy: &mut ArcPolicy, fake: &Fake) -> Vec<u64> {
    stamps(&policy.victims(fake, Want { objects: 1, ..ALL }))
}

#[test]
fn without_a_target_what_was_used_once_goes_first_and_then_what_was_used_again() {
    let fake = Fake::of(
        1000,
        [object(1, 10, true), object(4, 10, false), object(2, 10, true), object(3, 10, false)],
    );
    let mut policy = ArcPolicy::default();
    assert_eq!(stamps(&policy.victims(&fake, ALL)), [3, 4, 1, 2]);
    assert_eq!(fake.scans(), 1);
}

#[test]
fn the_kind_that_has_more_than_its_share_gives() {
    let fake = Fake::of(
        1000,
        [
            object(1, 10, true),
            object(2, 10, true),
            object(3, 10, false),
            object(4, 10, false),
            object(5, 5, false),
        ],
    );
    let mut policy = ArcPolicy::new();
    policy.target = 15;
    // 25 of those used once: more than 15, and then just as many.
    assert_eq!(one(&mut policy, &fake), [3]);
    assert_eq!(one(&mut policy, &fake), [1]);
    assert_eq!(one(&mut policy, &fake), [2]);
    // Of the other kind there is nothing: those used once give, whatever their share.
    assert_eq!(one(&mut policy, &fake), [4]);
    assert_eq!(one(&mut policy, &fake), [5]);
    assert_eq!(fake.scans(), 1);
}

#[test]
fn those_used_again_give_when_there_are_no_others() {
    let fake = Fake::of(1000, [object(1, 10, true), object(2, 10, true)]);
    let mut policy = ArcPolicy::new();
    assert_eq!(stamps(&policy.victims(&fake, Want { bytes: 15, ..ALL })), [1, 2]);
}

#[test]
fn what_is_stored_counts_until_the_next_scan() {
    let fake = Fake::of(1000, [object(1, 10, true), object(2, 10, false)]);
    let mut policy = ArcPolicy::new();
    policy.target = 10;
    policy.refill(&fake);
    assert_eq!((policy.once.bytes, policy.again.bytes), (10, 10));
    policy.stored(&fake, &[(key(7), 5)]);
    assert_eq!((policy.once.bytes, policy.again.bytes), (15, 10));
    assert_eq!(one(&mut policy, &fake), [2]);
    assert!(fake.reused.lock().unwrap().is_empty());
}

#[test]
fn the_target_moves_by_how_much_more_is_remembered_of_the_other_kind() {
    let fake = Fake::of(100, []);
    let mut policy = ArcPolicy::new();
    let once = |policy: &mut ArcPolicy| policy.once.gone.add(key(1).hash64(), 10);
    let again = |policy: &mut ArcPolicy| policy.again.gone.add(key(2).hash64(), 10);
    let hit = |policy: &mut ArcPolicy, number| policy.stored(&fake, &[(key(number), 10)]);

    // As much of both: by its bytes.
    once(&mut policy);
    again(&mut policy);
    hit(&mut policy, 1);
    assert_eq!((policy.target, policy.once.gone.bytes(), policy.again.gone.bytes()), (10, 0, 10));
    // Three times as much of the other, and a bit: by three times its bytes.
    once(&mut policy);
    policy.again.gone.add(99, 29);
    hit(&mut policy, 1);
    assert_eq!(policy.target, 40);
    // Never past the capacity.
    once(&mut policy);
    policy.again.gone.add(98, 1000);
    hit(&mut policy, 1);
    assert_eq!(policy.target, 100);
    // The other way round: less of those used once is remembered than of the others, so by its bytes alone.
    once(&mut policy);
    hit(&mut policy, 2);
    assert_eq!(policy.target, 90);
    policy.again.gone.trim(0);
    again(&mut policy);
    policy.once.gone.add(97, 35);
    hit(&mut policy, 2);
    assert_eq!(policy.target, 50);
    policy.once.gone.add(96, 1000);
    again(&mut policy);
    hit(&mut policy, 2);
    assert_eq!(policy.target, 0);
    // All of them were taken for used again.
    assert_eq!(fake.reused.lock().unwrap().len(), 6);
    assert_eq!((policy.again.bytes, policy.once.bytes), (60, 0));
}

#[test]
fn what_went_is_remembered_by_its_kind_and_no_more_than_the_capacity_allows() {
    let fake = Fake::of(100, [object(1, 60, false), object(2, 30, true)]);
    let mut policy = ArcPolicy::new();
    policy.refill(&fake);
    policy.evicted(&[object(11, 25, false), object(12, 25, true), object(13, 15, false)]);
    // 40 of those used once beside the 60 that are there.
    assert_eq!((policy.once.gone.bytes(), policy.again.gone.bytes()), (40, 25));
    policy.evicted(&[object(14, 20, false)]);
    assert!(!policy.once.gone.take(11) && policy.once.gone.take(13) && policy.once.gone.take(14));
    // Twice the capacity in all: 60, 30 and none of the first kind leave 110.
    policy.evicted(&[object(15, 80, true), object(16, 5, true)]);
    assert_eq!(policy.again.gone.bytes(), 110);
    policy.evicted(&[object(17, 1, true)]);
    assert_eq!(policy.again.gone.bytes(), 86);
    assert!(!policy.again.gone.take(12));
}

#[test]
fn what_is_released_and_colder_is_found_by_another_scan() {
    let fake = Fake::of(1000, [object(5, 10, false), object(6, 10, false)]);
    let mut policy = ArcPolicy::new();
    assert_eq!(one(&mut policy, &fake), [5]);
    fake.objects.lock().unwrap().retain(|(_, object)| object.used.0 != 5);
    fake.objects.lock().unwrap().push(("", object(3, 10, false)));
    fake.releases.lock().unwrap().oldest = l2_core::Stamp(3);
    assert_eq!(one(&mut policy, &fake), [3]);
    assert_eq!((one(&mut policy, &fake), fake.scans()), (vec![6], 2));
    assert!(policy.hears_stores());
}
