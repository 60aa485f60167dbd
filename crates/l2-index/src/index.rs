//! The index: which keys are stored, how often each is pinned, and how many bytes that is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use l2_core::ObjectKey;

use crate::answer::{Adopt, BeginDelete, Pin, Read, Reserve};
use crate::entry::{Entry, EntryView, Stage, State};
use crate::shards::Shards;
use crate::ticket::{Deletion, Reader, Reservation};

/// A point in time, to tell whether a look at the storage is out of date; see [`Index::epoch`].
#[derive(Debug, Clone, Copy)]
pub struct Epoch(u64);

/// What is stored. All calls may come from any thread at once; none waits for more than one short lock.
///
/// | call | who | gets |
/// |---|---|---|
/// | [`Index::reserve`] | a store | a [`Reservation`] |
/// | [`Index::pin`], [`Index::unpin`] | a lookup, an unlock | a count |
/// | [`Index::read`] | a load | a [`Reader`] |
/// | [`Index::adopt`] | who found an object on the storage | an entry |
/// | [`Index::begin_delete`], [`Reader::heal`] | a delete, a load of a damaged object | a [`Deletion`] |
///
/// Always: the bytes of all entries are the bytes in use, and a reservation never takes those past the capacity; an
/// entry with pins or readers is not deleted, unless a reader found its storage to be wrong; a key that is being deleted
/// can neither be pinned, read, adopted nor stored before its deletion has finished.
///
/// # Values
/// With each stored object a `V` is kept, such as where on the storage it is. It comes with
/// [`Reservation::commit_with`]; readers and deletions have a clone. It is dropped outside all locks when the deletion
/// finishes, after every clone that the index gave out and before the object's bytes are free: what a value frees by
/// being dropped is there for whoever is given those bytes. Cloning happens under a lock: it must be quick, and must
/// not call the index.
pub struct Index<V = ()> {
    shards: Shards<V>,
    capacity: u64,
    /// Bytes of all entries: raised before one is added and lowered after one is removed.
    used: AtomicU64,
}

impl<V> Index<V> {
    /// An empty index, whose reservations never take the bytes in use past `capacity_bytes`.
    pub fn new(capacity_bytes: u64) -> Self {
        Self { shards: Shards::new(), capacity: capacity_bytes, used: AtomicU64::new(0) }
    }

    /// Claims `key` for a store of `bytes`, and the bytes with it.
    pub fn reserve(self: &Arc<Self>, key: &ObjectKey, bytes: u64) -> Reserve<V> {
        let mut shard = self.shards.of(key);
        if let Some(entry) = shard.map.get(key) {
            return match entry.state {
                State::Storing => Reserve::Storing,
                State::Stored(Stage::Resident, _) => Reserve::Present { bytes: entry.bytes },
                State::Stored(Stage::Deleting | Stage::Doomed, _) => Reserve::Deleting,
            };
        }
        if let Err(used) = self.take_bytes(bytes, self.capacity) {
            return Reserve::Full { needed: bytes, used, capacity: self.capacity };
        }
        shard.map.insert(key.clone(), Entry::new(bytes, 0, State::Storing));
        drop(shard);
        Reserve::Reserved(Reservation::new(self, key, bytes))
    }

    /// Adds a pin to `key`, if it is stored: until it is unpinned, it is not deleted.
    pub fn pin(&self, key: &ObjectKey) -> Pin {
        let shard = &mut *self.shards.of(key);
        let Some(entry) = shard.map.get_mut(key) else { return Pin::Absent };
        match entry.state {
            State::Storing => Pin::Storing,
            State::Stored(Stage::Deleting | Stage::Doomed, _) => Pin::Deleting,
            State::Stored(Stage::Resident, _) => match entry.pins.checked_add(1) {
                None => Pin::Overflow,
                Some(pins) => {
                    shard.pinned += u64::from(entry.pins == 0);
                    entry.pins = pins;
                    Pin::Hit { bytes: entry.bytes }
                }
            },
        }
    }

