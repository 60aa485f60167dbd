//! From a hash to a place: small numbers in lines of the processor's caches, so that where a key's number will be is known,
//! and can be read ahead, before anything else is read.

use l2_core::memory::LargeVec;

/// Numbers of places under 32-bit hashes. The number of a place is looked for in the line of its hash and those after it, up
/// to one that is not full; hashes may be equal.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// A power of two of them, or none.
    lines: LargeVec<Line>,
    places: usize,
}

/// Buckets that are read together: almost every place is in the first line that is looked at, where a bucket after the other
/// would often be one line further on, which nobody has read ahead.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Line {
    hashes: [u32; BUCKETS],
    /// Places plus one; 0 where the bucket is empty.
    places: [u32; BUCKETS],
}

const BUCKETS: usize = 8;
/// At least one of so many buckets is empty.
const EMPTY_ONE_OF: usize = 5;
/// The largest place. One more would be 0 in its bucket.
pub(crate) const LAST_PLACE: u32 = u32::MAX - 1;

impl Line {
    /// The buckets under this hash, and maybe empty ones. All are compared at once: a processor that has to guess which bucket
    /// it is would often be wrong, and would wait for this line before it goes on to the next key.
    fn under(&self, hash: u32) -> Bits {
        let mut same = [0; BUCKETS];
        same.iter_mut().zip(&self.hashes).for_each(|(same, other)| *same = u8::from(*other == hash));
        Bits(u64::from_le_bytes(same))
    }

    fn empty(&self) -> Bits {
        let mut empty = [0; BUCKETS];
        empty.iter_mut().zip(&self.places).for_each(|(empty, place)| *empty = u8::from(*place == 0));
        Bits(u64::from_le_bytes(empty))
    }

    fn is_full(&self) -> bool {
        self.empty().0 == 0
    }

    fn get(&self, bucket: usize) -> Option<(u32, u32)> {
        Some((*self.hashes.get(bucket)?, self.places.get(bucket)?.checked_sub(1)?))
    }

    /// Writes a hash and a place, or empties the bucket.
    fn set(&mut self, bucket: usize, to: Option<(u32, u32)>) {
        let (to_hash, to_place) = to.map_or((0, 0), |(hash, place)| (hash, place + 1));
        if let (Some(hash), Some(place)) = (self.hashes.get_mut(bucket), self.places.get_mut(bucket)) {
            (*hash, *place) = (to_hash, to_place);
        }
    }
}

/// Which of so many lines, a power of two, is that of a hash.
pub(crate) fn home(hash: u32, lines: usize) -> usize {
    hash as usize & lines.wrapping_sub(1)
}

/// Buckets of a line: a byte for each, 1 or 0.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bucket = (self.0 != 0).then(|| self.0.trailing_zeros() as usize / 8);
        self.0 &= self.0.wrapping_sub(1);
        bucket
    }
}

impl Table {
    /// The line that is read first for this hash.
    pub(crate) fn line_of(&self, hash: u32) -> Option<&Line> {
        self.lines.get(self.home(hash))
    }

    /// All lines, in which a hash is looked for from its [`home`] on.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The first place under this hash for which `is_it`.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.find_bucket(hash, is_it).map(|(_, _, place)| place)
    }

    fn find_bucket(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<(usize, usize, u32)> {
        let mut at = self.home(hash);
        loop {
            let line = self.lines.get(at)?;
            for bucket in line.under(hash) {
                if let Some((_, place)) = line.get(bucket)
                    && is_it(place)
                {
                    return Some((at, bucket, place));
                }
            }
            if !line.is_full() {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Adds a place, up to [`LAST_PLACE`], that is not there.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        if (self.places + 1) * EMPTY_ONE_OF > self.lines.len() * BUCKETS * (EMPTY_ONE_OF - 1) {
            self.grow();
        }
        self.put(hash, place);
        self.places += 1;
    }

    fn put(&mut self, hash: u32, place: u32) {
        let mut at = self.home(hash);
        while let Some(line) = self.lines.get_mut(at) {
            if let Some(bucket) = line.empty().next() {
                line.set(bucket, Some((hash, place)));
                return;
            }
            at = self.after(at);
        }
    }

    /// Twice as large. In the order of the lines, so that the new ones are written in order, too.
    fn grow(&mut self) {
        let more = (self.lines.len() * 2).max(1);
        for line in std::mem::replace(&mut self.lines, LargeVec::filled(more, &Line::default())).iter() {
            for (hash, place) in (0..BUCKETS).filter_map(|bucket| line.get(bucket)) {
                self.put(hash, place);
            }
        }
    }

    /// Takes a place out. Whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) -> bool {
        let Some((mut hole, mut bucket, _)) = self.find_bucket(hash, |other| other == place) else {
            return false;
        };
        self.places -= 1;
        // What lies behind a line that is full is found only while that is full: one of them is moved into the hole, if it
        // passed it on its way.
        let mut at = hole;
        while self.lines.get(at).is_some_and(Line::is_full) {
            at = self.after(at);
            if let Some(moved) = self.passer(hole, at) {
                let found = self.lines.get(at).and_then(|line| line.get(moved));
                self.set(hole, bucket, found);
                (hole, bucket) = (at, moved);
            }
        }
        self.set(hole, bucket, None);
        true
    }

    /// A bucket of the line `at` that would be in the line `hole` if there were room.
    fn passer(&self, hole: usize, at: usize) -> Option<usize> {
        let line = self.lines.get(at)?;
        (0..BUCKETS).find(|bucket| {
            line.get(*bucket)
                .is_some_and(|(hash, _)| self.distance(self.home(hash), at) >= self.distance(hole, at))
        })
    }

    fn set(&mut self, line: usize, bucket: usize, to: Option<(u32, u32)>) {
        if let Some(line) = self.lines.get_mut(line) {
            line.set(bucket, to);
        }
    }

    /// The line of a hash.
    fn home(&self, hash: u32) -> usize {
        home(hash, self.lines.len())
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    fn mask(&self) -> usize {
        self.lines.len().wrapping_sub(1)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places
    }
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
                let buckets = table.lines.iter().flat_map(|line| line.places);
                let taken = buckets.filter(|place| *place != 0).count();
                prop_assert!(taken == set.len() && taken * 5 <= table.lines.len() * BUCKETS * 4);
            }
        }
    }

    #[test]
    fn an_empty_table_has_nothing_and_costs_nothing() {
        let mut table = Table::default();
        assert!(table.line_of(7).is_none());
        assert_eq!((table.find(7, |_| true), table.remove(7, 0), table.lines.capacity()), (None, false, 0));
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
    fn a_hash_of_zero_is_not_taken_for_an_empty_bucket() {
        let mut table = Table::default();
        table.insert(8, 5);
        assert_eq!(table.find(0, |_| true), None);
        table.insert(0, 6);
        assert_eq!(table.find(0, |_| true), Some(6));
    }

    #[test]
    fn a_line_is_a_line_of_the_caches_and_what_is_found_without_others_lies_in_it() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
        let mut table = Table::default();
        for place in 0..100 {
            table.insert(place, place);
        }
        for place in 0..100 {
            assert!(table.line_of(place).unwrap().places.contains(&(place + 1)));
        }
    }

    #[test]
    fn it_grows_by_doubling_when_four_of_five_are_taken() {
        let mut table = Table::default();
        for place in 0..1000 {
            table.insert(place * 31, place);
            let enough = (place as usize + 1) * 5;
            let least = (BUCKETS..).find(|size| size.is_power_of_two() && size * 4 >= enough).unwrap();
            assert_eq!(table.lines.len() * BUCKETS, least);
        }
    }
}
