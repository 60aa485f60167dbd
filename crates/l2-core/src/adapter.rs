//! The contract that every L2 adapter keeps.

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::L2Error;
use crate::events::EventFds;
use crate::evictable::Evictable;
use crate::key::ObjectKey;
use crate::listener::L2Listener;
use crate::report::{DeleteReport, LoadItem, LoadReport, LookupReport, StoreItem, StoreReport};
use crate::task::{Task, TaskId};
use crate::usage::{AdapterStatus, Usage};

/// A store of KV chunks behind L1.
///
/// The three `submit_` calls never block on I/O: they hand the batch to the adapter's workers and return a task that
/// ends exactly once, whatever fails, also when the adapter is closed meanwhile or was closed before. All calls may
/// come from any thread at once.
///
/// An object is visible to lookups from when its store has finished until it is deleted, and a load answers `Ok` only
/// with the exact bytes stored under that key.
pub trait L2Adapter: Send + Sync + Debug {
    /// Stores objects, each under its key, one outcome per key.
    ///
    /// A key that is present with the same length, or is being stored by another task, is
    /// [`crate::Stored::AlreadyPresent`]: the object of a key never changes. An object of another length under the
    /// key is replaced unless it is in use. Of a key that comes twice in a batch the first is stored.
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport>;

    /// Looks keys up, first in the index, then on the storage, and pins each hit: it will not be evicted or deleted
    /// until it was unlocked as often as it was hit, or its pins have ended (an adapter may give them a time to live).
    ///
    /// A hit in the index is answered on the caller's thread. A task that is dropped before its result was taken gives
    /// its pins back.
    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport>;

    /// Loads objects into L1, one outcome per key. Needs no pin; the object is protected while it is read.
    ///
    /// An object whose length is not the lease's is an error for its key. One whose storage is gone, short or
    /// unreadable is dropped, so that the next store writes it again.
    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport>;

    /// Gives one pin back per key and occurrence. Unknown keys and keys without a pin are ignored. Never blocks on
    /// I/O, never fails.
    fn unlock(&self, keys: &[ObjectKey]);

    /// Gives back pins that the lookup with this number took, one per key and occurrence: never another's, however often
    /// it is called. Otherwise as [`L2Adapter::unlock`], which takes the pin that would end first.
    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]);

    /// Deletes objects, those on the storage that were never looked up included. Pinned ones stay. Blocks on the
    /// storage while it frees them.
    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport;

    /// Bytes in use and the capacity.
    fn usage(&self) -> Usage;

    /// What an operator wants to know.
    fn status(&self) -> AdapterStatus;

    /// Three event descriptors for a host that polls; made by the first call. Each is raised by one when a task of
    /// its kind can be taken.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    fn event_fds(&self) -> Result<&EventFds, L2Error>;

    /// Tells `listener` what is in the index, then of everything that is stored, read and deleted from now on. What
    /// arrives at that moment may be told twice.
    fn add_listener(&self, listener: Arc<dyn L2Listener>);

    /// What eviction works on. Whoever keeps it keeps no thread and no file of the adapter: once that is closed, nothing can
    /// be evicted any more.
    fn evictable(&self) -> Arc<dyn Evictable>;

    /// Ends what is in flight (or parks it at its deadline), gives every task its result, joins the threads and frees
    /// everything. Idempotent; a dropped adapter closes itself.
    ///
    /// # Errors
    /// When something could not be cleaned up; the adapter is closed all the same.
    fn close(&self) -> Result<(), L2Error>;
}
