//! Many threads store, look up, delete and evict at once.

use std::sync::atomic::{AtomicBool, Ordering};

use l2_core::ObjectKey;
use l2_core::testing::fixtures::{Seeded, key};
use l2_evict::{ArcPolicy, Controller, EvictionPolicy, IsolatedLru, Lru, Quotas, Watermark};

use crate::world::{BYTES, World, keys, pass};

const THREADS: u64 = 8;
const STEPS: usize = 2000;
const KEYS: usize = 300;
const CAPACITY: u64 = 100;

/// One thread's life: stores of few keys, so that the same are often stored, evicted and deleted at once.
fn work(world: &World, seed: u64) {
    let mut random = Seeded::new(seed);
    for _ in 0..STEPS {
        let batch: Vec<ObjectKey> =
            (0..1 + random.below(3)).map(|_| key(random.below(KEYS) as u64)).collect();
        match random.below(10) {
            // At most 24 objects are pinned at once: there is always something that can go.
            0..6 => {
                let report = world.store(&batch);
                assert!(report.failures().next().is_none(), "{report:?}");
            }
            6..9 => world.touch(&batch),
            _ => drop(world.adapter.delete(&batch)),
        }
        world.objects();
    }
}

#[track_caller]
fn ends_below_the_watermark(policy: Box<dyn EvictionPolicy>) {
    let controller = Controller::start().unwrap();
    let world = World::new(CAPACITY);
    let attachment = controller.attach(&*world.adapter, policy, Watermark::new(0.6, 0.1).unwrap());
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
    // Nothing was lost from sight: what is not visible is not there.
    assert_eq!(world.there(KEYS as u64).len() as u64, world.objects());
}

#[test]
fn usage_never_passes_the_capacity_no_store_is_rejected_and_all_ends_below_the_watermark() {
    ends_below_the_watermark(Box::new(Lru::new()));
    ends_below_the_watermark(Box::new(ArcPolicy::new()));
    let quotas = Quotas::new();
    quotas.set("", 50 * BYTES);
    ends_below_the_watermark(Box::new(IsolatedLru::new(quotas, Watermark::new(0.6, 0.1).unwrap())));
}

#[test]
fn adapters_come_and_go_while_others_are_stored_to() {
    let controller = Controller::start().unwrap();
    let steady = World::new(CAPACITY);
    let attachment = steady.attach(&controller, 0.6, 0.1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (steady, controller, done) = (&steady, &controller, &done);
        let passing = scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let world = World::new(10);
                let attachment =
                    controller.attach(&*world.adapter, Box::new(Lru::new()), Watermark::default());
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
