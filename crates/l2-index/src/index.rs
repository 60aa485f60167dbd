//! The index: which keys are stored, how often each is pinned, and how many bytes that is.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use l2_core::{KeyHasherBuilder, ObjectKey};

use crate::answer::{Adopt, BeginDelete, Pin, Read, Reserve};
use crate::entry::{Entry, EntryView, State};
use crate::ticket::{Deletion, Reader, Reservation};

/// A power of two.
const SHARDS: usize = 128;

/// On a cache line of its own (two, for processors that fetch them in pairs), so that threads on different shards do
/// not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    map: HashMap<ObjectKey, Entry, KeyHasherBuilder>,
    /// How many are Resident.
    objects: u64,
    /// How many have pins.
    pinned: u64,
    /// Raised whenever an entry goes away.
    removals: u64,
}

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
pub struct Index {
    shards: Box<[Shard]>,
    capacity: u64,
    /// Bytes of all entries: raised before one is added and lowered after one is removed.
    used: AtomicU64,
}

impl Index {
    /// An empty index, whose reservations never take the bytes in use past `capacity_bytes`.
    pub fn new(capacity_bytes: u64) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { shards, capacity: capacity_bytes, used: AtomicU64::new(0) }
    }

    /// Claims `key` for a store of `bytes`, and the bytes with it.
    pub fn reserve(self: &Arc<Self>, key: &ObjectKey, bytes: u64) -> Reserve {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.map.get(key) {
            return match entry.state {
                State::Storing => Reserve::Storing,
                State::Resident => Reserve::Present { bytes: entry.bytes },
                State::Deleting | State::Doomed => Reserve::Deleting,
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
        let shard = &mut *self.shard(key);
        let Some(entry) = shard.map.get_mut(key) else { return Pin::Absent };
        match entry.state {
            State::Storing => Pin::Storing,
            State::Deleting | State::Doomed => Pin::Deleting,
            State::Resident => match entry.pins.checked_add(1) {
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
        let shard = &mut *self.shard(key);
        let Some(entry) = shard.map.get_mut(key).filter(|entry| entry.pins > 0) else { return false };
        entry.pins -= 1;
        shard.pinned -= u64::from(entry.pins == 0);
        true
    }

    /// Protects the object of `key` while it is read, whatever becomes of its pins.
    pub fn read(self: &Arc<Self>, key: &ObjectKey) -> Read {
        let mut shard = self.shard(key);
        let Some(entry) = shard.map.get_mut(key) else { return Read::Absent };
        match entry.state {
            State::Storing => Read::Storing,
            State::Deleting | State::Doomed => Read::Deleting,
            State::Resident => {
                let Some(readers) = entry.readers.checked_add(1) else { return Read::Overflow };
                entry.readers = readers;
                let bytes = entry.bytes;
                drop(shard);
                Read::Started(Reader::new(self, key, bytes))
            }
        }
    }

    /// Now, for `key`. Take it before you look at the storage for an object that the index does not know.
    pub fn epoch(&self, key: &ObjectKey) -> Epoch {
        Epoch(self.shard(key).removals)
    }

    /// Enters an object of `bytes` that was found on the storage, with `pins` pins.
    ///
    /// `epoch` is [`Index::epoch`] of this key, taken before the storage was looked at. A store or delete that has
    /// removed the object meanwhile makes it [`Adopt::Stale`], so that what is gone is never entered. (So may one of
    /// another key; that costs a second look.)
    ///
    /// The bytes count even beyond the capacity: they are in use on the storage, whatever the capacity says.
    pub fn adopt(&self, key: &ObjectKey, bytes: u64, pins: u32, epoch: Epoch) -> Adopt {
        let shard = &mut *self.shard(key);
        if let Some(entry) = shard.map.get_mut(key) {
            return match entry.state {
                State::Storing => Adopt::Storing,
                State::Deleting | State::Doomed => Adopt::Deleting,
                State::Resident => match entry.pins.checked_add(pins) {
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
        shard.map.insert(key.clone(), Entry::new(bytes, pins, State::Resident));
        shard.objects += 1;
        shard.pinned += u64::from(pins > 0);
        Adopt::Adopted
    }

    /// Makes `key` invisible, so that its storage can be freed; not while it is pinned or read.
    pub fn begin_delete(self: &Arc<Self>, key: &ObjectKey) -> BeginDelete {
        let mut guard = self.shard(key);
        let shard = &mut *guard;
        let Some(entry) = shard.map.get_mut(key) else { return BeginDelete::Absent };
        match entry.state {
            State::Storing => return BeginDelete::Storing,
            State::Deleting => return BeginDelete::Deleting,
            State::Doomed if entry.readers > 0 => return BeginDelete::Deleting,
            State::Resident if entry.pins > 0 || entry.readers > 0 => return BeginDelete::InUse,
            State::Resident => shard.objects -= 1,
            State::Doomed => {}
        }
        entry.state = State::Deleting;
        let bytes = entry.bytes;
        drop(guard);
        BeginDelete::Started(Deletion::new(self, key, bytes))
    }

    /// What the index knows of `key`.
    pub fn get(&self, key: &ObjectKey) -> Option<EntryView> {
        self.shard(key).map.get(key).map(Entry::view)
    }

    /// All entries, in no order. Each is as it was at some instant of the call, for the shards are copied one after the
    /// other.
    pub fn entries(&self) -> Vec<(ObjectKey, EntryView)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().map.iter().map(|(key, entry)| (key.clone(), entry.view())));
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
        self.shards.iter().map(|shard| shard.lock().objects).sum()
    }

    /// How many of them are pinned.
    pub fn pinned_objects(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().pinned).sum()
    }

    /// A reservation's object is written: makes it visible.
    pub(crate) fn commit(&self, key: &ObjectKey) {
        let shard = &mut *self.shard(key);
        if let Some(entry) = shard.map.get_mut(key) {
            entry.state = State::Resident;
            shard.objects += 1;
        }
    }

    /// A reservation failed, or a deletion finished: the entry goes.
    pub(crate) fn remove(&self, key: &ObjectKey) {
        let mut shard = self.shard(key);
        shard.removals += 1;
        if let Some(entry) = shard.map.remove(key) {
            // Relaxed here and elsewhere: it is a count, and what it counts is guarded by the shards.
            self.used.fetch_sub(entry.bytes, Ordering::Relaxed);
        }
    }

    /// A deletion failed: the entry waits for the next one.
    pub(crate) fn give_up(&self, key: &ObjectKey) {
        if let Some(entry) = self.shard(key).map.get_mut(key) {
            entry.state = State::Doomed;
        }
    }

    /// A reader is done.
    pub(crate) fn end_read(&self, key: &ObjectKey) {
        if let Some(entry) = self.shard(key).map.get_mut(key) {
            entry.readers -= 1;
        }
    }

    /// A reader found its object to be wrong, and is done. Whether it is for it to delete the object: others may be
    /// reading it.
    pub(crate) fn heal(&self, key: &ObjectKey) -> bool {
        let shard = &mut *self.shard(key);
        let Some(entry) = shard.map.get_mut(key) else { return false };
        entry.readers -= 1;
        // Not so when another reader was here before.
        if entry.state == State::Resident {
            shard.objects -= 1;
            shard.pinned -= u64::from(entry.pins > 0);
            entry.pins = 0;
        }
        entry.state = if entry.readers == 0 { State::Deleting } else { State::Doomed };
        entry.readers == 0
    }

    /// Counts `bytes` as used unless that makes more than `limit`.
    ///
    /// # Errors
    /// The bytes that are used, when they leave too little room.
    fn take_bytes(&self, bytes: u64, limit: u64) -> Result<(), u64> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop)
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder by SHARDS is below it")]
    fn shard(&self, key: &ObjectKey) -> MutexGuard<'_, Entries> {
        // A hash map picks its groups by the low bits of the hash and tells the keys of a group apart by the top seven.
        // Shards are therefore picked by bits in between: were they the top ones, all keys of a shard would share them.
        let at = usize::try_from((key.hash64() >> 40) % SHARDS as u64).unwrap_or_default();
        self.shards[at].lock()
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No step under the lock can panic between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("used_bytes", &self.used_bytes())
            .field("capacity_bytes", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::KeyScope;

    #[test]
    fn keys_spread_over_all_shards_and_within_a_shard_over_its_map() {
        let index = Arc::new(Index::new(u64::MAX));
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        for number in 0..20_000_u32 {
            let key = scope.key(&number.to_le_bytes()).unwrap();
            let Reserve::Reserved(reservation) = index.reserve(&key, 1) else { panic!("there is room") };
            reservation.commit();
        }
        for shard in &index.shards {
            let shard = shard.lock();
            assert!((80..320).contains(&shard.map.len()), "{} keys in a shard", shard.map.len());
            // The bits by which the map tells keys apart, and those by which it places them.
            let tags: u128 = shard.map.keys().fold(0, |seen, key| seen | 1 << (key.hash64() >> 57));
            let places: u128 = shard.map.keys().fold(0, |seen, key| seen | 1 << (key.hash64() & 127));
            assert!(tags.count_ones() > 40 && places.count_ones() > 40);
        }
    }
}
