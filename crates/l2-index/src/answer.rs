//! What the index answers.

use crate::ticket::{Deletion, Reader, Reservation};

/// The answer to [`crate::Index::reserve`].
#[derive(Debug)]
#[must_use = "a reservation that is dropped gives its bytes back"]
pub enum Reserve<V = ()> {
    /// The bytes are reserved: write the object, then commit.
    Reserved(Reservation<V>),
    /// The key is stored already.
    Present {
        /// Length of the stored object.
        bytes: u64,
    },
    /// Another task is storing the key.
    Storing,
    /// The key's storage is not free yet. Where nobody is freeing it (a deletion failed), [`crate::Index::begin_delete`]
    /// gives a new ticket.
    Deleting,
    /// Not that many bytes are free.
    Full {
        /// Bytes asked for.
        needed: u64,
        /// Bytes that count as used.
        used: u64,
        /// Most bytes that may be used.
        capacity: u64,
    },
}

/// The answer of [`crate::Index::pin_batch`] for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a hit must be unpinned"]
pub enum Pin {
    /// It is stored, and pinned once more.
    Hit {
        /// Length of the object.
        bytes: u64,
    },
    /// The index does not know the key; the storage may.
    Absent,
    /// Another task is storing the key: a miss, whatever lies on the storage.
    Storing,
    /// The key is being deleted: a miss, whatever lies on the storage.
    Deleting,
    /// What was on the storage was not to be served: a miss, unless [something better](crate::Index::reconsider) is there by
    /// now.
    Unwanted,
    /// It is stored, but there are too many pins (2³² − 1 in one of the 16 shards): it was not pinned.
    Overflow,
}

/// The answer to [`crate::Index::read`].
#[derive(Debug)]
#[must_use = "the object is protected only while the reader lives"]
pub enum Read<V = ()> {
    /// It is stored, and stays so until the reader is dropped.
    Started(Reader<V>),
    /// The index does not know the key; the storage may.
    Absent,
    /// Another task is storing the key.
    Storing,
    /// The key is being deleted.
    Deleting,
    /// It is stored, but has 65535 readers.
    Overflow,
}

/// The answer to [`crate::Index::adopt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "only an adopted or a present object was pinned"]
pub enum Adopt {
    /// It is in the index now, with the pin asked for.
    Adopted,
    /// It was in the index already, and got the pin asked for.
    Present {
        /// Its length, as the index knows it.
        bytes: u64,
    },
    /// Another task is storing the key.
    Storing,
    /// The key is being deleted.
    Deleting,
    /// The storage may have changed since it was looked at: look again, with a new [`crate::Epoch`].
    Stale,
    /// The bytes in use would be more than can be counted, or there are too many pins: nothing was changed.
    Overflow,
}

/// The answer to [`crate::Index::begin_delete`].
#[derive(Debug)]
#[must_use = "a deletion that is dropped counts as failed"]
pub enum BeginDelete<V = ()> {
    /// It is invisible now: free its storage, then finish.
    Started(Deletion<V>),
    /// The index does not know the key; the storage may. To delete an object that was never looked up,
    /// [`crate::Index::adopt`] it first.
    Absent,
    /// It is pinned or being read: it stays.
    InUse,
    /// Another task is storing the key.
    Storing,
    /// Somebody is deleting it already, or still reads what a load has found to be wrong.
    Deleting,
}
