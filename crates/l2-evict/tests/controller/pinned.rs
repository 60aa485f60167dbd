//! Pinned objects are stepped over, keep their place, and cost no more than one look per pass.

use l2_core::testing::fixtures::key;
use l2_evict::Controller;

use crate::world::{BYTES, World, eventually, keys, settle};

#[test]
fn of_a_batch_the_last_key_goes_first() {
    let world = World::new(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, &[], 1.0, 0.3);
    world.must_store(&keys(0..10));
    settle(&attachment);
    assert_eq!(world.take_log().1, keys([9, 8, 7]));
    assert_eq!((attachment.evictions().objects, attachment.evictions().bytes), (3, 3 * BYTES));
}

#[test]
fn what_is_pinned_at_the_cold_end_is_stepped_over_once_a_pass() {
    let (cold, all) = (keys(0..700), keys(0..2000));
    let world = World::new(2000);
    world.must_store(&all);
    assert_eq!(world.pin(&cold).prefix_hits(), 700);

    // A round is of 20, and a step of the victims fewer than what is pinned.
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, &all, 0.9, 0.01);
    let (asked, freed) = world.take_log();
    assert!(world.objects() < 1800, "{}", world.objects());
    assert_eq!(freed, keys(700..700 + 2000 - world.objects()));
    assert_eq!(asked, [cold.clone(), freed.clone()].concat(), "in order, and each once");
    assert_eq!(attachment.evictions().stepped_over, 700);

    // They kept their place: the next pass begins with them.
    world.must_store(&keys(5000..5030));
    settle(&attachment);
    let (asked, freed) = world.take_log();
    assert_eq!(asked, [cold.clone(), freed.clone()].concat());
    assert!(world.objects() < 1800 && !freed.is_empty());

    // Given back, they are the first to go; but for what was used since.
    world.adapter.unlock(&cold);
    assert!(world.has(&cold[0]));
    world.must_store(&keys(6000..6030));
    settle(&attachment);
    let (asked, freed) = world.take_log();
    assert_eq!(asked, freed);
    assert_eq!(freed, cold[1..=freed.len()]);
}

#[test]
fn when_all_is_pinned_the_pass_ends_and_what_comes_next_begins_another() {
    let world = World::new(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, &[], 0.5, 0.2);
    let first = keys(0..4);
    world.must_store(&first);
    assert_eq!(world.pin(&first).prefix_hits(), 4);
    world.must_store(&keys(4..5));
    settle(&attachment);
    assert_eq!(world.objects(), 4, "what is not pinned went");

    world.adapter.unlock(&first);
    world.must_store(&keys(5..6));
    settle(&attachment);
    assert_eq!(world.pin(&keys([0, 1, 2, 5])).prefix_hits(), 4);
    assert!(!world.has(&key(3)), "the last of the oldest batch");
}

#[test]
fn a_pass_that_found_all_pinned_is_followed_by_another_once_something_is_accessed() {
    let world = World::new(10);
    let all = keys(0..10);
    world.must_store(&all);
    world.pin(&all);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, &all, 0.5, 0.2);
    assert_eq!((world.objects(), attachment.evictions().objects), (10, 0));

    world.adapter.unlock(&all);
    assert!(attachment.is_idle(), "nobody tells of pins that are given back");
    assert!(world.has(&all[0]));
    eventually("usage falls below the watermark", || world.objects() < 5);
    settle(&attachment);
    assert!(world.has(&key(0)), "the most recently used");
}

#[test]
fn with_much_to_step_over_a_single_access_is_not_enough() {
    let world = World::new(640);
    let all = keys(0..640);
    world.must_store(&all);
    world.pin(&all[..320]);
    world.watched.deletes.lock().unwrap().fails.extend(keys(320..640));
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, &all, 0.5, 0.2);
    assert_eq!((attachment.evictions().stepped_over, attachment.evictions().failed), (320, 320));
    for _ in 0..9 {
        assert!(world.has(&all[0]));
        assert!(attachment.is_idle());
    }
    assert_eq!(attachment.evictions().stepped_over, 320);
    assert!(world.has(&all[0]));
    settle(&attachment);
    assert_eq!((attachment.evictions().stepped_over, attachment.evictions().failed), (640, 640));
}

#[test]
fn a_rejected_store_can_ask_for_a_pass() {
    let world = World::new(4);
    let all = keys(0..4);
    world.must_store(&all);
    world.pin(&all);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, &all, 1.0, 0.5);
    world.adapter.unlock(&all);
    assert_eq!(world.store(&keys(4..5)).written_bytes(), 0);
    attachment.wake();
    settle(&attachment);
    world.must_store(&keys(4..5));
}
