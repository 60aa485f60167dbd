//! What is pinned is not chosen, stays as it is, and costs no delete.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use l2_core::testing::fixtures::key;
use l2_core::{Candidate, Clock, Evictable};
use l2_evict::{Controller, EvictionPolicy, Want, Watermark};
use l2_index::PinTerms;

use crate::world::{BYTES, World, eventually, keys, pass, settle};

#[test]
fn of_a_batch_the_last_key_goes_first() {
    let world = World::new(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 1.0, 0.3);
    world.must_store(&keys(0..10));
    settle(&attachment);
    assert_eq!(world.take_log().1, keys([9, 8, 7]));
    assert_eq!((attachment.evictions().objects, attachment.evictions().bytes), (3, 3 * BYTES));
}

#[test]
fn what_was_looked_up_or_loaded_goes_after_what_was_not() {
    let world = World::new(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 1.0, 0.5);
    world.must_store(&keys(0..9));
    world.touch(&keys([8, 7]));
    assert!(world.load(&key(6)));
    world.must_store(&keys([9]));
    settle(&attachment);
    assert_eq!(world.take_log().1, keys([5, 4, 3, 2, 1]));
    pass(&attachment);
    assert_eq!(world.there(10), [0, 6, 7, 8, 9]);
}

#[test]
fn what_is_pinned_at_the_cold_end_is_not_even_asked_to_be_deleted() {
    let cold = keys(0..700);
    let world = World::new(2000);
    // The coldest are pinned: of a batch, the last.
    for number in 0..2000 {
        world.must_store(&keys([number]));
    }
    let lookup = world.adapter.submit_lookup_and_lock(cold.clone());
    // A lookup is a use; all else is used after it, in order.
    (700..2000).for_each(|number| world.touch(&keys([number])));

    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 0.9, 0.01);
    let (asked, freed) = world.take_log();
    let left = world.objects();
    assert!(left < 1800, "{left}");
    assert_eq!(freed, keys(700..700 + 2000 - left));
    assert_eq!(asked, freed);

    // Given back (a dropped lookup), they are the first to go; but for what was used since.
    drop(lookup);
    world.touch(&cold[..1]);
    world.must_store(&keys(6000..6030));
    settle(&attachment);
    let freed = world.take_log().1;
    assert!(!freed.is_empty() || world.objects() < 1800);
    pass(&attachment);
    world.must_store(&keys(7000..7300));
    settle(&attachment);
    let freed = [freed, world.take_log().1].concat();
    // What had been chosen before they were given back goes first, and then they do.
    assert!(freed.contains(&cold[699]) && !freed.contains(&cold[0]), "{} freed", freed.len());
}

#[test]
fn when_all_is_pinned_the_pass_ends_and_the_next_store_begins_another() {
    let world = World::new(10);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 0.5, 0.2);
    let first = keys(0..4);
    world.must_store(&first);
    assert_eq!(world.pin(&first).prefix_hits(), 4);
    world.must_store(&keys(4..5));
    settle(&attachment);
    assert_eq!(world.there(5), [0, 1, 2, 3], "what is not pinned went");

    world.adapter.unlock(&first);
    world.must_store(&keys(5..6));
    settle(&attachment);
    assert_eq!(world.there(6), [0, 1, 2, 5], "the last of the oldest batch went");
}

/// Asks for a pass while one is under way and has looked at its quotas already.
struct Asks {
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    rooms: Arc<AtomicUsize>,
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asks")
    }
}

impl EvictionPolicy for Asks {
    fn victims(&mut self, _: &dyn Evictable, _: Want<'_>) -> Vec<Candidate> {
        Vec::new()
    }

    fn room(&mut self, _: &dyn Evictable) -> Option<u64> {
        if self.rooms.fetch_add(1, Ordering::SeqCst) < 3 {
            self.wake.iter().for_each(|wake| wake());
        }
        Some(u64::MAX)
    }

    fn wakes(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.wake = Some(wake);
    }
}

#[test]
fn who_asks_for_a_pass_while_one_is_under_way_gets_another() {
    let (world, controller, rooms) =
        (World::new(10), Controller::start().unwrap(), Arc::<AtomicUsize>::default());
    let policy = Box::new(Asks { wake: None, rooms: Arc::clone(&rooms) });
    let attachment = controller.attach(&*world.adapter, policy, Watermark::new(0.5, 0.1).unwrap());
    // A pass asks twice: whether it is due, and what wakes the next one.
    eventually("the third was answered by a pass of its own", || rooms.load(Ordering::SeqCst) >= 4);
    settle(&attachment);
}

#[test]
fn a_pin_that_has_ended_protects_nothing() {
    let (clock, hand) = Clock::manual();
    let terms = PinTerms { time_to_live: Some(Duration::from_secs(600)), clock };
    let world = World::with_pins(4, terms);
    let all = keys(0..4);
    world.must_store(&all);
    world.pin(&all);
    let controller = Controller::start().unwrap();
    let attachment = world.attach(&controller, 0.6, 0.1);
    assert_eq!((world.objects(), attachment.evictions().objects), (4, 0));
    hand.advance(Duration::from_secs(599));
    pass(&attachment);
    assert_eq!(world.objects(), 4);
    hand.advance(Duration::from_secs(1));
    pass(&attachment);
    assert_eq!((world.objects(), world.adapter.status().expired_pins), (2, 4));
}
