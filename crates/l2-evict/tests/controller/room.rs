//! A store that does not fit asks for room, and is rejected only when nothing can go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use l2_core::testing::fixtures::key;
use l2_core::{Candidate, ErrorKind, Evictable, Stored};
use l2_evict::{Controller, EvictionPolicy, Lru, Noop, Want, Watermark};

use crate::world::{BYTES, NEVER, World, eventually, keys, pass, settle};

#[test]
fn a_store_that_does_not_fit_evicts_just_what_it_needs_the_coldest_first() {
    let world = World::never_full(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, NEVER, 0.5);
    world.must_store(&keys(0..10));
    world.touch(&keys([9]));
    assert_eq!(world.take_log().1, []);
    world.must_store(&keys(10..13));
    assert_eq!(world.take_log().1, keys([8, 7, 6]));
    assert_eq!((world.objects(), attachment.evictions().objects), (10, 3));
}

#[test]
fn a_store_is_rejected_when_all_is_pinned_and_succeeds_once_something_is_not() {
    let world = World::never_full(4);
    let all = keys(0..4);
    let controller = Controller::start().unwrap();
    let _attachment = world.attach(&controller, NEVER, 0.5);
    world.must_store(&all);
    world.pin(&all);
    for _ in 0..3 {
        let report = world.store(&keys([4]));
        assert_eq!(report.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
    }
    assert_eq!((world.there(9), world.take_log().0), (vec![0, 1, 2, 3], vec![]));
    world.adapter.unlock(&all[1..2]);
    world.must_store(&keys([5]));
    assert_eq!(world.there(9), [0, 2, 3, 5]);
}

#[test]
fn a_store_finds_room_though_nearly_all_that_was_chosen_has_been_used_since() {
    let world = World::never_full(20);
    let controller = Controller::start().unwrap();
    let _attachment = world.attach(&controller, NEVER, 0.5);
    world.must_store(&keys(0..20));
    // Chooses from all of them.
    world.must_store(&keys([20]));
    world.touch(&keys(0..19));
    world.must_store(&keys([21]));
    assert_eq!(world.objects(), 20);
}

#[test]
fn a_store_that_cannot_fit_whatever_goes_costs_nothing() {
    let (world, controller) = (World::never_full(10), Controller::start().unwrap());
    let attachment = world.attach(&controller, NEVER, 0.5);
    world.must_store(&keys(0..10));
    world.pin(&keys(0..5));
    // Five could go, and seven are needed.
    let evictable = world.adapter.evictable();
    assert_eq!(evictable.could_go_bytes(), 5 * BYTES);
    let report = world.store_of(&key(20), 7 * BYTES);
    assert_eq!(report.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
    drop(report);
    assert_eq!(world.there(10).len(), 10);
    let report = world.store_of(&key(20), 5 * BYTES);
    assert!(report.outcomes[0].result.is_ok(), "{report:?}");
    assert_eq!(world.there(10), [0, 1, 2, 3, 4]);
    settle(&attachment);
}

#[test]
fn noop_makes_no_room() {
    let world = World::new(2);
    let controller = Controller::start().unwrap();
    let attachment = controller.attach(&*world.adapter, Box::new(Noop), Watermark::default());
    world.must_store(&keys(0..2));
    assert!(world.store(&keys(2..3)).outcomes[0].result.is_err());
    pass(&attachment);
    assert_eq!((world.there(3), world.take_log().0), (vec![0, 1], vec![]));
}

#[test]
fn without_a_controller_nobody_makes_room() {
    let world = World::never_full(2);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, NEVER, 0.1);
    drop(attachment);
    world.must_store(&keys(0..2));
    assert!(world.store(&keys(2..3)).outcomes[0].result.is_err());
    drop(controller);
    assert!(world.store(&keys(2..3)).outcomes[0].result.is_err());
}

#[test]
fn many_stores_at_once_each_get_their_room() {
    let world = World::new(50);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 0.9, 0.1);
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let world = &world;
            scope.spawn(move || {
                for number in 0..400 {
                    let report = world.store(&keys([1000 * thread + number]));
                    assert!(report.failures().next().is_none(), "{report:?}");
                    world.objects();
                }
            });
        }
    });
    settle(&attachment);
    assert!(world.objects() < 45);
    assert_eq!(attachment.evictions().objects, 8 * 400 - world.objects());
}

/// An [`Lru`] that counts how often it is asked.
#[derive(Debug)]
struct Counted(Lru, Arc<AtomicUsize>);

impl Counted {
    fn policy() -> (Box<dyn EvictionPolicy>, Arc<AtomicUsize>) {
        let asked = Arc::<AtomicUsize>::default();
        (Box::new(Self(Lru::new(), Arc::clone(&asked))), asked)
    }
}

impl EvictionPolicy for Counted {
    fn victims(&mut self, residents: &dyn Evictable, want: Want<'_>) -> Vec<Candidate> {
        let victims = self.0.victims(residents, want);
        self.1.fetch_add(1, Ordering::SeqCst);
        victims
    }
}

#[test]
fn a_store_waits_for_what_another_is_deleting_rather_than_being_rejected() {
    let world = World::new(2);
    let controller = Controller::start().unwrap();
    let (policy, asked) = Counted::policy();
    let attachment = controller.attach(&*world.adapter, policy, Watermark::new(NEVER, 0.5).unwrap());
    settle(&attachment);
    world.must_store(&keys(0..1));
    let gate = Arc::clone(&world.deletes.lock().unwrap().gate);
    let closed = gate.lock().unwrap();
    // Fills it up: the pass takes one out of sight, and stands at the gate; the other is pinned.
    world.pin(&keys(0..1));
    world.must_store(&keys(1..2));
    // Before it stands there the store would delete in its place.
    eventually("the pass stands at the gate", || world.deletes.lock().unwrap().at_gate == 1);
    assert!(!world.has(&key(1)));
    std::thread::scope(|scope| {
        let before = asked.load(Ordering::SeqCst);
        let store = scope.spawn(|| world.store(&keys(2..3)));
        eventually("the store has found nothing", || asked.load(Ordering::SeqCst) > before);
        // If it did not wait it would be rejected by now.
        std::thread::sleep(Duration::from_millis(50));
        drop(closed);
        let report = store.join().unwrap();
        assert!(matches!(report.outcomes[0].result, Ok(Stored::Written { bytes: BYTES })), "{report:?}");
    });
    settle(&attachment);
}

#[test]
fn a_store_of_what_is_to_go_keeps_it() {
    let world = World::new(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 0.8, 1.0);
    let gate = Arc::clone(&world.deletes.lock().unwrap().gate);
    let closed = gate.lock().unwrap();
    world.must_store(&keys(0..8));
    eventually("all are out of sight", || world.there(8).is_empty());
    assert_eq!(world.objects(), 8, "their bytes count");
    assert!(world.pin(&keys(0..8)).prefix_hits() == 0 && !world.load(&key(0)));
    let report = world.store(&keys(0..3));
    assert!(report.outcomes.iter().all(|outcome| matches!(outcome.result, Ok(Stored::AlreadyPresent))));
    assert_eq!(world.there(8), [0, 1, 2]);
    drop(closed);
    settle(&attachment);
    assert_eq!((world.there(8), world.objects()), (vec![0, 1, 2], 3));
    assert_eq!((attachment.evictions().objects, attachment.evictions().spared), (5, 3));
}
