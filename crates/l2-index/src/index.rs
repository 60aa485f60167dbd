//! The index: which keys are stored, how often each is pinned, and how many bytes that is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use l2_core::{Clock, ObjectKey, Stamp};

use crate::answer::{BeginDelete, Read, Reserve};
use crate::entry::{Entry, Stage, State};
use crate::shards::{Shards, id_of};
use crate::stamps::Stamps;
use crate::ticket::{Deletion, Of, Reader, Reservation};

/// A point in time, to tell whether a look at the storage is out of date; see [`Index::epoch`].
#[derive(Debug, Clone, Copy)]
pub struct Epoch(pub(crate) u64);

/// How long pins last, and by which clock.
#[derive(Debug, Clone, Default)]
pub struct PinTerms {
    /// After this a pin ends by itself; `None`: never.
    pub time_to_live: Option<Duration>,
    /// What tells the time.
    pub clock: Clock,
}

/// What is stored. All calls may come from any thread at once; none waits for more than one short lock.
///
/// | call | who | gets |
/// |---|---|---|
/// | [`Index::reserve`] | a store | a [`Reservation`] |
/// | [`Index::pin_batch`], [`Index::unpin_batch`] | a lookup, an unlock | pins, with an owner and an end |
/// | [`Index::read`] | a load | a [`Reader`] |
/// | [`Index::adopt`] | who found an object on the storage | an entry |
/// | [`Index::begin_delete`], [`Reader::heal`] | a delete, a load of a damaged object | a [`Deletion`] |
/// | [`Index::scan`], [`Index::condemn`], [`Index::evict_all`], [`Index::evict_again`] | eviction | what was used when, and a [`Deletion`] |
///
/// Always: the bytes of all entries are the bytes in use, and a reservation never takes those past the capacity; an
/// entry with pins or readers is not deleted, unless a reader found its storage to be wrong; a key that is being deleted
/// can neither be pinned, read nor adopted before its deletion has finished, nor stored, unless it is only condemned.
///
/// # Values
/// With each stored object a `V` is kept, such as where on the storage it is. It comes with
/// [`Reservation::commit_with`]; readers and deletions have a clone. It is dropped outside all locks when the deletion
/// finishes, after every clone that the index gave out and before the object's bytes are free: what a value frees by
/// being dropped is there for whoever is given those bytes. Cloning happens under a lock: it must be quick, and must
/// not call the index.
pub struct Index<V = ()> {
    pub(crate) shards: Shards<V>,
    pub(crate) stamps: Stamps,
    pub(crate) pins: PinTerms,
    capacity: u64,
    /// Bytes of all entries: raised before one is added and lowered after one is removed.
    used: AtomicU64,
    /// Entries that are stranded.
    pub(crate) stranded: AtomicU64,
    /// The shard whose stranded entries are the next to be tried again.
    pub(crate) next_shard: AtomicUsize,
}

impl<V> Index<V> {
    /// An empty index, whose reservations never take the bytes in use past `capacity_bytes`, and whose pins never end by
    /// themselves.
    pub fn new(capacity_bytes: u64) -> Self {
        Self::with_pins(capacity_bytes, PinTerms::default())
    }

    /// One whose pins end by themselves.
    pub fn with_pins(capacity_bytes: u64, pins: PinTerms) -> Self {
        Self {
            shards: Shards::new(),
            stamps: Stamps::new(),
            pins,
            capacity: capacity_bytes,
            used: AtomicU64::new(0),
            stranded: AtomicU64::new(0),
            next_shard: AtomicUsize::new(0),
        }
    }

    /// The stamps for the uses of a batch, of its keys in order: the last has the earliest, for a prefix without its head
    /// is useless.
    pub fn stamps(&self, batch: usize) -> impl Iterator<Item = Stamp> + use<V> {
        let stamps = self.stamps.batch(batch);
        (0..batch).map(move |at| stamps.stamp(at))
    }

    /// The stamp of an object that was found and not used yet: before that of every use, and in the order of the calls.
    pub fn cold_stamp(&self) -> Stamp {
        self.stamps.cold()
    }

    /// As [`Index::cold_stamp`], and in the order of when the objects were changed last, given since 1970.
    pub fn cold_stamp_since(&self, changed: Duration) -> Stamp {
        self.stamps.cold_since(changed)
    }

