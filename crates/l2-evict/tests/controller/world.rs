//! An adapter in memory whose deletes can be watched and made to fail, and shorthand for what a host does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use l2_core::memory::{Region, SharedLease};
use l2_core::testing::{MemoryAdapter, fixtures};
use l2_core::{
    AdapterStatus, DeleteReport, Deleted, ErrorKind, EventFds, KeyHasherBuilder, L2Adapter, L2Error,
    L2Listener, LoadItem, LoadReport, LookupReport, ObjectKey, StoreItem, StoreReport, Task, Usage,
};
use l2_evict::{Attachment, Controller, EvictionPolicy, Lru, Watermark};

/// Length of every object.
pub(crate) const BYTES: u64 = 100;

/// How long a test waits for anything before it fails.
const LIMIT: Duration = Duration::from_secs(60);

type Keys = HashSet<ObjectKey, KeyHasherBuilder>;

/// What was asked of [`Watched::delete`], and what goes wrong there.
#[derive(Debug, Default)]
pub(crate) struct Deletes {
    /// Every key that was asked to be deleted.
    pub(crate) asked: Vec<ObjectKey>,
    /// Of these, what was freed.
    pub(crate) freed: Vec<ObjectKey>,
    /// Keys whose deletion fails.
    pub(crate) fails: Keys,
    /// Keys whose deletion panics.
    pub(crate) panics: Keys,
    /// Keys that no answer is given for, nor for those after them.
    pub(crate) cut_off_at: Keys,
}

/// An adapter in memory with a log and faults.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: MemoryAdapter,
    pub(crate) deletes: Mutex<Deletes>,
}

impl Watched {
    fn delete_one(&self, key: &ObjectKey) -> Deleted {
        let (fails, panics) = {
            let mut deletes = self.deletes.lock().unwrap();
            deletes.asked.push(key.clone());
            (deletes.fails.contains(key), deletes.panics.contains(key))
        };
        assert!(!panics, "asked for by the test");
        if fails {
            return Deleted::Failed(L2Error::new(ErrorKind::Io, "asked for by the test").with_key(key));
        }
        let answer = self.inner.delete(std::slice::from_ref(key)).answers.remove(0);
        if matches!(answer, Deleted::Freed { .. }) {
            self.deletes.lock().unwrap().freed.push(key.clone());
        }
        answer
    }
}

impl L2Adapter for Watched {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        self.inner.submit_store(batch)
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        self.inner.submit_lookup_and_lock(keys)
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        self.inner.submit_load(batch)
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        self.inner.unlock(keys);
    }

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        let cut_off = keys.iter().take_while(|key| !self.deletes.lock().unwrap().cut_off_at.contains(*key));
        DeleteReport { answers: cut_off.map(|key| self.delete_one(key)).collect() }
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn status(&self) -> AdapterStatus {
        self.inner.status()
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.inner.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.inner.add_listener(listener);
    }

    fn close(&self) -> Result<(), L2Error> {
        self.inner.close()
    }
}

/// A host with an adapter behind it.
pub(crate) struct World {
    pub(crate) watched: Arc<Watched>,
    pub(crate) adapter: Arc<dyn L2Adapter>,
    /// What every store stores.
    memory: SharedLease,
    l1: Region,
}

impl World {
    /// An adapter with room for this many objects.
    pub(crate) fn new(objects: u64) -> Self {
        let inner = MemoryAdapter::new(objects * BYTES).unwrap();
        let watched = Arc::new(Watched { inner, deletes: Mutex::default() });
        let l1 = Region::allocate(8192).unwrap();
        let memory = l1.lease(0, usize::try_from(BYTES).unwrap()).unwrap().freeze();
        Self { adapter: Arc::clone(&watched) as Arc<dyn L2Adapter>, watched, memory, l1 }
    }

    /// Attaches it with an [`Lru`] that was told of `known`, and waits for the first pass to end.
    pub(crate) fn attach(
        &self,
        to: &Controller,
        known: &[ObjectKey],
        trigger: f64,
        ratio: f64,
    ) -> Attachment {
        let mut lru = Lru::new();
        known.iter().for_each(|key| lru.stored(&[(key.clone(), BYTES)]));
        let attachment = to.attach(&self.adapter, Box::new(lru), Watermark::new(trigger, ratio).unwrap());
        settle(&attachment);
        attachment
    }

    /// Stores one batch.
    pub(crate) fn store(&self, keys: &[ObjectKey]) -> StoreReport {
        let item = |key: &ObjectKey| StoreItem { key: key.clone(), memory: self.memory.clone() };
        self.adapter.submit_store(keys.iter().map(item).collect()).wait(LIMIT).unwrap()
    }

    /// Stores one batch, all of which must be written.
    #[track_caller]
    pub(crate) fn must_store(&self, keys: &[ObjectKey]) {
        assert_eq!(self.store(keys).written_bytes(), keys.len() as u64 * BYTES);
    }

    /// Looks keys up; the hits stay pinned.
    pub(crate) fn pin(&self, keys: &[ObjectKey]) -> LookupReport {
        self.adapter.submit_lookup_and_lock(keys.to_vec()).wait(LIMIT).unwrap()
    }

    /// Looks one key up, and gives its pin back. Whether it was a hit.
    pub(crate) fn has(&self, key: &ObjectKey) -> bool {
        let hit = self.pin(std::slice::from_ref(key)).prefix_hits() == 1;
        if hit {
            self.adapter.unlock(std::slice::from_ref(key));
        }
        hit
    }

    /// Loads one object. Whether it was there.
    pub(crate) fn load(&self, key: &ObjectKey) -> bool {
        let memory = self.l1.lease(4096, usize::try_from(BYTES).unwrap()).unwrap();
        let batch = vec![LoadItem { key: key.clone(), memory }];
        self.adapter.submit_load(batch).wait(LIMIT).unwrap().loaded_bytes() == BYTES
    }

    /// Objects in use; never more than fit.
    #[track_caller]
    pub(crate) fn objects(&self) -> u64 {
        let usage = self.adapter.usage();
        assert!(usage.used_bytes <= usage.capacity_bytes, "{usage:?}");
        usage.used_bytes / BYTES
    }

    /// The log of deletes so far, which is empty after this.
    pub(crate) fn take_log(&self) -> (Vec<ObjectKey>, Vec<ObjectKey>) {
        let mut deletes = self.watched.deletes.lock().unwrap();
        (std::mem::take(&mut deletes.asked), std::mem::take(&mut deletes.freed))
    }
}

/// Waits until no pass is due or under way.
#[track_caller]
pub(crate) fn settle(attachment: &Attachment) {
    eventually("the pass ends", || attachment.is_idle());
}

/// Asks for a pass and waits for it to end.
#[track_caller]
pub(crate) fn pass(attachment: &Attachment) {
    attachment.wake();
    settle(attachment);
}

/// Waits until `holds`, for a thread of somebody else to get there.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::yield_now();
    }
}

/// The keys with these numbers.
pub(crate) fn keys(numbers: impl IntoIterator<Item = u64>) -> Vec<ObjectKey> {
    numbers.into_iter().map(fixtures::key).collect()
}
