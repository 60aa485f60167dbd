//! Whether keys are looked up in the order in which they were stored, as the chunks of a prompt are.
//!
//! Then the entries of one shard lie one behind the other (backwards, in places that an eviction has left), and where a key's
//! entry is follows from the one before: of the two lines of memory that a key costs in a large index, the table's need not
//! be read. This is learned from each batch; whoever guesses by it looks whether it was right, so that a wrong guess costs time
//! and nothing else.

use std::sync::atomic::{AtomicU8, Ordering};

/// Fewest in four that have to be right.
const RIGHT_OF_FOUR: usize = 3;

/// From the place of one key to that of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Up,
    Down,
}

/// Nothing is known; the last batch was so; and those before it, too.
const NONE: u8 = 0;
const UP_ONCE: u8 = 1;
const DOWN_ONCE: u8 = 2;
const UP: u8 = 3;
const DOWN: u8 = 4;

impl Step {
    /// The next place.
    pub(crate) fn from(self, place: u32) -> Option<u32> {
        match self {
            Self::Up => place.checked_add(1),
            Self::Down => place.checked_sub(1),
        }
    }
}

/// What is known of the last batches. Two in a row make an order, so that hits and misses in turn make none: who guesses pays for
/// each key that is not there.
#[derive(Debug, Default)]
pub(crate) struct Order(AtomicU8);

/// What one batch has shown.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    all: usize,
    up: usize,
    down: usize,
}

impl Seen {
    /// One key after another, and where each is, if it is there.
    pub(crate) fn add(&mut self, place: Option<u32>, next: Option<u32>) {
        let is = |step: Step| next.is_some() && next == place.and_then(|place| step.from(place));
        self.all += 1;
        self.up += usize::from(is(Step::Up));
        self.down += usize::from(is(Step::Down));
    }
}

impl Order {
    /// How the next batch will probably lie.
    pub(crate) fn step(&self) -> Option<Step> {
        match self.0.load(Ordering::Relaxed) {
            UP => Some(Step::Up),
            DOWN => Some(Step::Down),
            _ => None,
        }
    }

    /// Learns from a batch. One that shows nothing changes nothing.
    pub(crate) fn learn(&self, seen: &Seen) {
        if seen.all == 0 {
            return;
        }
        let is_right = |right: usize| 4 * right >= RIGHT_OF_FOUR * seen.all;
        let known = self.0.load(Ordering::Relaxed);
        let learned = match (is_right(seen.up), is_right(seen.down), known) {
            (true, _, UP | UP_ONCE) => UP,
            (true, ..) => UP_ONCE,
            (_, true, DOWN | DOWN_ONCE) => DOWN,
            (_, true, _) => DOWN_ONCE,
            (false, false, _) => NONE,
        };
        if learned != known {
            self.0.store(learned, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_four_in_two_batches_make_an_order_and_nothing_changes_nothing() {
        let order = Order::default();
        let batch = |right: usize, all: usize, step: Step| {
            let mut seen = Seen::default();
            (0..all).for_each(|guess| seen.add(Some(7), step.from(if guess < right { 7 } else { 70 })));
            order.learn(&seen);
            order.step()
        };
        for (step, other) in [(Step::Up, Step::Down), (Step::Down, Step::Up)] {
            assert_eq!([batch(0, 0, step), batch(2, 3, step), batch(11, 15, step)], [None; 3]);
            assert_eq!([batch(12, 16, step), batch(0, 0, step), batch(0, 1, step)], [None; 3]);
            assert_eq!([batch(12, 16, step), batch(1, 1, other), batch(1, 1, step)], [None; 3]);
            assert_eq!([batch(3, 4, step), batch(0, 0, other), batch(1, 1, step)], [Some(step); 3]);
            assert_eq!([batch(11, 16, step), batch(0, 0, step)], [None; 2]);
        }
        assert_eq!((Step::Up.from(u32::MAX), Step::Down.from(0)), (None, None));
    }

    #[test]
    fn keys_that_are_not_there_make_no_order() {
        let order = Order::default();
        for (place, next) in
            [(None, None), (None, Some(1)), (Some(1), None), (Some(u32::MAX), None), (Some(0), None)]
        {
            for _ in 0..3 {
                let mut seen = Seen::default();
                seen.add(place, next);
                order.learn(&seen);
                assert_eq!(order.step(), None, "{place:?} {next:?}");
            }
        }
    }
}