    /// Claims `key` for a store of `bytes`, and the bytes with it; `used` is when ([`Index::stamps`]).
    pub fn reserve(self: &Arc<Self>, key: &ObjectKey, bytes: u64, used: Stamp) -> Reserve<V> {
        let hash = key.hash64();
        let (shard, mut guard) = self.shards.of(hash);
        let entries = &mut *guard;
        if let Some(slot) = entries.slab.find(key, hash)
            && let Some(entry) = entries.slab.at_mut(slot)
        {
            return match &mut entry.state {
                State::Storing => Reserve::Storing,
                State::Stored(Stage::Resident, _) => Reserve::Present { bytes: entry.bytes },
                // It was to go, and is wanted again: the same bytes, and they are still there.
                State::Stored(stage @ Stage::Condemned, _) if entry.bytes == bytes => {
                    *stage = Stage::Resident;
                    entry.used = entry.used.max(used);
                    entries.objects += 1;
                    entries.frees.note(slot, entry);
                    Reserve::Present { bytes }
                }
                State::Stored(Stage::Condemned | Stage::Deleting | Stage::Doomed(_), _) => Reserve::Deleting,
            };
        }
        if let Err(used) = self.take_bytes(bytes, self.capacity) {
            return Reserve::Full { needed: bytes, used, capacity: self.capacity };
        }
        let Some(slot) = entries.insert(key, hash, Entry::storing(key, bytes, used)) else {
            self.give_bytes_back(bytes);
            return Reserve::Full { needed: bytes, used: self.used_bytes(), capacity: self.capacity };
        };
        drop(guard);
        Reserve::Reserved(Reservation::new(self, Of { key, id: id_of(shard, slot), bytes }))
    }

    /// Now, for `key`. Take it before you look at the storage for an object that the index does not know.
    pub fn epoch(&self, key: &ObjectKey) -> Epoch {
        Epoch(self.shards.of(key.hash64()).1.removals)
    }

    /// Waits until nobody is deleting `key`, at most for `limit`. Whether that is so.
    pub fn await_deletion(&self, key: &ObjectKey, limit: Duration) -> bool {
        let hash = key.hash64();
        self.shards.wait_until(hash, limit, |entries| {
            let found = entries.slab.find(key, hash).and_then(|slot| entries.slab.at(slot));
            !found.is_some_and(|entry| matches!(entry.state, State::Stored(Stage::Deleting, _)))
        })
    }

    /// Bytes reserved, stored and being deleted.
    pub fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Most bytes that reservations may use.
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity
    }

    /// Counts `bytes` as used unless that makes more than `limit`.
    ///
    /// # Errors
    /// The bytes that are used, when they leave too little room.
    pub(crate) fn take_bytes(&self, bytes: u64, limit: u64) -> Result<(), u64> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop)
    }

    /// Relaxed here and elsewhere: it is a count, and what it counts is guarded by the shards.
    pub(crate) fn give_bytes_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl<V: Clone> Index<V> {
    /// Protects the object of `key` while it is read, whatever becomes of its pins; `used` is when ([`Index::stamps`]).
    pub fn read(self: &Arc<Self>, key: &ObjectKey, used: Stamp) -> Read<V> {
        let hash = key.hash64();
        let (shard, mut guard) = self.shards.of(hash);
        let entries = &mut *guard;
        let Some(slot) = entries.slab.find(key, hash) else { return Read::Absent };
        let Some(entry) = entries.slab.at_mut(slot) else { return Read::Absent };
        match &entry.state {
            State::Storing => Read::Storing,
            State::Stored(Stage::Condemned | Stage::Deleting | Stage::Doomed(_), _) => Read::Deleting,
            State::Stored(Stage::Resident, value) => {
                let Some(readers) = entry.readers.checked_add(1) else { return Read::Overflow };
                let value = value.clone();
                if entry.readers == 0 && entry.leases.is_none() {
                    entries.frees.subtract(slot, entry.bytes);
                }
                entry.readers = readers;
                entry.touch(used);
                let bytes = entry.bytes;
                drop(guard);
                Read::Started(Reader::new(self, Of { key, id: id_of(shard, slot), bytes }, value))
            }
        }
    }

    /// Makes `key` invisible, so that its storage can be freed; not while it is pinned or read.
    pub fn begin_delete(self: &Arc<Self>, key: &ObjectKey) -> BeginDelete<V> {
        let hash = key.hash64();
        let (shard, mut guard) = self.shards.of(hash);
        let entries = &mut *guard;
        let Some(slot) = entries.slab.find(key, hash) else { return BeginDelete::Absent };
        if entries.slab.at(slot).is_some_and(|entry| entry.leases.is_some()) {
            entries.expire(slot, self.pins.clock.now());
        }
        let Some(entry) = entries.slab.at_mut(slot) else { return BeginDelete::Absent };
        let State::Stored(stage, value) = &mut entry.state else { return BeginDelete::Storing };
        match stage {
            Stage::Deleting => return BeginDelete::Deleting,
            Stage::Doomed(_) if entry.readers > 0 => return BeginDelete::Deleting,
            Stage::Resident if entry.leases.is_some() || entry.readers > 0 => return BeginDelete::InUse,
            Stage::Resident => {
                entries.objects -= 1;
                entries.frees.subtract(slot, entry.bytes);
            }
            Stage::Doomed(_) => self.note_tried(&mut entries.stranded, slot),
            Stage::Condemned => {}
        }
        *stage = Stage::Deleting;
        let (value, bytes) = (value.clone(), entry.bytes);
        drop(guard);
        BeginDelete::Started(Deletion::new(self, Of { key, id: id_of(shard, slot), bytes }, value))
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
