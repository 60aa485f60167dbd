//! Adapters come and go, in any order with their attachments and the controller; nothing is kept.

use std::sync::Arc;

use l2_core::testing::NoopAdapter;
use l2_core::{Candidate, Evictable};
use l2_evict::{Controller, EvictionPolicy, Evictions, Lru, Noop, Want, Watermark};

use crate::world::{NEVER, World, eventually, keys, pass, settle};

/// An [`Lru`] that can be seen to be freed.
#[derive(Debug)]
struct Seen {
    lru: Lru,
    _alive: Arc<()>,
}

impl EvictionPolicy for Seen {
    fn victims(&mut self, residents: &dyn Evictable, want: Want<'_>) -> Vec<Candidate> {
        self.lru.victims(residents, want)
    }
}

#[test]
fn adapters_are_attached_and_detached_while_others_are_evicted_from() {
    let controller = Controller::start().unwrap();
    let (one, two) = (World::new(10), World::new(10));
    let first = one.attach(&controller, 0.5, 0.1);
    one.must_store(&keys(0..6));
    two.must_store(&keys(0..10));
    settle(&first);
    assert_eq!((one.objects(), two.objects()), (4, 10));

    let second = two.attach(&controller, 0.5, 0.1);
    assert_eq!((one.objects(), two.objects()), (4, 4));

    drop(first);
    one.must_store(&keys(10..16));
    two.must_store(&keys(10..16));
    settle(&second);
    assert_eq!((one.objects(), two.objects()), (10, 4));
}

#[test]
fn detaching_frees_the_policy_though_the_adapter_keeps_its_listener() {
    let controller = Controller::start().unwrap();
    let (world, alive) = (World::new(10), Arc::new(()));
    let policy = Box::new(Seen { lru: Lru::new(), _alive: Arc::clone(&alive) });
    let attachment = controller.attach(&*world.adapter, policy, Watermark::default());
    world.must_store(&keys(0..3));
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(attachment);
    assert_eq!(Arc::strong_count(&alive), 1);
    world.must_store(&keys(3..10));
    assert_eq!(world.objects(), 10);
}

#[test]
fn detaching_leaves_the_one_alone_that_came_after_it() {
    let controller = Controller::start().unwrap();
    let world = World::never_full(4);
    let first = world.attach(&controller, NEVER, 0.5);
    let second = world.attach(&controller, NEVER, 0.5);
    drop(first);
    world.must_store(&keys(0..6));
    assert_eq!(second.evictions().objects, 2);
    drop(second);
    assert!(world.store(&keys(6..7)).outcomes[0].result.is_err(), "nobody is asked any more");
}

#[test]
fn detaching_puts_back_what_was_to_go_and_was_not_deleted() {
    let controller = Controller::start().unwrap();
    let world = World::new(1000);
    let gate = Arc::clone(&world.deletes.lock().unwrap().gate);
    let closed = gate.lock().unwrap();
    world.must_store(&keys(0..1000));
    let attachment =
        controller.attach(&*world.adapter, Box::new(Lru::new()), Watermark::new(0.5, 1.0).unwrap());
    eventually("all are out of sight", || world.there(1000).is_empty());
    drop(attachment);
    let back = world.there(1000).len();
    assert!((1000 - 256..1000).contains(&back), "{back} of 1000");
    drop(closed);
    eventually("what was under way ends", || world.objects() == back as u64);
}

#[test]
fn an_adapter_that_is_dropped_while_it_is_attached_is_freed() {
    let controller = Controller::start().unwrap();
    let (world, alive) = (World::new(10), Arc::new(()));
    let policy = Box::new(Seen { lru: Lru::new(), _alive: Arc::clone(&alive) });
    let attachment = controller.attach(&*world.adapter, policy, Watermark::default());
    world.must_store(&keys(0..10));
    settle(&attachment);
    let (adapter, index) = (Arc::downgrade(&world.adapter), Arc::downgrade(&world.index));
    drop(world);
    assert_eq!(adapter.strong_count(), 0, "the controller does not hold it");
    eventually("the thread lets go of the index", || index.strong_count() == 0);
    pass(&attachment);
    assert_eq!(attachment.evictions().objects, 3);
    drop(attachment);
    eventually("the thread lets go of the policy", || Arc::strong_count(&alive) == 1);
}

#[test]
fn an_adapter_that_outlives_its_controller_still_makes_room_for_its_stores() {
    let controller = Controller::start().unwrap();
    let world = World::new(10);
    let attachment = world.attach(&controller, 0.5, 0.5);
    world.must_store(&keys(0..5));
    settle(&attachment);
    assert_eq!(world.objects(), 3);
    drop(controller);
    world.must_store(&keys(5..14));
    attachment.wake();
    assert_eq!(world.objects(), 10);
}

#[test]
fn what_was_to_go_when_the_controller_ends_can_be_looked_up_again() {
    let controller = Controller::start().unwrap();
    let world = World::new(1000);
    let gate = Arc::clone(&world.deletes.lock().unwrap().gate);
    let closed = gate.lock().unwrap();
    world.must_store(&keys(0..1000));
    let attachment =
        controller.attach(&*world.adapter, Box::new(Lru::new()), Watermark::new(0.5, 1.0).unwrap());
    eventually("all are out of sight", || world.there(1000).is_empty());
    // It waits for the delete that is under way.
    std::thread::scope(|scope| {
        scope.spawn(move || drop(controller));
        drop(closed);
    });
    assert!(attachment.is_idle());
    assert_eq!(world.there(1000).len() as u64, world.objects());
}

#[test]
fn nothing_goes_from_an_adapter_that_was_closed() {
    let controller = Controller::start().unwrap();
    let world = World::new(4);
    world.must_store(&keys(0..4));
    world.adapter.close().unwrap();
    let attachment = world.attach(&controller, 0.5, 0.5);
    assert_eq!((attachment.evictions(), world.objects()), (Evictions::default(), 4));
}

#[test]
fn without_a_policy_or_a_capacity_nothing_goes() {
    let controller = Controller::start().unwrap();
    let world = World::new(4);
    let attachment = controller.attach(&*world.adapter, Box::new(Noop), Watermark::default());
    world.must_store(&keys(0..4));
    pass(&attachment);
    assert_eq!((world.objects(), world.take_log().0), (4, vec![]));

    let noop = NoopAdapter::new();
    let attachment = controller.attach(&noop, Box::new(Lru::new()), Watermark::default());
    pass(&attachment);
    assert_eq!(attachment.evictions(), Evictions::default());
}
