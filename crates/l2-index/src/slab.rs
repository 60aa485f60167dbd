//! Entries under their keys, each at a place that stays: a table of small numbers beside the entries themselves, which
//! hold their keys, so that a key is kept once, and growing moves no entry.

use std::collections::HashMap;

use l2_core::memory::LargeVec;
use l2_core::{KeyHasherBuilder, ObjectKey};

use crate::entry::Entry;
use crate::frees::{PIECE, PIECE_BITS};
use crate::table::{LAST_PLACE, Line, Table};

/// Entries of the first block; each of the others is as large as all before it together. So blocks are few, and the larger
/// ones can lie in huge pages, while a small index takes little.
const FIRST: usize = PIECE;
const FIRST_BITS: u32 = PIECE_BITS;

/// A place for an entry: one line of the processor's caches, or two with a value.
#[repr(align(64))]
pub(crate) struct Slot<V>(Option<Entry<V>>);

/// Entries, by key and by place.
pub(crate) struct Slab<V> {
    table: Table,
    blocks: Vec<LargeVec<Slot<V>>>,
    /// Places without an entry; the last is the next to be taken.
    free: Vec<u32>,
    /// The keys whose chunk hash is longer than what an entry holds, by place. Almost always empty.
    long: HashMap<u32, ObjectKey, KeyHasherBuilder>,
}

impl<V> Slab<V> {
    pub(crate) fn new() -> Self {
        Self { table: Table::default(), blocks: Vec::new(), free: Vec::new(), long: HashMap::default() }
    }

    /// Where the entry of `key`, whose hash this is, lies.
    pub(crate) fn find(&self, key: &ObjectKey, hash: u64) -> Option<u32> {
        self.table.find(shorten(hash), |slot| self.is_of(slot, key))
    }

    fn is_of(&self, slot: u32, key: &ObjectKey) -> bool {
        self.at(slot).is_some_and(|entry| match entry.chunk_hash() {
            Some(hash) => hash == key.chunk_hash() && entry.scope() == key.scope(),
            None => self.long.get(&slot) == Some(key),
        })
    }

    /// The key of an entry that lies there.
    pub(crate) fn key_at(&self, slot: u32) -> Option<ObjectKey> {
        let entry = self.at(slot)?;
        // It was the hash of a key.
        entry.scope().key(self.hash_of(slot, entry)?).ok()
    }

    /// The chunk hash of an entry that lies there.
    fn hash_of<'a>(&'a self, slot: u32, entry: &'a Entry<V>) -> Option<&'a [u8]> {
        entry.chunk_hash().or_else(|| self.long.get(&slot).map(ObjectKey::chunk_hash))
    }

    /// What is read to find a key of this hash.
    pub(crate) fn line_of(&self, hash: u64) -> Option<&Line> {
        self.table.line_of(shorten(hash))
    }

    /// All that is read first to find keys.
    pub(crate) fn lines(&self) -> &[Line] {
        self.table.lines()
    }

    /// Where [`Slab::find`] will look: the first with these 32 bits is it, but for one in millions.
    pub(crate) fn likely(&self, hash: u64) -> Option<u32> {
        self.table.find(shorten(hash), |_| true)
    }

    /// As [`Slab::find`], after a look at the place where it probably lies.
    pub(crate) fn find_near(&self, likely: Option<u32>, key: &ObjectKey, hash: u64) -> Option<u32> {
        likely.filter(|slot| self.is_of(*slot, key)).or_else(|| self.find(key, hash))
    }

    /// The place with this number, whatever lies there.
    pub(crate) fn place(&self, slot: u32) -> Option<&Slot<V>> {
        let (block, place) = split(slot);
        self.blocks.get(block)?.get(place)
    }

    /// What lies there.
    pub(crate) fn at(&self, slot: u32) -> Option<&Entry<V>> {
        self.place(slot)?.0.as_ref()
    }

    /// What lies there, to change.
    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut Entry<V>> {
        let (block, place) = split(slot);
        self.blocks.get_mut(block)?.get_mut(place)?.0.as_mut()
    }

