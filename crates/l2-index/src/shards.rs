//! The shards: maps of entries, each under a lock of its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use l2_core::{KeyHasherBuilder, ObjectKey};

use crate::entry::Entry;

/// A power of two.
const SHARDS: usize = 128;

/// All entries, spread over locks by their keys.
pub(crate) struct Shards<V>(Box<[Shard<V>]>);

/// On a cache line of its own (two, for processors that fetch them in pairs), so that threads on different shards do
/// not slow each other down.
#[repr(align(128))]
struct Shard<V>(Mutex<Entries<V>>);

/// The entries of one shard.
pub(crate) struct Entries<V> {
    pub(crate) map: HashMap<ObjectKey, Entry<V>, KeyHasherBuilder>,
    /// How many are Resident.
    pub(crate) objects: u64,
    /// How many have pins.
    pub(crate) pinned: u64,
    /// Raised whenever an entry goes away.
    pub(crate) removals: u64,
}

impl<V> Shards<V> {
    pub(crate) fn new() -> Self {
        let empty = || Entries { map: HashMap::default(), objects: 0, pinned: 0, removals: 0 };
        Self((0..SHARDS).map(|_| Shard(Mutex::new(empty()))).collect())
    }

    /// The shard of `key`, locked.
    #[expect(clippy::indexing_slicing, reason = "a remainder by SHARDS is below it")]
    pub(crate) fn of(&self, key: &ObjectKey) -> MutexGuard<'_, Entries<V>> {
        // A hash map picks its groups by the low bits of the hash and tells the keys of a group apart by the top seven.
        // Shards are therefore picked by bits in between: were they the top ones, all keys of a shard would share them.
        let at = usize::try_from((key.hash64() >> 40) % SHARDS as u64).unwrap_or_default();
        self.0[at].lock()
    }

    /// All shards, each locked when it is its turn.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Entries<V>>> {
        self.0.iter().map(Shard::lock)
    }
}

impl<V> Shard<V> {
    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        // No step under the lock can panic between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::State;
    use l2_core::KeyScope;

    #[test]
    fn keys_spread_over_all_shards_and_within_a_shard_over_its_map() {
        let shards = Shards::<()>::new();
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        for number in 0..20_000_u32 {
            let key = scope.key(&number.to_le_bytes()).unwrap();
            shards.of(&key).map.insert(key.clone(), Entry::new(1, 0, State::Storing));
        }
        assert_eq!(shards.each().count(), SHARDS);
        for shard in shards.each() {
            assert!((80..320).contains(&shard.map.len()), "{} keys in a shard", shard.map.len());
            // The bits by which the map tells keys apart, and those by which it places them.
            let tags: u128 = shard.map.keys().fold(0, |seen, key| seen | 1 << (key.hash64() >> 57));
            let places: u128 = shard.map.keys().fold(0, |seen, key| seen | 1 << (key.hash64() & 127));
            assert!(tags.count_ones() > 40 && places.count_ones() > 40);
        }
    }
}
