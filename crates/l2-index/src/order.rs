//! Whether keys are looked up in the order in which they were stored, as the chunks of a prompt are.
//!
//! Then the entries of one shard lie one behind the other, and where a key's entry is follows from the one before: of the two
//! lines of memory that a key costs in a large index, the table's need not be read. This is learned from each batch; whoever
//! guesses by it looks whether it was right, so that a wrong guess costs time and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

/// Fewest in four that have to be right.
const RIGHT_OF_FOUR: usize = 3;

/// What is known of the last batches.
#[derive(Debug, Default)]
pub(crate) struct Order(AtomicBool);

/// What one batch has shown.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    all: usize,
    right: usize,
}

impl Guesses {
    /// One more.
    pub(crate) fn add(&mut self, is_right: bool) {
        self.all += 1;
        self.right += usize::from(is_right);
    }
}

impl Order {
    /// Whether the next batch will probably be in order.
    pub(crate) fn is_likely(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a batch. One that shows nothing changes nothing.
    pub(crate) fn learn(&self, seen: &Guesses) {
        let likely = 4 * seen.right >= RIGHT_OF_FOUR * seen.all;
        if seen.all > 0 && likely != self.is_likely() {
            self.0.store(likely, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_four_make_an_order_and_nothing_changes_nothing() {
        let order = Order::default();
        let batch = |right: usize, all: usize| {
            let mut seen = Guesses::default();
            (0..all).for_each(|guess| seen.add(guess < right));
            order.learn(&seen);
            order.is_likely()
        };
        assert!(!batch(0, 0) && !batch(2, 3) && !batch(11, 15));
        assert!(batch(12, 16) && batch(0, 0) && batch(1, 1));
        assert!(!batch(11, 16) && !batch(0, 0));
    }
}
