//! Tickets: the right, and the duty, to do one thing with an object's storage.
//!
//! Each keeps the index alive and may be sent to, and dropped on, any thread.

use std::fmt;
use std::sync::Arc;

use l2_core::{EntryId, ObjectKey};

use crate::index::Index;

/// What every ticket holds. In a ticket with a value, the value comes first: it is dropped before the index is told,
/// so that the index's own is the last one when the object's entry goes.
struct Claim<V> {
    index: Arc<Index<V>>,
    key: ObjectKey,
    /// Where the entry is: it stays there while there is a ticket.
    id: EntryId,
    bytes: u64,
    /// What dropping it tells the index; `None` when that was told already.
    on_drop: Option<fn(&Index<V>, EntryId)>,
}

impl<V> Claim<V> {
    fn new(index: &Arc<Index<V>>, of: Of<'_>, on_drop: fn(&Index<V>, EntryId)) -> Self {
        let Of { key, id, bytes } = of;
        Self { index: Arc::clone(index), key: key.clone(), id, bytes, on_drop: Some(on_drop) }
    }
}

/// What a ticket is for.
pub(crate) struct Of<'a> {
    pub(crate) key: &'a ObjectKey,
    pub(crate) id: EntryId,
    pub(crate) bytes: u64,
}

impl<V> Drop for Claim<V> {
    fn drop(&mut self) {
        if let Some(tell) = self.on_drop {
            tell(&self.index, self.id);
        }
    }
}

impl<V> fmt::Debug for Claim<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.key, self.bytes)
    }
}

/// The right to write the object of a key, whose bytes are reserved. Dropped without a commit, the key is absent again
/// and the bytes are free: remove what was written before that.
#[derive(Debug)]
#[must_use = "a reservation that is dropped gives its bytes back"]
pub struct Reservation<V = ()>(Claim<V>);

impl<V> Reservation<V> {
    pub(crate) fn new(index: &Arc<Index<V>>, of: Of<'_>) -> Self {
        Self(Claim::new(index, of, Index::remove))
    }

    /// The key.
    pub fn key(&self) -> &ObjectKey {
        &self.0.key
    }

    /// The bytes that were reserved.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Nothing will become of it, but its bytes are in use on the storage for a while: the key is absent, and the bytes count
    /// until what comes back is dropped.
    pub fn into_bytes(mut self) -> ReservedBytes<V> {
        self.0.on_drop = None;
        let bytes = self.0.index.remove_but_bytes(self.0.id);
        ReservedBytes { index: Arc::clone(&self.0.index), bytes }
    }

    /// The object is whole on the storage: makes it visible, and keeps `value` with it.
    pub fn commit_with(mut self, value: V) {
        self.0.on_drop = None;
        self.0.index.commit(self.0.id, value);
    }
}

impl Reservation {
    /// The object is whole on the storage: makes it visible.
    pub fn commit(self) {
        self.commit_with(());
    }
}

/// Bytes that are in use and belong to no key; free again when it is dropped.
#[must_use = "dropped, the bytes are free"]
pub struct ReservedBytes<V = ()> {
    index: Arc<Index<V>>,
    bytes: u64,
}

impl<V> Drop for ReservedBytes<V> {
    fn drop(&mut self) {
        self.index.give_bytes_back(self.bytes);
    }
}

impl<V> fmt::Debug for ReservedBytes<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

/// The right to read the object of a key: while it lives, the object's storage is neither freed nor used for another.
#[derive(Debug)]
#[must_use = "the object is protected only while the reader lives"]
pub struct Reader<V = ()> {
    value: V,
    claim: Claim<V>,
}

impl<V> Reader<V> {
    pub(crate) fn new(index: &Arc<Index<V>>, of: Of<'_>, value: V) -> Self {
        Self { value, claim: Claim::new(index, of, Index::end_read) }
    }

    /// The key.
    pub fn key(&self) -> &ObjectKey {
        &self.claim.key
    }

    /// The bytes that were reserved for the object.
    pub fn bytes(&self) -> u64 {
        self.claim.bytes
    }

    /// What is kept with the object. A clone made of it should not outlive the reader: what it holds would be in use
    /// after its bytes are free.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// The storage is gone, short or unreadable: takes the object out of sight at once, with all its pins (a pinned
    /// object without its bytes serves nobody), and ends this reader.
    ///
    /// The deletion that comes back frees what is left of the storage. There is none while others read the object: the
    /// last of them to heal it gets the deletion, or else the next [`Index::begin_delete`] does.
    ///
    /// An unpin that was meant for one of the lost pins is ignored; one that does not say whose pin it means may take a
    /// new one, if the key has been stored and pinned anew by then.
    pub fn heal(self) -> Option<Deletion<V>>
    where
        V: Clone,
    {
        let Self { value, mut claim } = self;
        drop(value);
        claim.on_drop = None;
        let value = claim.index.heal(claim.id)?;
        let of = Of { key: &claim.key, id: claim.id, bytes: claim.bytes };
        Some(Deletion::new(&claim.index, of, value))
    }
}

/// The right to free the storage of a key, which is invisible and whose bytes count until [`Deletion::finish`].
///
/// Dropped before, or by [`Deletion::fail`], the key stays invisible, its bytes count, its value is kept, and the next
/// [`Index::begin_delete`] gets a new ticket to try again.
#[derive(Debug)]
#[must_use = "a deletion that is dropped counts as failed"]
pub struct Deletion<V = ()> {
    value: V,
    claim: Claim<V>,
}

impl<V> Deletion<V> {
    pub(crate) fn new(index: &Arc<Index<V>>, of: Of<'_>, value: V) -> Self {
        Self { value, claim: Claim::new(index, of, Index::give_up) }
    }

    /// The key.
    pub fn key(&self) -> &ObjectKey {
        &self.claim.key
    }

    /// The bytes that will be free.
    pub fn bytes(&self) -> u64 {
        self.claim.bytes
    }

    /// What is kept with the object.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// The storage is free: the key is absent, its value dropped, its bytes are free.
    pub fn finish(mut self) {
        self.claim.on_drop = Some(Index::remove);
    }

    /// What is on the storage is not to be served, and stays for others to whom it may be good: as after
    /// [`Deletion::fail`], and besides [`Index::reconsider`] gets a new ticket to look whether it has become better.
    pub fn set_aside(mut self) {
        self.claim.on_drop = Some(Index::set_aside);
    }

    /// The storage could not be freed.
    pub fn fail(self) {
        drop(self);
    }
}
