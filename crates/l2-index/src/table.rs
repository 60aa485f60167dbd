//! From a hash to a place: small numbers in one array, so that where a key's number will be is known, and can be read
//! ahead, before anything else is read.

use l2_core::memory::{prefer_huge_pages, prefetch};

/// Numbers of places under 32-bit hashes. The number of a place is looked for in its bucket and those after it, up to an
/// empty one (linear probing); hashes may be equal.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// A power of two of them, or none; each 0, or a hash in the high half and a place plus one in the low one.
    buckets: Vec<u64>,
    places: usize,
}

/// At least one of so many buckets is empty.
const EMPTY_ONE_OF: usize = 5;
/// Buckets of the smallest table: a line of the processor's caches.
const LEAST: usize = 8;
/// The largest place. One more would be 0 in its bucket.
pub(crate) const LAST_PLACE: u32 = u32::MAX - 1;

impl Table {
    /// Begins to read where the places of this hash are.
    pub(crate) fn prefetch(&self, hash: u32) {
        if let Some(bucket) = self.buckets.get(self.home(hash)) {
            prefetch(bucket);
        }
    }

    /// The first place under this hash for which `is_it`.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.find_bucket(hash, is_it).map(|(_, place)| place)
    }

    fn find_bucket(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let mut at = self.home(hash);
        loop {
            let bucket = *self.buckets.get(at)?;
            if bucket == 0 {
                return None;
            }
            let (other, place) = read(bucket);
            if other == hash && is_it(place) {
                return Some((at, place));
            }
            at = self.after(at);
        }
    }

    /// Adds a place, up to [`LAST_PLACE`], that is not there.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        if (self.places + 1) * EMPTY_ONE_OF > self.buckets.len() * (EMPTY_ONE_OF - 1) {
            self.grow();
        }
        self.put(write(hash, place));
        self.places += 1;
    }

    fn put(&mut self, bucket: u64) {
        let mut at = self.home(read(bucket).0);
        while let Some(taken) = self.buckets.get_mut(at) {
            if *taken == 0 {
                *taken = bucket;
                return;
            }
            at = self.after(at);
        }
    }

    /// Twice as large. In the order of the buckets, so that the new ones are written in order, too.
    fn grow(&mut self) {
        let more = (self.buckets.len() * 2).max(LEAST);
        let mut buckets = Vec::new();
        buckets.reserve_exact(more);
        prefer_huge_pages(buckets.spare_capacity_mut());
        buckets.resize(more, 0);
        let old = std::mem::replace(&mut self.buckets, buckets);
        old.into_iter().filter(|bucket| *bucket != 0).for_each(|bucket| self.put(bucket));
    }

    /// Takes a place out. Whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) -> bool {
        let Some((mut hole, _)) = self.find_bucket(hash, |other| other == place) else { return false };
        self.places -= 1;
        // What comes after is found only if no bucket from its home on is empty: it is moved into the hole if that lies
        // on its way.
        let mut at = hole;
        loop {
            at = self.after(at);
            let bucket = self.buckets.get(at).copied().unwrap_or_default();
            if bucket == 0 {
                break;
            }
            let way = self.distance(self.home(read(bucket).0), at);
            if way >= self.distance(hole, at) {
                self.set(hole, bucket);
                hole = at;
            }
        }
        self.set(hole, 0);
        true
    }

    fn set(&mut self, at: usize, to: u64) {
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket = to;
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    fn mask(&self) -> usize {
        self.buckets.len().wrapping_sub(1)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places
    }
}

fn write(hash: u32, place: u32) -> u64 {
    u64::from(hash) << u32::BITS | (u64::from(place) + 1)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
fn read(bucket: u64) -> (u32, u32) {
    ((bucket >> u32::BITS) as u32, (bucket as u32).wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Few hashes, and such that end at the last buckets: long runs, which go round the end.
        #[test]
        fn it_holds_what_a_plain_set_holds(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![0u32..4, 1020u32..1026, any::<u32>()], 0u32..60), 0..300),
        ) {
            let (mut table, mut set) = (Table::default(), BTreeSet::new());
            for (add, hash, place) in steps {
                if add && set.insert((hash, place)) {
                    table.insert(hash, place);
                } else if !add {
                    prop_assert_eq!(table.remove(hash, place), set.remove(&(hash, place)));
                }
                prop_assert_eq!(table.len(), set.len());
                for (hash, place) in &set {
                    prop_assert_eq!(table.find(*hash, |other| other == *place), Some(*place));
                }
                prop_assert_eq!(table.find(hash, |_| true).is_some(), set.iter().any(|(other, _)| *other == hash));
                prop_assert_eq!(table.find(hash, |_| false), None);
                let taken = table.buckets.iter().filter(|bucket| **bucket != 0).count();
                prop_assert!(taken == set.len() && taken * 5 <= table.buckets.len() * 4);
            }
        }
    }

    #[test]
    fn an_empty_table_has_nothing_and_costs_nothing() {
        let mut table = Table::default();
        table.prefetch(7);
        assert_eq!((table.find(7, |_| true), table.remove(7, 0), table.buckets.capacity()), (None, false, 0));
    }

    #[test]
    fn the_largest_hash_and_place_are_like_any() {
        let mut table = Table::default();
        table.insert(u32::MAX, LAST_PLACE);
        table.insert(0, 0);
        assert_eq!(table.find(u32::MAX, |_| true), Some(LAST_PLACE));
        assert_eq!(table.find(0, |_| true), Some(0));
        assert!(table.remove(u32::MAX, LAST_PLACE) && table.remove(0, 0));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn it_grows_by_doubling_when_four_of_five_are_taken() {
        let mut table = Table::default();
        for place in 0..1000 {
            table.insert(place * 31, place);
            let enough = (place as usize + 1) * 5;
            let least = (LEAST..).find(|size| size.is_power_of_two() && size * 4 >= enough).unwrap();
            assert_eq!(table.buckets.len(), least);
        }
    }
}