    /// Takes one pin from `key`; `false` when it has none.
    pub fn unpin(&self, key: &ObjectKey) -> bool {
        let shard = &mut *self.shards.of(key);
        let Some(entry) = shard.map.get_mut(key).filter(|entry| entry.pins > 0) else { return false };
        entry.pins -= 1;
        shard.pinned -= u64::from(entry.pins == 0);
        true
    }

    /// Now, for `key`. Take it before you look at the storage for an object that the index does not know.
    pub fn epoch(&self, key: &ObjectKey) -> Epoch {
        Epoch(self.shards.of(key).removals)
    }

    /// What the index knows of `key`.
    pub fn get(&self, key: &ObjectKey) -> Option<EntryView> {
        self.shards.of(key).map.get(key).map(Entry::view)
    }

    /// All entries, in no order. Each is as it was at some instant of the call, for the shards are copied one after the
    /// other.
    pub fn entries(&self) -> Vec<(ObjectKey, EntryView)> {
        let mut all = Vec::new();
        for shard in self.shards.each() {
            all.extend(shard.map.iter().map(|(key, entry)| (key.clone(), entry.view())));
        }
        all
    }

    /// Bytes reserved, stored and being deleted.
    pub fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Most bytes that reservations may use.
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity
    }

    /// How many objects can be looked up.
    pub fn objects(&self) -> u64 {
        self.shards.each().map(|shard| shard.objects).sum()
    }

    /// How many of them are pinned.
    pub fn pinned_objects(&self) -> u64 {
        self.shards.each().map(|shard| shard.pinned).sum()
    }

    /// Counts `bytes` as used unless that makes more than `limit`.
    ///
    /// # Errors
    /// The bytes that are used, when they leave too little room.
    fn take_bytes(&self, bytes: u64, limit: u64) -> Result<(), u64> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop)
    }
}

impl<V: Clone> Index<V> {
    /// Protects the object of `key` while it is read, whatever becomes of its pins.
    pub fn read(self: &Arc<Self>, key: &ObjectKey) -> Read<V> {
        let mut shard = self.shards.of(key);
        let Some(entry) = shard.map.get_mut(key) else { return Read::Absent };
        match &entry.state {
            State::Storing => Read::Storing,
            State::Stored(Stage::Deleting | Stage::Doomed, _) => Read::Deleting,
            State::Stored(Stage::Resident, value) => {
                let Some(readers) = entry.readers.checked_add(1) else { return Read::Overflow };
                let value = value.clone();
                entry.readers = readers;
                let bytes = entry.bytes;
                drop(shard);
                Read::Started(Reader::new(self, key, bytes, value))
            }
        }
    }

    /// Makes `key` invisible, so that its storage can be freed; not while it is pinned or read.
    pub fn begin_delete(self: &Arc<Self>, key: &ObjectKey) -> BeginDelete<V> {
        let mut guard = self.shards.of(key);
        let shard = &mut *guard;
        let Some(entry) = shard.map.get_mut(key) else { return BeginDelete::Absent };
        let State::Stored(stage, value) = &mut entry.state else { return BeginDelete::Storing };
        match stage {
            Stage::Deleting => return BeginDelete::Deleting,
            Stage::Doomed if entry.readers > 0 => return BeginDelete::Deleting,
            Stage::Resident if entry.pins > 0 || entry.readers > 0 => return BeginDelete::InUse,
            Stage::Resident | Stage::Doomed => {}
        }
        let value = value.clone();
        shard.objects -= u64::from(*stage == Stage::Resident);
        *stage = Stage::Deleting;
        let bytes = entry.bytes;
        drop(guard);
        BeginDelete::Started(Deletion::new(self, key, bytes, value))
    }
}

