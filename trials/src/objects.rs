//! The objects of a trial: the bytes of each follow from its key, so that whoever loads one knows whether it is right.

use l2_core::testing::Host;
use l2_core::testing::fixtures::{Seeded, key_of};
use nixl_l2::ObjectKey;

/// The length of the object of a number, in bytes: the same for ever, as it is in a real cache.
pub fn length_of(number: u64) -> usize {
    4096 * (1 + Seeded::new(number).below(16))
}

/// So many keys, of a few tenants.
#[derive(Debug, Clone, Copy)]
pub struct Universe(u64);

impl Universe {
    /// The keys number 0 to `keys` (exclusive).
    pub fn new(keys: u64) -> Self {
        Self(keys)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The key of a number.
    pub fn key(&self, number: u64) -> ObjectKey {
        let salt = match number % 3 {
            0 => "",
            1 => "alice",
            _ => "bob",
        };
        key_of("org/model", salt, number)
    }

    /// A few numbers in a row, from anywhere.
    pub fn some(&self, random: &mut Seeded) -> Vec<u64> {
        let first = random.next_u64() % self.0.max(1);
        (first..first + 1 + random.next_u64() % 6).map(|number| number % self.0.max(1)).collect()
    }

    /// Loads these; each that is there is compared. How many were.
    ///
    /// # Panics
    /// When a byte is wrong.
    pub fn load(&self, host: &Host, numbers: &[u64]) -> usize {
        let items = numbers.iter().map(|number| host.blank_of(&self.key(*number), length_of(*number)));
        let report = host.load_items(items.collect());
        report.outcomes.iter().filter(|outcome| outcome.result.is_ok()).count()
    }
}
