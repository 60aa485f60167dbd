//! Batches, a window of keys at a time: which shard each is in, and what to read ahead for them.
//!
//! To lock a shard is dear beside the few steps that a key takes under the lock, so the keys of a window are sorted by shard,
//! and each shard is locked once for all of its keys. A lock also makes the processor wait for what it was asked to read
//! before: so what is read first is asked for before any lock is taken ([`crate::ahead`]), and places are noted under the
//! locks, and read ahead after them.

use l2_core::ObjectKey;
use l2_core::memory::prefetch_at;

use crate::shards::{SHARDS, shard_of};

/// Keys that are read ahead for at once: what they need fits into the nearest cache.
pub(crate) const WINDOW: usize = 64;

/// A key of a batch: where it is there, and its hash.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hashed {
    pub(crate) at: usize,
    pub(crate) hash: u64,
    /// The place in its shard where it was a moment ago, almost certainly.
    pub(crate) likely: Option<u32>,
}

/// At most [`WINDOW`] keys of a batch, sorted by shard; those of one shard stay in their order.
pub(crate) struct Window {
    sorted: [Hashed; WINDOW],
    length: usize,
}

impl Window {
    /// These, of which the first is number `first` of its batch. Each hash is shown as soon as it is known, and whether it is the
    /// first of its shard.
    pub(crate) fn of(keys: &[ObjectKey], first: usize, show: impl Fn(u64, bool)) -> Self {
        let mut hashes = [0; WINDOW];
        // How many keys a shard has; then where its first one goes; then where its next one goes.
        let mut places = [0; SHARDS];
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = key.hash64();
            if let Some(count) = places.get_mut(shard_of(*hash)) {
                show(*hash, *count == 0);
                *count += 1;
            }
        }
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        let mut sorted = [Hashed::default(); WINDOW];
        for (at, hash) in hashes.into_iter().take(keys.len()).enumerate() {
            if let Some(place) = places.get_mut(shard_of(hash))
                && let Some(key) = sorted.get_mut(*place)
            {
                *key = Hashed { at: first + at, hash, likely: None };
                *place += 1;
            }
        }
        Self { sorted, length: keys.len() }
    }

    /// The keys of each shard that has any here, and the shard.
    pub(crate) fn groups(&mut self) -> impl Iterator<Item = (usize, &mut [Hashed])> {
        let sorted = self.sorted.get_mut(..self.length).unwrap_or_default();
        let groups = sorted.chunk_by_mut(|one, other| shard_of(one.hash) == shard_of(other.hash));
        groups.map(|group| (group.first().map_or(0, |key| shard_of(key.hash)), group))
    }
}

/// At most [`WINDOW`] places to read ahead.
pub(crate) struct Places<T> {
    places: [*const T; WINDOW],
    length: usize,
}

impl<T> Places<T> {
    pub(crate) fn none() -> Self {
        Self { places: [std::ptr::null(); WINDOW], length: 0 }
    }

    /// Notes one, if there is any.
    pub(crate) fn add(&mut self, place: Option<&T>) {
        if let Some(place) = place
            && let Some(next) = self.places.get_mut(self.length)
        {
            *next = place;
            self.length += 1;
        }
    }

    /// Begins to read what lies in all of them, or lay there when it was noted.
    pub(crate) fn read_ahead(&self) {
        self.places.iter().take(self.length).for_each(|place| prefetch_at(*place));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use l2_core::KeyScope;

    #[test]
    fn a_window_has_each_key_once_in_a_group_of_its_shard_alone() {
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        for length in [0u32, 1, 5, 63, 64] {
            let keys: Vec<_> = (0..length).map(|number| scope.key(&number.to_le_bytes()).unwrap()).collect();
            let shown = Cell::new(0);
            let firsts = Cell::new(0);
            let mut window = Window::of(&keys, 128, |_, first| {
                shown.set(shown.get() + 1);
                firsts.set(firsts.get() + usize::from(first));
            });
            assert_eq!(shown.get(), length);
            let mut shards = Vec::new();
            let mut seen = Vec::new();
            for (shard, group) in window.groups() {
                shards.push(shard);
                assert!(group.iter().map(|key| key.at).is_sorted());
                for key in group {
                    assert_eq!(key.hash, keys[key.at - 128].hash64());
                    assert_eq!((shard_of(key.hash), key.likely), (shard, None));
                    seen.push(key.at - 128);
                }
            }
            assert!(shards.is_sorted_by(|one, other| one < other), "a shard has one group");
            assert_eq!(firsts.get(), shards.len());
            seen.sort_unstable();
            assert_eq!(seen, Vec::from_iter(0..keys.len()));
        }
    }

    #[test]
    fn no_more_places_are_noted_than_a_window_has() {
        let numbers = [7u64; 2 * WINDOW];
        let mut places = Places::none();
        places.add(None);
        numbers.iter().for_each(|number| places.add(Some(number)));
        assert_eq!(
            (places.length, places.places[0], places.places[63]),
            (WINDOW, &raw const numbers[0], &raw const numbers[63])
        );
        places.read_ahead();
    }
}
