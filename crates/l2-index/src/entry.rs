//! One entry of the index, and the states it goes through.
//!
//! ```text
//!            reserve            commit             begin_delete, heal            finish
//!  Absent ------------> Storing -------> Resident --------------------> Deleting -------> Absent
//!     |  ^                 |              ^  |  ^  \                     |    ^
//!     |  +---- dropped ----+              |  |  |   \ heal, others read  |    | begin_delete, begin_evict, heal
//!     +------------- adopt ---------------+  |  |    \        failed, or v    |
//!                                    condemn |  |     +---------------> Doomed
//!                                            v  | reserve                     |
//!                                        Condemned ---------------------------+
//! ```
//!
//! Pins and readers are only ever added to a Resident entry, so that what is on its way out is never revived by a lookup
//! or a load. A Condemned entry is out of sight and waits for its turn to be deleted; a store of its key, which brings
//! the same bytes, keeps it. Doomed is Deleting without anybody at work, and its storage may be wrong. Outside all three
//! show as Deleting. ([`crate::Index::reconsider`] leads from Doomed to Deleting, too.)

use l2_core::{KeyScope, ObjectKey, Stamp};

/// What the index knows of one key, the key included. Ten million of these: kept to 64 bytes, and what the value takes, so
/// that each is one line of the processor's caches.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    scope: KeyScope,
    /// The chunk hash, or as much of it as fits: a longer one is kept beside the entries.
    hash: [u8; HASH],
    /// Length of the chunk hash, and [`REUSED`].
    length: u8,
    pub(crate) bytes: u64,
    /// When it was stored, looked up or read last.
    pub(crate) used: Stamp,
    /// The last of its leases (see [`crate::leases`]), each a pin; `None` unless Resident.
    pub(crate) leases: Option<Lease>,
    /// Live [`crate::Reader`]s; 0 unless Resident or Doomed.
    pub(crate) readers: u16,
    pub(crate) state: State<V>,
}

/// Longest chunk hash that an entry holds, in bytes. LMCache's have 32 or 8.
const HASH: usize = 32;
/// Set when the object was looked up or read since it was stored. Lengths are below it.
const REUSED: u8 = 0x80;

/// The number of a lease among those of a shard, plus one.
pub(crate) type Lease = std::num::NonZeroU32;

#[derive(Debug)]
pub(crate) enum State<V> {
    /// A [`crate::Reservation`] is alive.
    Storing,
    /// The value came with the commit, and stays until the entry goes.
    Stored(Stage, V),
}

/// Where a stored object is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Resident,
    /// Out of sight, to be deleted next; a store of the key keeps it.
    Condemned,
    /// A [`crate::Deletion`] is alive.
    Deleting,
    /// Invisible, its storage not free, and no [`crate::Deletion`] alive.
    Doomed(Why),
}

/// Why an object is Doomed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody wanted its storage free, and it could not be freed.
    Failed,
    /// What is on the storage is not to be served; another may have put something better there since.
    Unwanted,
}

impl<V> Entry<V> {
    pub(crate) fn storing(key: &ObjectKey, bytes: u64, used: Stamp) -> Self {
        let given = key.chunk_hash();
        let mut hash = [0; HASH];
        hash.iter_mut().zip(given).for_each(|(place, byte)| *place = *byte);
        Self {
            scope: key.scope().clone(),
            hash,
            length: u8::try_from(given.len()).unwrap_or_default(),
            bytes,
            used,
            leases: None,
            readers: 0,
            state: State::Storing,
        }
    }

    pub(crate) fn resident(key: &ObjectKey, bytes: u64, used: Stamp, value: V) -> Self {
        Self { state: State::Stored(Stage::Resident, value), ..Self::storing(key, bytes, used) }
    }

    /// What it has in common with the other keys of its model, rank, group and tenant.
    pub(crate) fn scope(&self) -> &KeyScope {
        &self.scope
    }

    /// The chunk hash; `None` if it is longer than what is kept here.
    pub(crate) fn chunk_hash(&self) -> Option<&[u8]> {
        self.hash.get(..usize::from(self.length & !REUSED))
    }

    /// Whether it was looked up or read since it was stored.
    pub(crate) fn is_reused(&self) -> bool {
        self.length & REUSED != 0
    }

    pub(crate) fn set_reused(&mut self) {
        self.length |= REUSED;
    }

    pub(crate) fn is_resident(&self) -> bool {
        matches!(self.state, State::Stored(Stage::Resident, _))
    }

    /// Whether it could go: it is Resident, and nobody uses it.
    pub(crate) fn is_free(&self) -> bool {
        self.is_resident() && self.readers == 0 && self.leases.is_none()
    }

    pub(crate) fn state(&self) -> EntryState {
        match self.state {
            State::Storing => EntryState::Storing,
            State::Stored(Stage::Resident, _) => EntryState::Resident,
            State::Stored(Stage::Condemned | Stage::Deleting | Stage::Doomed(_), _) => EntryState::Deleting,
        }
    }

    /// Notes a use.
    pub(crate) fn touch(&mut self, now: Stamp) {
        // What was decided later may come here first.
        self.used = self.used.max(now);
        self.set_reused();
    }
}

/// Where an entry is in its life; a key without an entry is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// Being written: not visible, its bytes count.
    Storing,
    /// Stored and visible.
    Resident,
    /// Not visible any more, and no lookup revives it; its bytes count until its storage is free.
    Deleting,
}

/// A copy of one entry, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView {
    /// Where it is in its life.
    pub state: EntryState,
    /// Its bytes, which count as used in each state.
    pub bytes: u64,
    /// Pins that were not given back, ones whose time is over included until somebody needs to know.
    pub pins: u32,
    /// Readers alive.
    pub readers: u16,
    /// When it was stored, looked up or read last.
    pub used: Stamp,
    /// Whether it was looked up or read since it was stored.
    pub reused: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn key(hash: &[u8]) -> ObjectKey {
        KeyScope::new("org/m", 1, 2, "salt").unwrap().key(hash).unwrap()
    }

    #[test]
    fn an_entry_is_small_and_costs_nothing_for_no_value() {
        assert_eq!(size_of::<Entry<()>>(), 64);
        assert_eq!(size_of::<Entry<Arc<()>>>(), 80);
    }

    #[test]
    fn an_entry_has_the_hash_of_its_key_unless_it_is_long_whether_reused_or_not() {
        for length in [1, 8, 31, 32] {
            let hash: Vec<u8> = (1..=length).collect();
            let mut entry = Entry::<()>::storing(&key(&hash), 1, Stamp(1));
            assert_eq!((entry.chunk_hash(), entry.is_reused()), (Some(&hash[..]), false));
            entry.set_reused();
            assert_eq!((entry.chunk_hash(), entry.is_reused()), (Some(&hash[..]), true));
            assert_eq!(entry.scope(), key(&hash).scope());
        }
        for length in [33, 64] {
            let mut entry = Entry::<()>::storing(&key(&vec![7; length]), 1, Stamp(1));
            entry.set_reused();
            assert_eq!(entry.chunk_hash(), None);
        }
    }

    #[test]
    fn a_use_that_is_heard_of_late_makes_an_entry_no_older() {
        let mut entry = Entry::resident(&key(&[1]), 1, Stamp(5), ());
        assert!(!entry.is_reused());
        entry.touch(Stamp(9));
        entry.touch(Stamp(7));
        assert_eq!((entry.used, entry.is_reused()), (Stamp(9), true));
    }
}