impl Index {
    /// Enters an object of `bytes` that was found on the storage, with `pins` pins.
    ///
    /// `epoch` is [`Index::epoch`] of this key, taken before the storage was looked at. A store or delete that has
    /// removed the object meanwhile makes it [`Adopt::Stale`], so that what is gone is never entered. (So may one of
    /// another key; that costs a second look.)
    ///
    /// The bytes count even beyond the capacity: they are in use on the storage, whatever the capacity says.
    pub fn adopt(&self, key: &ObjectKey, bytes: u64, pins: u32, epoch: Epoch) -> Adopt {
        let shard = &mut *self.shards.of(key);
        if let Some(entry) = shard.map.get_mut(key) {
            return match entry.state {
                State::Storing => Adopt::Storing,
                State::Stored(Stage::Deleting | Stage::Doomed, ()) => Adopt::Deleting,
                State::Stored(Stage::Resident, ()) => match entry.pins.checked_add(pins) {
                    None => Adopt::Overflow,
                    Some(sum) => {
                        shard.pinned += u64::from(entry.pins == 0 && sum > 0);
                        entry.pins = sum;
                        Adopt::Present { bytes: entry.bytes }
                    }
                },
            };
        }
        if shard.removals != epoch.0 {
            return Adopt::Stale;
        }
        if self.take_bytes(bytes, u64::MAX).is_err() {
            return Adopt::Overflow;
        }
        shard.map.insert(key.clone(), Entry::new(bytes, pins, State::Stored(Stage::Resident, ())));
        shard.objects += 1;
        shard.pinned += u64::from(pins > 0);
        Adopt::Adopted
    }
}

/// What tickets tell.
impl<V> Index<V> {
    /// A reservation's object is written: makes it visible.
    pub(crate) fn commit(&self, key: &ObjectKey, value: V) {
        let shard = &mut *self.shards.of(key);
        if let Some(entry) = shard.map.get_mut(key) {
            entry.state = State::Stored(Stage::Resident, value);
            shard.objects += 1;
        }
    }

    /// A reservation failed, or a deletion finished: the entry goes.
    pub(crate) fn remove(&self, key: &ObjectKey) {
        let removed = {
            let mut shard = self.shards.of(key);
            shard.removals += 1;
            shard.map.remove(key)
        };
        if let Some(Entry { bytes, state, .. }) = removed {
            // Without the lock, and first: what the value holds is free before its bytes are given to another.
            drop(state);
            // Relaxed here and elsewhere: it is a count, and what it counts is guarded by the shards.
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// A deletion failed: the entry waits for the next one.
    pub(crate) fn give_up(&self, key: &ObjectKey) {
        if let Some(entry) = self.shards.of(key).map.get_mut(key)
            && let State::Stored(stage, _) = &mut entry.state
        {
            *stage = Stage::Doomed;
        }
    }

    /// A reader is done.
    pub(crate) fn end_read(&self, key: &ObjectKey) {
        if let Some(entry) = self.shards.of(key).map.get_mut(key) {
            entry.readers -= 1;
        }
    }

    /// A reader found its object to be wrong, and is done. The value, if it is for it to delete the object: others may
    /// be reading it.
    pub(crate) fn heal(&self, key: &ObjectKey) -> Option<V>
    where
        V: Clone,
    {
        let shard = &mut *self.shards.of(key);
        let entry = shard.map.get_mut(key)?;
        let State::Stored(stage, value) = &mut entry.state else { return None };
        let value = (entry.readers == 1).then(|| value.clone());
        entry.readers -= 1;
        // Not so when another reader was here before.
        if *stage == Stage::Resident {
            shard.objects -= 1;
            shard.pinned -= u64::from(entry.pins > 0);
            entry.pins = 0;
        }
        *stage = if value.is_some() { Stage::Deleting } else { Stage::Doomed };
        value
    }
}

impl<V> fmt::Debug for Index<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("used_bytes", &self.used_bytes())
            .field("capacity_bytes", &self.capacity)
            .finish_non_exhaustive()
    }
}
