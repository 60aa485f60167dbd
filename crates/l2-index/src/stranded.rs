//! The objects whose storage could not be freed, or is not to be served, so that somebody tries again: those of a shard, by place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use l2_core::{Evicted, L2Error, ObjectKey};

use crate::entry::{Entry, Stage, State, Why};
use crate::index::Index;
use crate::shards::{SHARDS, id_of};
use crate::ticket::{Deletion, Of};

/// Places of entries that are Doomed, and that nobody reads.
#[derive(Debug, Default)]
pub(crate) struct Stranded {
    places: BTreeSet<u32>,
    /// Where to go on, so that each has its turn however many go on failing.
    next: u32,
}

impl Stranded {
    /// The next in turn.
    fn next(&mut self) -> Option<u32> {
        let place = *self.places.range(self.next..).next().or_else(|| self.places.first())?;
        self.next = place.saturating_add(1);
        Some(place)
    }
}

impl<V> Entry<V> {
    /// Whether somebody has to try to free its storage again.
    fn is_stranded(&self) -> bool {
        matches!(self.state, State::Stored(Stage::Doomed(_), _)) && self.readers == 0
    }
}

impl<V> Index<V> {
    /// How many objects are invisible because their storage could not be freed, while nobody reads them or tries now. They
    /// are deleted by [`Index::evict_again`], or by another delete of their key; their bytes count.
    pub fn stranded(&self) -> u64 {
        self.stranded.load(Ordering::Relaxed)
    }

    /// Notes an entry if it has become stranded.
    pub(crate) fn note_stranded(&self, stranded: &mut Stranded, slot: u32, entry: &Entry<V>) {
        if entry.is_stranded() && stranded.places.insert(slot) {
            self.stranded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that somebody tries to free the storage of an entry.
    pub(crate) fn note_tried(&self, stranded: &mut Stranded, slot: u32) {
        if stranded.places.remove(&slot) {
            self.stranded.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<V: Clone> Index<V> {
    /// Has `free` try to free the storage of at most so many [stranded](Index::stranded) objects, of all of them in turn: the
    /// bytes that this frees, or why not. One answer for each that was tried.
    pub fn evict_again(
        self: &Arc<Self>,
        most: usize,
        mut free: impl FnMut(Deletion<V>) -> Result<u64, L2Error>,
    ) -> Vec<Evicted> {
        let mut answers = Vec::new();
        let first = self.next_shard.fetch_add(1, Ordering::Relaxed);
        for shard in (0..SHARDS).cycle().skip(first % SHARDS).take(SHARDS) {
            // What fails again is stranded again: no more are tried than there are now.
            let here = self.shards.nth(shard).map_or(0, |entries| entries.stranded.places.len());
            let tries = here.min(most - answers.len());
            let deletions = (0..tries).map_while(|_| self.try_again(shard));
            answers.extend(deletions.map(|deletion| Evicted::of(free(deletion))));
        }
        answers
    }

    /// The right to look again at the storage of an object that [was not to be served](Deletion::set_aside), for another may
    /// have stored it anew since; none while somebody has it or reads the object.
    pub fn reconsider(self: &Arc<Self>, key: &ObjectKey) -> Option<Deletion<V>> {
        let hash = key.hash64();
        let (shard, mut guard) = self.shards.of(hash);
        let entries = &mut *guard;
        let slot = entries.slab.find(key, hash)?;
        let entry = entries.slab.at_mut(slot).filter(|entry| entry.readers == 0)?;
        let bytes = entry.bytes;
        let State::Stored(stage @ Stage::Doomed(Why::Unwanted), value) = &mut entry.state else {
            return None;
        };
        *stage = Stage::Deleting;
        let value = value.clone();
        self.note_tried(&mut entries.stranded, slot);
        drop(guard);
        Some(Deletion::new(self, Of { key, id: id_of(shard, slot), bytes }, value))
    }

    fn try_again(self: &Arc<Self>, shard: usize) -> Option<Deletion<V>> {
        let mut guard = self.shards.nth(shard)?;
        let entries = &mut *guard;
        let slot = entries.stranded.next()?;
        let key = entries.slab.key_at(slot)?;
        let entry = entries.slab.at_mut(slot)?;
        let bytes = entry.bytes;
        let State::Stored(stage @ Stage::Doomed(_), value) = &mut entry.state else { return None };
        *stage = Stage::Deleting;
        let value = value.clone();
        self.note_tried(&mut entries.stranded, slot);
        drop(guard);
        Some(Deletion::new(self, Of { key: &key, id: id_of(shard, slot), bytes }, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn() {
        let mut stranded = Stranded::default();
        assert_eq!(stranded.next(), None);
        stranded.places.extend([3, 7, 9]);
        let turns: Vec<_> = std::iter::from_fn(|| stranded.next()).take(5).collect();
        assert_eq!(turns, [3, 7, 9, 3, 7]);
        stranded.places.remove(&9);
        stranded.places.insert(4);
        assert_eq!([stranded.next(), stranded.next(), stranded.next()], [Some(3), Some(4), Some(7)]);
    }
}
