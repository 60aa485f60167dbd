//! The index against a plain model, over arbitrary sequences of all its operations.
#![cfg(test)]

mod calls;
mod check;
mod model;
mod steps;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use crate::steps::step;
use crate::world::World;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Pins whose time is over end when somebody needs to know: the sums and the releases do, and are looked at after
    /// some steps alone. So is what a scan shows, in some runs, for the oldest release is that since the last scan. All
    /// else is looked at after each step.
    #[test]
    fn the_index_does_what_the_model_does(
        time_to_live in prop_oneof![3 => (0u64..12).prop_map(Some), 1 => Just(None)],
        steps in prop::collection::vec((step(), 0..4), 1..100),
        nth in 0usize..8, always_scans: bool,
    ) {
        let mut world = World::new(time_to_live.map(Duration::from_secs));
        for (step, also) in steps {
            world.apply(step);
            match also {
                0 => world.check_sums(),
                1 => world.check_releases(),
                _ => {}
            }
            world.check();
            if always_scans || also == 2 {
                world.check_candidates();
            }
        }
        world.take_down(nth);
    }
}
