//! Adapters come and go, in any order with their attachments and the controller; nothing is kept.

use std::sync::Arc;

use l2_core::testing::NoopAdapter;
use l2_core::{L2Adapter, ObjectKey};
use l2_evict::{Controller, EvictionPolicy, Lru, Noop, Watermark};

use crate::world::{World, eventually, keys, pass, settle};

/// An [`Lru`] that can be seen to be freed.
#[derive(Debug)]
struct Seen {
    lru: Lru,
    _alive: Arc<()>,
}

impl EvictionPolicy for Seen {
    fn stored(&mut self, objects: &[(ObjectKey, u64)]) {
        self.lru.stored(objects);
    }
    fn accessed(&mut self, keys: &[ObjectKey]) {
        self.lru.accessed(keys);
    }
    fn deleted(&mut self, key: &ObjectKey) {
        self.lru.deleted(key);
    }
    fn contains(&self, key: &ObjectKey) -> bool {
        self.lru.contains(key)
    }
    fn len(&self) -> usize {
        self.lru.len()
    }
    fn next_victims(&mut self, at_most: usize) -> Vec<ObjectKey> {
        self.lru.next_victims(at_most)
    }
    fn rewind(&mut self, at_most: usize) -> bool {
        self.lru.rewind(at_most)
    }
}

#[test]
fn adapters_are_attached_and_detached_while_others_are_evicted_from() {
    let controller = Controller::start().unwrap();
    let (one, two) = (World::new(10), World::new(10));
    let first = one.attach(&controller, &[], 0.5, 0.1);
    one.must_store(&keys(0..6));
    two.must_store(&keys(0..10));
    settle(&first);
    assert_eq!((one.objects(), two.objects()), (4, 10));

    let second = two.attach(&controller, &[], 0.5, 0.1);
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
    let attachment = controller.attach(&world.adapter, policy, Watermark::default());
    world.must_store(&keys(0..3));
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(attachment);
    assert_eq!(Arc::strong_count(&alive), 1);
    world.must_store(&keys(3..10));
    assert_eq!(world.objects(), 10);
}

#[test]
fn an_adapter_that_is_dropped_while_it_is_attached_is_freed() {
    let controller = Controller::start().unwrap();
    let (world, alive) = (World::new(10), Arc::new(()));
    let policy = Box::new(Seen { lru: Lru::new(), _alive: Arc::clone(&alive) });
    let attachment = controller.attach(&world.adapter, policy, Watermark::default());
    world.must_store(&keys(0..10));
    settle(&attachment);
    let adapter = Arc::downgrade(&world.adapter);
    drop(world);
    eventually("the thread lets go of the adapter", || adapter.strong_count() == 0);
    pass(&attachment);
    assert_eq!(attachment.evictions().objects, 3);
    drop(attachment);
    eventually("the thread lets go of the policy", || Arc::strong_count(&alive) == 1);
}

#[test]
fn an_adapter_that_outlives_its_controller_goes_on_without_eviction() {
    let controller = Controller::start().unwrap();
    let world = World::new(10);
    let attachment = world.attach(&controller, &[], 0.5, 0.5);
    world.must_store(&keys(0..5));
    settle(&attachment);
    assert_eq!(world.objects(), 3);
    drop(controller);
    world.must_store(&keys(5..12));
    attachment.wake();
    assert_eq!(world.objects(), 10);
}

#[test]
fn an_adapter_that_was_closed_ends_its_passes() {
    let controller = Controller::start().unwrap();
    let world = World::new(4);
    world.must_store(&keys(0..4));
    world.adapter.close().unwrap();
    let attachment = world.attach(&controller, &keys(0..4), 0.5, 0.5);
    assert_eq!((attachment.evictions().objects, attachment.evictions().failed), (0, 4));
}

#[test]
fn without_a_policy_or_a_capacity_nothing_goes() {
    let controller = Controller::start().unwrap();
    let world = World::new(4);
    let attachment = controller.attach(&world.adapter, Box::new(Noop), Watermark::default());
    world.must_store(&keys(0..4));
    pass(&attachment);
    assert_eq!(world.objects(), 4);
    assert_eq!(world.take_log().0, []);

    let noop: Arc<dyn L2Adapter> = Arc::new(NoopAdapter::new());
    let mut lru = Lru::new();
    lru.accessed(&keys(0..4));
    let attachment = controller.attach(&noop, Box::new(lru), Watermark::default());
    pass(&attachment);
    assert_eq!(attachment.evictions(), l2_evict::Evictions::default());
}
