//! What all operations of one adapter share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use l2_core::{Backlog, Deleted, Desk, Heals, L2Error, ObjectKey, TaskId};
use l2_engine::{Class, Engine, Grouping, Storage};
use l2_index::{BeginDelete, Deletion, Index};
use l2_memory::Region;

use crate::kept::Kept;
use crate::medium::Medium;
use crate::padding::Padding;
use crate::slots::Slots;
use crate::store::Write;

/// What all operations of one adapter share. Jobs hold it, so it must not hold the engine.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) index: Arc<Index<Arc<Kept>>>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) slots: Slots,
    pub(crate) padding: Arc<Padding>,
    pub(crate) medium: Medium,
    pub(crate) grouping: Grouping,
    /// Stores that wait for room.
    pub(crate) backlog: Backlog<Write>,
    pub(crate) heals: Heals,
    /// Whether the bytes of every object are to be compared, so that memory which cannot be read is refused.
    pub(crate) compares_all: bool,
}

impl Core {
    /// Where an object of `length` bytes lies, in NIXL's terms.
    pub(crate) fn storage(&self, kept: &Kept, length: u64) -> Storage {
        self.medium.storage(&kept.taken, self.slots.page_bytes(), length)
    }

    /// Where an object lies, for messages.
    pub(crate) fn place(&self, kept: &Kept) -> PathBuf {
        self.medium.place(&kept.taken)
    }

    /// Reads an object's pages without NIXL; in doubt they are readable. Objects of a store always are.
    pub(crate) fn is_readable(&self, kept: &Kept) -> bool {
        match &self.medium {
            Medium::Files(files) => files.is_readable(&kept.taken, self.slots.page_bytes()),
            Medium::Objects(_) => true,
        }
    }

    /// Whether the storage answers.
    pub(crate) fn works(self: &Arc<Self>, engine: &Engine) -> bool {
        /// Longer than any transfer may take: the worker answers by then.
        const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
        let bytes = usize::try_from(self.slots.page_bytes().clamp(512, 4096)).unwrap_or(4096);
        let lease = Region::allocate(4096).and_then(|region| region.lease(0, bytes));
        let Ok(memory) = lease else { return false };
        let (core, (works, worked)) = (Arc::clone(self), channel());
        engine.submit(Class::Read, Box::new(move || vec![core.medium.try_out(memory, works)]));
        // A job that is dropped takes its end of the channel with it.
        worked.recv_timeout(LIMIT).unwrap_or(false)
    }

    /// Gives pins back: `owner`'s, or whoever's is the oldest.
    pub(crate) fn unlock(&self, keys: &[ObjectKey], owner: Option<TaskId>) {
        let unlocked = self.index.unpin_batch(keys, owner);
        if unlocked < keys.len() {
            tracing::debug!(unlocked, keys = keys.len(), "keys were unlocked that were not locked");
        }
    }

    /// Deletes one object.
    pub(crate) fn delete(&self, key: &ObjectKey) -> Deleted {
        if self.desk.is_closed() {
            return Deleted::Failed(L2Error::closed().with_key(key));
        }
        match self.index.begin_delete(key) {
            BeginDelete::Started(deletion) => Deleted::Freed { bytes: self.free(deletion) },
            BeginDelete::Absent => Deleted::Absent,
            BeginDelete::InUse | BeginDelete::Storing | BeginDelete::Deleting => Deleted::Busy,
        }
    }

    /// Gives the pages of an object back that is out of sight, and tells the listeners. The bytes that are free.
    pub(crate) fn free(&self, deletion: Deletion<Arc<Kept>>) -> u64 {
        let (key, bytes) = (deletion.key().clone(), self.slots.occupied(deletion.bytes()));
        deletion.finish();
        self.desk.tell_deleted(&[(key, bytes)]);
        bytes
    }
}
