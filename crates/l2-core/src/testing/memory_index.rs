//! What the adapter in memory holds: its objects, and the index over them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::memory_storage::MemoryStorage;
use crate::error::{ErrorKind, L2Error};
use crate::evictable::{Candidate, EntryId, Stamp};
use crate::hash::KeyHasherBuilder;
use crate::key::ObjectKey;
use crate::report::{Deleted, Stored};
use crate::task::TaskId;
use crate::usage::{SaltUsage, Usage};

struct Entry {
    bytes: u64,
    state: State,
    /// When it was used last.
    used: Stamp,
    reused: bool,
}

enum State {
    /// Reserved; its bytes are on the way.
    Storing,
    /// Found on the storage when it was opened, and not asked for yet.
    Unknown,
    Resident {
        /// The lookups that pinned it, the oldest first.
        pins: Vec<TaskId>,
    },
    /// Out of sight, to be evicted.
    Condemned,
}

impl Entry {
    fn new(bytes: u64, state: State, used: Stamp) -> Self {
        Self { bytes, state, used, reused: false }
    }

    fn is_pinned(&self) -> bool {
        matches!(&self.state, State::Resident { pins } if !pins.is_empty())
    }

    fn touch(&mut self, used: Stamp) {
        // What was asked later may come here first.
        self.used = self.used.max(used);
        self.reused = true;
    }
}

/// What a store may do.
pub(super) enum Reserved {
    /// Write the bytes. `replaced` bytes, of another length, were dropped for them.
    Write { replaced: Option<u64> },
    /// Nothing.
    Nothing(Result<Stored, L2Error>),
    /// Nothing, unless room is made for it.
    Full { missing: u64, error: L2Error },
}

/// What the index knows of a key that is looked up.
pub(super) enum Pinned {
    Hit(u64),
    /// The storage has to be asked.
    AskStorage,
    Closed,
}

/// The index and the storage under it, to be kept under one lock. Each method leaves the two in step.
pub(super) struct MemoryIndex {
    entries: HashMap<ObjectKey, Entry, KeyHasherBuilder>,
    storage: MemoryStorage,
    used: u64,
    capacity: u64,
    healed: u64,
    /// The latest stamp that was given out.
    last_stamp: u64,
    /// How often an object may have become one that could go.
    releases: u64,
    closed: bool,
}

impl MemoryIndex {
    pub(super) fn open(storage: MemoryStorage, capacity: u64) -> Self {
        let found = |(key, bytes): (&ObjectKey, &Arc<[u8]>)| {
            (key.clone(), Entry::new(bytes.len() as u64, State::Unknown, Stamp(0)))
        };
        let entries: HashMap<_, _, _> = storage.objects().iter().map(found).collect();
        let used = entries.values().map(|entry| entry.bytes).sum();
        Self { entries, storage, used, capacity, healed: 0, last_stamp: 0, releases: 0, closed: false }
    }

    /// The stamps of a batch's keys, in order: the last has the earliest.
    pub(super) fn stamps(&mut self, batch: usize) -> impl Iterator<Item = Stamp> + use<> {
        self.last_stamp += batch as u64;
        let last = self.last_stamp;
        (0..batch as u64).map(move |at| Stamp(last - at))
    }

    /// Reserves the bytes of an object that is to be stored.
    pub(super) fn reserve(&mut self, key: &ObjectKey, bytes: u64, used: Stamp) -> Reserved {
        if self.closed {
            return Reserved::Nothing(Err(L2Error::closed().with_key(key)));
        }
        let replaced = match self.entries.get_mut(key) {
            None => None,
            Some(entry) if matches!(entry.state, State::Condemned) && entry.bytes == bytes => {
                // It is wanted again: what was to go stays.
                entry.state = State::Resident { pins: Vec::new() };
                entry.used = entry.used.max(used);
                self.releases += 1;
                return Reserved::Nothing(Ok(Stored::AlreadyPresent));
            }
            Some(Entry { state: State::Storing, .. }) => {
                return Reserved::Nothing(Ok(Stored::AlreadyPresent));
            }
            Some(entry) if entry.bytes == bytes => return Reserved::Nothing(Ok(Stored::AlreadyPresent)),
            Some(entry) if entry.is_pinned() => {
                let error =
                    L2Error::new(ErrorKind::Busy, "an object of another length is pinned under this key");
                return Reserved::Nothing(Err(error.with_key(key)));
            }
            Some(entry) => Some(entry.bytes),
        };
        let kept = self.used - replaced.unwrap_or(0);
        let Some(sum) = kept.checked_add(bytes).filter(|&sum| sum <= self.capacity) else {
            let free = self.capacity.saturating_sub(kept);
            let error = L2Error::new(ErrorKind::Full, format!("{bytes} bytes do not fit, {free} are free"));
            let error = error.with_key(key);
            // What is larger than everything is no reason to evict anything.
            return match bytes > self.capacity {
                true => Reserved::Nothing(Err(error)),
                false => Reserved::Full { missing: bytes - free, error },
            };
        };
        if replaced.is_some() {
            self.storage.lose(key);
        }
        self.used = sum;
        self.entries.insert(key.clone(), Entry::new(bytes, State::Storing, used));
        Reserved::Write { replaced }
    }

