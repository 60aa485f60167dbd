//! What tickets tell the index when they are used or dropped.

use l2_core::EntryId;

use crate::entry::{Stage, State, Why};
use crate::index::Index;

impl<V> Index<V> {
    /// A reservation's object is written: makes it visible.
    pub(crate) fn commit(&self, id: EntryId, value: V) {
        let (mut guard, slot) = self.shards.holding(id);
        let entries = &mut *guard;
        if let Some(entry) = entries.slab.at_mut(slot) {
            entry.state = State::Stored(Stage::Resident, value);
            entries.objects += 1;
            entries.frees.note(slot, entry);
        }
    }

    /// A reservation failed, or a deletion finished: the entry goes.
    pub(crate) fn remove(&self, id: EntryId) {
        let bytes = self.remove_but_bytes(id);
        self.give_bytes_back(bytes);
    }

    /// The entry goes, and its bytes still count: they are for the caller to give back.
    pub(crate) fn remove_but_bytes(&self, id: EntryId) -> u64 {
        let (mut entries, slot) = self.shards.holding(id);
        let (removed, is_awaited) = (entries.remove(slot), entries.is_awaited());
        drop(entries);
        // Without the lock, and first: what the value holds is free before its bytes are given to another.
        let bytes = removed.map_or(0, |entry| entry.bytes);
        if is_awaited {
            self.shards.announce(id);
        }
        bytes
    }

    /// A deletion failed: the entry waits for the next one.
    pub(crate) fn give_up(&self, id: EntryId) {
        self.doom(id, Why::Failed);
    }

    /// What is on the storage is not to be served, and stays.
    pub(crate) fn set_aside(&self, id: EntryId) {
        self.doom(id, Why::Unwanted);
    }

    fn doom(&self, id: EntryId, why: Why) {
        let (mut guard, slot) = self.shards.holding(id);
        let entries = &mut *guard;
        if let Some(entry) = entries.slab.at_mut(slot)
            && let State::Stored(stage, _) = &mut entry.state
        {
            *stage = Stage::Doomed(why);
            self.note_stranded(&mut entries.stranded, slot, entry);
        }
        let is_awaited = entries.is_awaited();
        drop(guard);
        if is_awaited {
            self.shards.announce(id);
        }
    }

    /// A reader is done.
    pub(crate) fn end_read(&self, id: EntryId) {
        let (mut guard, slot) = self.shards.holding(id);
        let entries = &mut *guard;
        if let Some(entry) = entries.slab.at_mut(slot) {
            entry.readers -= 1;
            entries.frees.note(slot, entry);
            self.note_stranded(&mut entries.stranded, slot, entry);
        }
    }

    /// A reader found its object to be wrong, and is done. The value, if it is for it to delete the object: others may
    /// be reading it.
    pub(crate) fn heal(&self, id: EntryId) -> Option<V>
    where
        V: Clone,
    {
        let now = self.pins.clock.now();
        let (mut guard, slot) = self.shards.holding(id);
        let entries = &mut *guard;
        let entry = entries.slab.at_mut(slot)?;
        let State::Stored(stage, value) = &mut entry.state else { return None };
        let value = (entry.readers == 1).then(|| value.clone());
        entry.readers -= 1;
        // Not so when another reader was here before.
        if *stage == Stage::Resident {
            entries.objects -= 1;
            entries.pinned -= u64::from(entry.leases.is_some());
            entries.expired += entries.leases.take_ended(&mut entry.leases, now);
            entries.leases.take_all(&mut entry.leases);
        }
        *stage = if value.is_some() { Stage::Deleting } else { Stage::Doomed(Why::Failed) };
        value
    }
}
