//! Tickets: the right, and the duty, to do one thing with an object's storage.
//!
//! Each keeps the index alive and may be sent to, and dropped on, any thread.

use std::sync::Arc;

use l2_core::ObjectKey;

use crate::index::Index;

/// What every ticket holds.
#[derive(Debug)]
struct Ticket {
    index: Arc<Index>,
    key: ObjectKey,
    bytes: u64,
    /// Whether dropping it still has to tell the index.
    open: bool,
}

impl Ticket {
    fn new(index: &Arc<Index>, key: &ObjectKey, bytes: u64) -> Self {
        Self { index: Arc::clone(index), key: key.clone(), bytes, open: true }
    }
}

/// The right to write the object of a key, whose bytes are reserved. Dropped without [`Reservation::commit`], the key is
/// absent again and the bytes are free: remove what was written before that.
#[derive(Debug)]
#[must_use = "a reservation that is dropped gives its bytes back"]
pub struct Reservation(Ticket);

impl Reservation {
    pub(crate) fn new(index: &Arc<Index>, key: &ObjectKey, bytes: u64) -> Self {
        Self(Ticket::new(index, key, bytes))
    }

    /// The key.
    pub fn key(&self) -> &ObjectKey {
        &self.0.key
    }

    /// The bytes that were reserved.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The object is whole on the storage: makes it visible.
    pub fn commit(mut self) {
        self.0.index.commit(&self.0.key);
        self.0.open = false;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.0.open {
            self.0.index.remove(&self.0.key);
        }
    }
}

/// The right to read the object of a key: while it lives, the object's storage is neither freed nor used for another.
#[derive(Debug)]
#[must_use = "the object is protected only while the reader lives"]
pub struct Reader(Ticket);

impl Reader {
    pub(crate) fn new(index: &Arc<Index>, key: &ObjectKey, bytes: u64) -> Self {
        Self(Ticket::new(index, key, bytes))
    }

    /// The key.
    pub fn key(&self) -> &ObjectKey {
        &self.0.key
    }

    /// Length of the object.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The storage is gone, short or unreadable: takes the object out of sight at once, with all its pins (a pinned
    /// object without its bytes serves nobody), and ends this reader.
    ///
    /// The deletion that comes back frees what is left of the storage. There is none while others read the object: the
    /// last of them to heal it gets the deletion, or else the next [`Index::begin_delete`] does.
    ///
    /// An unpin that was meant for one of the lost pins is ignored, unless the key has been stored and pinned anew by
    /// then: it then takes one of the new pins.
    pub fn heal(mut self) -> Option<Deletion> {
        self.0.open = false;
        let last = self.0.index.heal(&self.0.key);
        last.then(|| Deletion::new(&self.0.index, &self.0.key, self.0.bytes))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.0.open {
            self.0.index.end_read(&self.0.key);
        }
    }
}

/// The right to free the storage of a key, which is invisible and whose bytes count until [`Deletion::finish`].
///
/// Dropped before, or by [`Deletion::fail`], the key stays invisible, its bytes count, and the next
/// [`Index::begin_delete`] gets a new ticket to try again.
#[derive(Debug)]
#[must_use = "a deletion that is dropped counts as failed"]
pub struct Deletion(Ticket);

impl Deletion {
    pub(crate) fn new(index: &Arc<Index>, key: &ObjectKey, bytes: u64) -> Self {
        Self(Ticket::new(index, key, bytes))
    }

    /// The key.
    pub fn key(&self) -> &ObjectKey {
        &self.0.key
    }

    /// The bytes that will be free.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The storage is free: the key is absent, its bytes are free.
    pub fn finish(mut self) {
        self.0.index.remove(&self.0.key);
        self.0.open = false;
    }

    /// The storage could not be freed.
    pub fn fail(self) {
        drop(self);
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        if self.0.open {
            self.0.index.give_up(&self.0.key);
        }
    }
}