    /// Makes a reserved object visible.
    pub(super) fn publish(&mut self, key: &ObjectKey, bytes: Arc<[u8]>) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.storage.objects().insert(key.clone(), bytes);
            entry.state = State::Resident { pins: Vec::new() };
            self.releases += 1;
        }
    }

    /// Gives a reservation back.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.used -= self.entries.remove(key).map_or(0, |entry| entry.bytes);
    }

    /// Pins an object that the index knows.
    pub(super) fn pin(&mut self, key: &ObjectKey, owner: TaskId, used: Stamp) -> Pinned {
        match self.entries.get_mut(key) {
            _ if self.closed => Pinned::Closed,
            Some(entry) => {
                let bytes = entry.bytes;
                let State::Resident { pins } = &mut entry.state else { return Pinned::AskStorage };
                pins.push(owner);
                entry.touch(used);
                Pinned::Hit(bytes)
            }
            None => Pinned::AskStorage,
        }
    }

    /// Pins an object that may be on the storage alone: its bytes, and whether the index did not know it before.
    pub(super) fn recover(&mut self, key: &ObjectKey, owner: TaskId, used: Stamp) -> Option<(u64, bool)> {
        let entry = self.entries.get_mut(key)?;
        match &mut entry.state {
            State::Storing | State::Condemned => None,
            State::Resident { pins } => {
                pins.push(owner);
                entry.touch(used);
                Some((entry.bytes, false))
            }
            State::Unknown => {
                // It may have changed since it was opened.
                let found = self.storage.objects().get(key).map_or(0, |bytes| bytes.len() as u64);
                self.used = self.used - entry.bytes + found;
                if found == 0 {
                    self.entries.remove(key);
                    return None;
                }
                *entry = Entry::new(found, State::Resident { pins: vec![owner] }, used);
                Some((found, true))
            }
        }
    }

    /// Gives one pin back, `owner`'s or the oldest, if there is one.
    pub(super) fn unpin(&mut self, key: &ObjectKey, owner: Option<TaskId>) {
        if let Some(Entry { state: State::Resident { pins }, .. }) = self.entries.get_mut(key)
            && let Some(at) = pins.iter().position(|pin| owner.is_none_or(|owner| *pin == owner))
        {
            pins.remove(at);
            self.releases += 1;
        }
    }

    /// The bytes of an object of this length, or why not; with the bytes of the object that was dropped because its
    /// storage had not what the index knew.
    pub(super) fn read(
        &mut self,
        key: &ObjectKey,
        length: u64,
        used: Stamp,
    ) -> Result<Arc<[u8]>, (L2Error, Option<u64>)> {
        let stored = match self.entries.get(key) {
            None | Some(Entry { state: State::Storing | State::Condemned, .. }) => {
                return Err((L2Error::not_found().with_key(key), None));
            }
            Some(entry) => entry.bytes,
        };
        let found = self.storage.objects().get(key).cloned();
        match found {
            Some(bytes) if bytes.len() as u64 == stored => {
                if stored == length {
                    if let Some(entry) = self.entries.get_mut(key) {
                        entry.touch(used);
                    }
                    return Ok(bytes);
                }
                let what = format!("the object has {stored} bytes, the lease {length}");
                Err((L2Error::new(ErrorKind::LengthMismatch, what).with_key(key), None))
            }
            damaged => {
                self.entries.remove(key);
                self.storage.lose(key);
                self.used -= stored;
                self.healed += 1;
                let error = damaged.map_or_else(L2Error::not_found, |bytes| {
                    let what = format!("{} of {stored} bytes are left; the object was dropped", bytes.len());
                    L2Error::new(ErrorKind::Corrupt, what)
                });
                Err((error.with_key(key), Some(stored)))
            }
        }
    }

    /// Deletes an object unless it is in use.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Deleted {
        if self.closed {
            return Deleted::Failed(L2Error::closed().with_key(key));
        }
        match self.entries.get(key) {
            None => Deleted::Absent,
            Some(entry) if entry.is_pinned() || matches!(entry.state, State::Storing) => Deleted::Busy,
            Some(&Entry { bytes, .. }) => {
                self.entries.remove(key);
                self.storage.lose(key);
                self.used -= bytes;
                Deleted::Freed { bytes }
            }
        }
    }

    /// Refuses everything from now on. Whether it did so before.
    pub(super) fn close(&mut self) -> bool {
        std::mem::replace(&mut self.closed, true)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn usage(&self) -> Usage {
        Usage { used_bytes: self.used, capacity_bytes: self.capacity }
    }

    pub(super) fn healed(&self) -> u64 {
        self.healed
    }

    /// The objects that can be looked up, each with its bytes.
    pub(super) fn objects(&self) -> Vec<(ObjectKey, u64)> {
        let resident = |(key, entry): (&ObjectKey, &Entry)| match entry.state {
            State::Resident { .. } => Some((key.clone(), entry.bytes)),
            State::Storing | State::Unknown | State::Condemned => None,
        };
        self.entries.iter().filter_map(resident).collect()
    }

    /// How many objects can be looked up, and how many of them are pinned.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.entries.values().fold((0, 0), |(stored, pinned), entry| match &entry.state {
            State::Resident { .. } => (stored + 1, pinned + u64::from(entry.is_pinned())),
            State::Storing | State::Unknown | State::Condemned => (stored, pinned),
        })
    }

    /// The objects that could go now, each with a place that is its stamp: no two have the same.
    pub(super) fn candidates(&self) -> Vec<(ObjectKey, Candidate)> {
        let free = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(&entry.state, State::Resident { pins } if pins.is_empty()));
        free.map(|(key, entry)| (key.clone(), entry.candidate(key))).collect()
    }

    fn find(&self, candidate: &Candidate) -> Option<ObjectKey> {
        let mut all = self.entries.iter();
        all.find(|(_, entry)| entry.used == candidate.used).map(|(key, _)| key.clone())
    }

    /// Takes an object out of sight that is as it was.
    pub(super) fn condemn(&mut self, candidate: &Candidate) -> bool {
        let Some(entry) = self.find(candidate).and_then(|key| self.entries.get_mut(&key)) else {
            return false;
        };
        let is_free = !self.closed && matches!(&entry.state, State::Resident { pins } if pins.is_empty());
        if is_free {
            entry.state = State::Condemned;
        }
        is_free
    }

    /// Puts a condemned object back.
    pub(super) fn pardon(&mut self, candidate: &Candidate) {
        if let Some(entry) = self.find(candidate).and_then(|key| self.entries.get_mut(&key))
            && matches!(entry.state, State::Condemned)
        {
            entry.state = State::Resident { pins: Vec::new() };
            self.releases += 1;
        }
    }

    /// Removes a condemned object: its key, and what became of it.
    pub(super) fn evict(&mut self, candidate: &Candidate) -> Option<(ObjectKey, Deleted)> {
        let key = self.find(candidate)?;
        let is_condemned = matches!(self.entries.get(&key)?.state, State::Condemned);
        is_condemned.then(|| {
            let answer = self.remove(&key);
            (key, answer)
        })
    }

    pub(super) fn mark_reused(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.reused = true;
        }
    }

    pub(super) fn releases(&self) -> u64 {
        self.releases
    }

    pub(super) fn usage_by_salt(&self) -> Vec<SaltUsage> {
        let mut sums: BTreeMap<&str, SaltUsage> = BTreeMap::new();
        for (key, entry) in &self.entries {
            let sum = sums.entry(key.cache_salt()).or_default();
            sum.salt = key.cache_salt().to_owned();
            sum.bytes += entry.bytes;
            sum.objects += 1;
        }
        sums.into_values().collect()
    }
}

impl Entry {
    fn candidate(&self, key: &ObjectKey) -> Candidate {
        Candidate {
            id: EntryId(self.used.0),
            used: self.used,
            bytes: self.bytes,
            key_hash: key.hash64(),
            reused: self.reused,
        }
    }
}