    /// Adds the entry of a key that has none. `None` when 2³² − 1 entries are there.
    pub(crate) fn insert(&mut self, key: &ObjectKey, hash: u64, entry: Entry<V>) -> Option<u32> {
        let is_long = entry.chunk_hash().is_none();
        let slot = match self.free.pop() {
            Some(slot) => {
                let (block, place) = split(slot);
                self.blocks.get_mut(block)?.get_mut(place)?.0 = Some(entry);
                slot
            }
            None => self.push(entry)?,
        };
        self.table.insert(shorten(hash), slot);
        if is_long {
            self.long.insert(slot, key.clone());
        }
        Some(slot)
    }

    fn push(&mut self, entry: Entry<V>) -> Option<u32> {
        let is_full = |block: &LargeVec<Slot<V>>| block.len() == block.capacity();
        if self.blocks.last().is_none_or(is_full) {
            self.blocks.push(LargeVec::with_capacity(capacity_of(self.blocks.len())));
        }
        let block = self.blocks.len() - 1;
        let last = self.blocks.last_mut()?;
        let number = join(block, last.len()).filter(|slot| *slot <= LAST_PLACE)?;
        last.push(Slot(Some(entry))).ok()?;
        Some(number)
    }

    /// Takes an entry out; its place may be given to another.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Entry<V>> {
        let hash = match self.at(slot)?.chunk_hash() {
            Some(hash) => self.at(slot)?.scope().hash64_of(hash),
            None => self.long.remove(&slot)?.hash64(),
        };
        let (block, place) = split(slot);
        let entry = self.blocks.get_mut(block)?.get_mut(place)?.0.take()?;
        self.free.push(slot);
        self.table.remove(shorten(hash), slot);
        Some(entry)
    }

    /// The entries of one piece, each with its place and chunk hash; `None` after the last piece. A piece is [`FIRST`] places.
    pub(crate) fn piece(&self, piece: usize) -> Option<impl Iterator<Item = (u32, &[u8], &Entry<V>)>> {
        let (block, place) = split(u32::try_from(piece << FIRST_BITS).ok()?);
        let slots = self.blocks.get(block)?.get(place..)?;
        if slots.is_empty() {
            return None;
        }
        Some(slots.iter().take(FIRST).enumerate().filter_map(move |(at, slot)| {
            let entry = slot.0.as_ref()?;
            let slot = join(block, place + at)?;
            Some((slot, self.hash_of(slot, entry)?, entry))
        }))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// How many entries a block has.
fn capacity_of(block: usize) -> usize {
    FIRST << block.saturating_sub(1)
}

/// The block of a place, and the place in it.
fn split(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    let block = (slot >> FIRST_BITS).checked_ilog2().map_or(0, |bits| bits as usize + 1);
    // Where a block begins is how many entries are before it: as many as it has itself, but for the first.
    (block, if block == 0 { slot } else { slot - capacity_of(block) })
}

/// The number of a place in a block.
fn join(block: usize, place: usize) -> Option<u32> {
    let before = if block == 0 { 0 } else { capacity_of(block) };
    u32::try_from(before + place).ok()
}

/// The part of a hash that is kept. Not the one that picks the shard: all keys of a shard have that in common.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
pub(crate) fn shorten(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::{KeyScope, Stamp};

    fn keys(count: u32) -> Vec<ObjectKey> {
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        (0..count).map(|number| scope.key(&number.to_le_bytes()).unwrap()).collect()
    }

    fn filled(keys: &[ObjectKey]) -> Slab<u32> {
        let mut slab = Slab::new();
        for (at, key) in keys.iter().enumerate() {
            let entry = Entry::storing(key, at as u64, Stamp(1));
            assert_eq!(slab.insert(key, key.hash64(), entry), u32::try_from(at).ok());
        }
        slab
    }

    #[test]
    fn entries_are_found_by_key_and_place_over_many_blocks_and_places_are_used_again() {
        let keys = keys(5000);
        let mut slab = filled(&keys);
        assert_eq!((slab.len(), slab.blocks.len()), (5000, 4));
        for (at, key) in keys.iter().enumerate() {
            let slot = slab.find(key, key.hash64()).unwrap();
            assert_eq!(slab.at(slot).map(|entry| entry.bytes), Some(at as u64));
            assert_eq!(slab.key_at(slot), Some(key.clone()));
        }
        for (at, key) in keys.iter().enumerate().filter(|(at, _)| at % 3 == 0) {
            let slot = u32::try_from(at).unwrap();
            assert_eq!(slab.remove(slot).map(|entry| entry.bytes), Some(at as u64));
            assert!(slab.remove(slot).is_none() && slab.at(slot).is_none() && slab.at_mut(slot).is_none());
            assert_eq!(slab.find(key, key.hash64()), None);
        }
        let left: usize = (0..5).map(|piece| slab.piece(piece).unwrap().count()).sum();
        assert_eq!((left, slab.len()), (3333, 3333));
        assert!(slab.piece(5).is_none());
        for key in keys.iter().step_by(3) {
            let slot = slab.insert(key, key.hash64(), Entry::storing(key, 7, Stamp(1))).unwrap();
            assert_eq!(slab.at_mut(slot).map(|entry| entry.bytes), Some(7));
        }
        assert_eq!((slab.len(), slab.blocks.len()), (5000, 4), "no place was added");
        for key in &keys {
            let slot = slab.find(key, key.hash64()).unwrap();
            assert!(slab.line_of(key.hash64()).is_some());
            assert_eq!(slab.likely(key.hash64()), Some(slot));
            // Wherever it is thought to lie.
            for likely in [None, Some(slot), Some(slot ^ 1), Some(u32::MAX)] {
                assert_eq!(slab.find_near(likely, key, key.hash64()), Some(slot));
            }
        }
    }

    #[test]
    fn the_places_of_a_piece_are_told_with_their_numbers() {
        let keys = keys(1030);
        let slab = filled(&keys);
        let places: Vec<u32> = slab.piece(1).unwrap().map(|(slot, _, _)| slot).collect();
        assert_eq!(places, (1024..1030).collect::<Vec<u32>>());
        for (slot, hash, entry) in slab.piece(0).unwrap() {
            let key = entry.scope().key(hash).unwrap();
            assert_eq!(slab.find(&key, key.hash64()), Some(slot));
        }
    }

    #[test]
    fn places_are_numbered_through_the_blocks() {
        let mut number = 0;
        for block in 0..5 {
            for place in 0..capacity_of(block) {
                assert_eq!((split(number), join(block, place)), ((block, place), Some(number)));
                number += 1;
            }
        }
        assert_eq!(number, 16 * 1024);
        let (block, place) = split(LAST_PLACE);
        assert_eq!(join(block, place), Some(LAST_PLACE));
        assert_eq!(join(block + 1, 0), None);
    }

    #[test]
    fn long_hashes_are_told_apart_by_what_an_entry_does_not_hold() {
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        let long = |last: u8| scope.key(&[&[7; 40][..], &[last]].concat()).unwrap();
        let keys = [long(1), long(2), scope.key(&[7; 32]).unwrap()];
        let mut slab = filled(&keys);
        // Under a hash that they share.
        for key in &keys {
            let slot = slab.find(key, key.hash64()).unwrap();
            assert!(keys.iter().all(|other| slab.is_of(slot, other) == (other == key)));
            assert_eq!(slab.key_at(slot).as_ref(), Some(key));
        }
        let slot = slab.find(&keys[0], keys[0].hash64()).unwrap();
        assert!(slab.remove(slot).is_some() && slab.long.len() == 1);
        assert_eq!(slab.find(&keys[0], keys[0].hash64()), None);
        let hashes: Vec<&[u8]> = slab.piece(0).unwrap().map(|(_, hash, _)| hash).collect();
        assert_eq!(hashes, [keys[1].chunk_hash(), keys[2].chunk_hash()]);
    }

    #[test]
    fn a_place_is_one_line_of_the_caches_without_a_value() {
        assert_eq!((size_of::<Slot<()>>(), align_of::<Slot<()>>()), (64, 64));
    }
}
