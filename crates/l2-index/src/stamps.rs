//! The order of uses: a number for each, the same for no two.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use l2_core::Stamp;

/// The first number of a use. Below it are those of objects that were found and not used yet.
const FIRST_USE: u64 = 1 << 62;
/// Those that were changed within one millisecond are told apart by so many bits.
const WITHIN_MILLISECOND: u32 = 20;

/// Gives the numbers.
#[derive(Debug)]
pub(crate) struct Stamps {
    next_use: AtomicU64,
    next_cold: AtomicU64,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        Self { next_use: AtomicU64::new(FIRST_USE), next_cold: AtomicU64::new(1) }
    }

    /// The uses of a batch, now.
    pub(crate) fn batch(&self, length: usize) -> Batch {
        let length = length as u64;
        // Relaxed: the numbers only have to differ, and to rise for each thread.
        Batch { first: self.next_use.fetch_add(length, Ordering::Relaxed), length }
    }

    /// Earlier than every use, later than every one of these before.
    pub(crate) fn cold(&self) -> Stamp {
        Stamp(self.next_cold.fetch_add(1, Ordering::Relaxed))
    }

    /// As [`Stamps::cold`], but later than those, and in the order of the times at which they were changed, from 1970 to
    /// 2109. Of more than a million within one millisecond some share a number.
    pub(crate) fn cold_since(&self, changed: Duration) -> Stamp {
        let latest = (FIRST_USE >> WITHIN_MILLISECOND) - 1;
        let milliseconds = u64::try_from(changed.as_millis()).unwrap_or(latest).min(latest);
        let number = self.next_cold.fetch_add(1, Ordering::Relaxed) & ((1 << WITHIN_MILLISECOND) - 1);
        Stamp(milliseconds << WITHIN_MILLISECOND | number)
    }
}

/// The stamps of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    first: u64,
    length: u64,
}

impl Batch {
    /// That of the key at `at`: the last key of the batch has the earliest.
    pub(crate) fn stamp(self, at: usize) -> Stamp {
        Stamp(self.first + self.length.saturating_sub(at as u64 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_batches_are_later_the_last_of_a_batch_is_earliest_and_what_is_cold_is_before_all() {
        let stamps = Stamps::new();
        let (one, two) = (stamps.batch(3), stamps.batch(2));
        let order = [
            stamps.cold(),
            stamps.cold(),
            stamps.cold_since(Duration::from_millis(1_700_000_000_000)),
            stamps.cold_since(Duration::from_millis(1_700_000_000_000)),
            stamps.cold_since(Duration::from_millis(1_700_000_000_001)),
            stamps.cold_since(Duration::MAX),
            one.stamp(2),
            one.stamp(1),
            one.stamp(0),
            two.stamp(1),
            two.stamp(0),
            stamps.batch(1).stamp(0),
        ];
        assert!(order.is_sorted() && order.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
