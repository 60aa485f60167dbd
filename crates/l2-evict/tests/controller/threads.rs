//! Many threads store, look up, delete and evict at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use l2_core::testing::fixtures::{Seeded, key};
use l2_core::{L2Listener, ObjectKey};
use l2_evict::{Controller, EvictionPolicy, Lru, Watermark};

use crate::world::{World, keys, pass, settle};

const THREADS: u64 = 8;
const STEPS: usize = 2000;
const KEYS: usize = 300;
const CAPACITY: u64 = 100;

/// An [`Lru`] that the test can look into.
#[derive(Debug, Clone, Default)]
struct Open(Arc<Mutex<Lru>>);

impl Open {
    fn with<T>(&self, tell: impl FnOnce(&mut Lru) -> T) -> T {
        tell(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EvictionPolicy for Open {
    fn stored(&mut self, objects: &[(ObjectKey, u64)]) {
        self.with(|lru| lru.stored(objects));
    }
    fn accessed(&mut self, keys: &[ObjectKey]) {
        self.with(|lru| lru.accessed(keys));
    }
    fn deleted(&mut self, key: &ObjectKey) {
        self.with(|lru| lru.deleted(key));
    }
    fn contains(&self, key: &ObjectKey) -> bool {
        self.with(|lru| lru.contains(key))
    }
    fn len(&self) -> usize {
        self.with(|lru| lru.len())
    }
    fn next_victims(&mut self, at_most: usize) -> Vec<ObjectKey> {
        self.with(|lru| lru.next_victims(at_most))
    }
    fn rewind(&mut self, at_most: usize) -> bool {
        self.with(|lru| lru.rewind(at_most))
    }
}

/// One thread's life: stores of few keys, so that the same are often stored, evicted and deleted at once.
fn work(world: &World, seed: u64) {
    let mut random = Seeded::new(seed);
    for _ in 0..STEPS {
        let batch: Vec<ObjectKey> =
            (0..1 + random.below(3)).map(|_| key(random.below(KEYS) as u64)).collect();
        match random.below(10) {
            0..6 => drop(world.store(&batch)),
            6..9 => {
                let report = world.pin(&batch);
                let hits: Vec<ObjectKey> = report.hits().map(|(key, _)| key.clone()).collect();
                world.adapter.unlock(&hits);
            }
            _ => drop(world.adapter.delete(&batch)),
        }
        world.objects();
    }
}

#[test]
fn usage_never_passes_the_capacity_and_ends_below_the_watermark() {
    let controller = Controller::start().unwrap();
    let (world, policy) = (World::new(CAPACITY), Open::default());
    let watermark = Watermark::new(0.6, 0.1).unwrap();
    let attachment = controller.attach(&world.adapter, Box::new(policy.clone()), watermark);
    std::thread::scope(|scope| {
        for seed in 0..THREADS {
            let world = &world;
            scope.spawn(move || work(world, seed));
        }
    });
    // The last pass may have found pins that were given back since.
    pass(&attachment);
    assert!(world.objects() < 60, "{} objects", world.objects());
    assert!(attachment.evictions().objects > 1000, "{attachment:?}");
    assert_eq!(attachment.evictions().failed, 0);

    // Whatever order they were told in, no object was forgotten: all of them can go.
    let known: Vec<bool> = (0..KEYS as u64).map(|number| policy.contains(&key(number))).collect();
    for (number, known) in (0..).zip(known) {
        let there = world.pin(&[key(number)]).prefix_hits() == 1;
        assert!(known || !there, "{number} is stored, but the policy does not know");
    }
}

/// Stores a key again as soon as it hears of its deletion: before those who were added later hear of that.
struct StoresAgain {
    world: Weak<World>,
    stored: AtomicBool,
}

impl L2Listener for StoresAgain {
    fn on_stored(&self, _: &[(ObjectKey, u64)], _: bool) {}

    fn on_accessed(&self, _: &[ObjectKey]) {}

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        if !self.stored.swap(true, Ordering::Relaxed)
            && let Some(world) = self.world.upgrade()
        {
            objects.iter().for_each(|(key, _)| world.must_store(std::slice::from_ref(key)));
        }
    }
}

#[test]
fn an_object_that_is_stored_before_its_last_deletion_is_heard_of_can_still_go() {
    let controller = Controller::start().unwrap();
    let world = Arc::new(World::new(10));
    let again = StoresAgain { world: Arc::downgrade(&world), stored: AtomicBool::new(false) };
    world.adapter.add_listener(Arc::new(again));
    let attachment = world.attach(&controller, &[], 0.5, 1.0);
    world.must_store(&keys(0..1));
    world.adapter.delete(&keys(0..1));
    assert_eq!(world.objects(), 1, "it was stored again");
    // A pass that is under way would not see all of the next batch at once.
    settle(&attachment);
    world.must_store(&keys(1..5));
    settle(&attachment);
    assert_eq!(world.objects(), 0);
}

#[test]
fn adapters_come_and_go_while_others_are_stored_to() {
    let controller = Controller::start().unwrap();
    let steady = World::new(CAPACITY);
    let attachment = steady.attach(&controller, &[], 0.6, 0.1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (steady, controller, done) = (&steady, &controller, &done);
        let passing = scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let world = World::new(10);
                let attachment =
                    controller.attach(&world.adapter, Box::new(Lru::new()), Watermark::default());
                world.must_store(&keys(0..10));
                // Dropped in either order, in the midst of its pass.
                if attachment.evictions().objects.is_multiple_of(2) {
                    drop(attachment);
                } else {
                    drop(world);
                }
            }
        });
        let workers: Vec<_> = (0..4).map(|seed| scope.spawn(move || work(steady, seed))).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::Relaxed);
        passing.join().unwrap();
    });
    pass(&attachment);
    assert!(steady.objects() < 60, "{} objects", steady.objects());
}
