//! Deletes that fail, panic or give no answer end neither the thread nor the eviction of everything else.

use l2_core::testing::fixtures::key;
use l2_core::{KeyHasherBuilder, ObjectKey};
use l2_evict::{Attachment, Controller, EvictionPolicy, Watermark};
use std::collections::HashSet;

use crate::world::{Deletes, World, keys, pass, settle};

fn set(keys: Vec<ObjectKey>) -> HashSet<ObjectKey, KeyHasherBuilder> {
    keys.into_iter().collect()
}

/// Full of the keys 0 to 9, which go in this order, with these faults; attached, and the first pass has ended. All but
/// two have to go.
fn faulty(controller: &Controller, faults: Deletes) -> (World, Attachment) {
    let world = World::new(10);
    world.must_store(&keys(0..10));
    *world.watched.deletes.lock().unwrap() = faults;
    let attachment = world.attach(controller, &keys(0..10), 0.3, 0.1);
    (world, attachment)
}

#[test]
fn what_fails_is_stepped_over_counted_and_tried_again_by_the_next_pass() {
    let controller = Controller::start().unwrap();
    let (world, attachment) = faulty(&controller, Deletes { fails: set(keys([0, 2])), ..Deletes::default() });
    let (asked, freed) = world.take_log();
    assert_eq!(asked, keys(0..10), "in order, and each once");
    assert_eq!(freed, keys([1, 3, 4, 5, 6, 7, 8, 9]));
    assert_eq!(attachment.evictions().failed, 2);

    world.must_store(&keys(10..11));
    settle(&attachment);
    assert_eq!(world.take_log().0, keys([0, 2, 10]));
    assert_eq!(attachment.evictions().failed, 4);

    world.watched.deletes.lock().unwrap().fails.clear();
    world.must_store(&keys(11..12));
    settle(&attachment);
    assert_eq!(world.take_log().1, keys([0]));
    assert_eq!((attachment.evictions().objects, attachment.evictions().failed), (10, 4));
}

#[test]
fn when_every_delete_fails_the_pass_ends() {
    let controller = Controller::start().unwrap();
    let (world, attachment) = faulty(&controller, Deletes { fails: set(keys(0..10)), ..Deletes::default() });
    assert_eq!((world.objects(), attachment.evictions().failed), (10, 10));
    world.watched.deletes.lock().unwrap().fails.clear();
    pass(&attachment);
    assert_eq!(world.objects(), 2);
}

#[test]
fn a_delete_that_panics_counts_as_failed() {
    let controller = Controller::start().unwrap();
    let (world, attachment) =
        faulty(&controller, Deletes { panics: set(keys([0, 1])), ..Deletes::default() });
    assert_eq!((world.objects(), attachment.evictions().failed), (2, 2));
    assert!(world.has(&key(0)) && world.has(&key(1)));
}

#[test]
fn victims_without_an_answer_stay() {
    let controller = Controller::start().unwrap();
    let (world, attachment) =
        faulty(&controller, Deletes { cut_off_at: set(keys([0, 1])), ..Deletes::default() });
    assert_eq!((world.objects(), attachment.evictions().objects), (2, 8));
    assert!(world.has(&key(0)) && world.has(&key(1)));
}

#[test]
fn what_is_held_but_gone_is_forgotten() {
    let controller = Controller::start().unwrap();
    let world = World::new(10);
    world.must_store(&keys(0..10));
    let attachment = world.attach(&controller, &keys(0..20), 1.0, 0.5);
    let (asked, freed) = world.take_log();
    assert_eq!((asked, freed), (keys(0..10), keys(0..10)), "10 of 20 that are held");
    world.must_store(&keys(20..30));
    settle(&attachment);
    let (asked, freed) = world.take_log();
    assert_eq!(
        (asked, freed),
        (keys(10..20).into_iter().chain(keys((25..30).rev())).collect(), keys((25..30).rev()))
    );
    pass(&attachment);
    assert_eq!(attachment.evictions().objects, 15);
}

/// Panics when it is asked for victims.
#[derive(Debug)]
struct Panics;

impl EvictionPolicy for Panics {
    fn stored(&mut self, _: &[(ObjectKey, u64)]) {}
    fn accessed(&mut self, _: &[ObjectKey]) {}
    fn deleted(&mut self, _: &ObjectKey) {}
    fn contains(&self, _: &ObjectKey) -> bool {
        false
    }
    fn len(&self) -> usize {
        1
    }
    fn next_victims(&mut self, _: usize) -> Vec<ObjectKey> {
        panic!("asked for by the test")
    }
    fn rewind(&mut self, _: usize) -> bool {
        false
    }
}

#[test]
fn a_policy_that_panics_harms_no_other_adapter() {
    let controller = Controller::start().unwrap();
    let (bad, good) = (World::new(4), World::new(4));
    let broken = controller.attach(&bad.adapter, Box::new(Panics), Watermark::default());
    let attachment = good.attach(&controller, &[], 0.8, 0.2);
    for number in 0..4 {
        bad.must_store(&keys([number]));
        good.must_store(&keys([number]));
        settle(&broken);
        settle(&attachment);
    }
    assert_eq!((bad.objects(), good.objects()), (4, 3));
}
