//! An adapter over the real index whose deletes can be watched and made to fail, and shorthand for what a host does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use l2_core::memory::{Region, SharedLease};
use l2_core::testing::fixtures;
use l2_core::{
    ErrorKind, KeyHasherBuilder, L2Adapter, L2Error, LoadItem, LookupReport, ObjectKey, StoreItem,
    StoreReport,
};
use l2_evict::{Attachment, Controller, Lru, Watermark};
use l2_index::testing::IndexAdapter;
use l2_index::{Index, PinTerms};

/// Length of every object.
pub(crate) const BYTES: u64 = 100;

/// A watermark in a world that is never full: only stores that do not fit evict.
pub(crate) const NEVER: f64 = 1.0;

/// How long a test waits for anything before it fails.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) type Keys = HashSet<ObjectKey, KeyHasherBuilder>;

/// What was deleted, and what goes wrong there.
#[derive(Debug, Default)]
pub(crate) struct Deletes {
    /// Every key that was to be deleted, in order.
    pub(crate) asked: Vec<ObjectKey>,
    /// Of these, what was freed.
    pub(crate) freed: Vec<ObjectKey>,
    /// Keys whose deletion fails.
    pub(crate) fails: Keys,
    /// All deletions fail.
    pub(crate) all_fail: bool,
    /// Keys whose deletion panics.
    pub(crate) panics: Keys,
    /// Deletions wait here while somebody holds it.
    pub(crate) gate: Arc<Mutex<()>>,
    /// How many wait there.
    pub(crate) at_gate: usize,
}

impl Deletes {
    fn delete(deletes: &Mutex<Self>, key: &ObjectKey) -> Result<(), L2Error> {
        let gate = {
            let mut deletes = deletes.lock().unwrap();
            deletes.at_gate += 1;
            Arc::clone(&deletes.gate)
        };
        drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
        let (fails, panics) = {
            let mut deletes = deletes.lock().unwrap();
            deletes.at_gate -= 1;
            deletes.asked.push(key.clone());
            (deletes.all_fail || deletes.fails.contains(key), deletes.panics.contains(key))
        };
        assert!(!panics, "asked for by the test");
        if fails {
            return Err(L2Error::new(ErrorKind::Io, "asked for by the test").with_key(key));
        }
        deletes.lock().unwrap().freed.push(key.clone());
        Ok(())
    }
}

/// A host with an adapter behind it.
pub(crate) struct World {
    pub(crate) adapter: Arc<dyn L2Adapter>,
    pub(crate) index: Arc<Index>,
    pub(crate) deletes: Arc<Mutex<Deletes>>,
    /// What every store stores.
    memory: SharedLease,
    l1: Region,
}

impl World {
    /// An adapter with room for this many objects.
    pub(crate) fn new(objects: u64) -> Self {
        Self::with_pins(objects, PinTerms::default())
    }

    /// One that is never quite full, with room for this many and a half: its usage never reaches a watermark of 1.
    pub(crate) fn never_full(objects: u64) -> Self {
        Self::of(objects * BYTES + BYTES / 2, PinTerms::default())
    }

    /// One whose pins end by themselves.
    pub(crate) fn with_pins(objects: u64, pins: PinTerms) -> Self {
        Self::of(objects * BYTES, pins)
    }

    fn of(capacity_bytes: u64, pins: PinTerms) -> Self {
        let deletes = Arc::new(Mutex::new(Deletes::default()));
        let index = Arc::new(Index::with_pins(capacity_bytes, pins));
        let watched = Arc::clone(&deletes);
        let adapter =
            IndexAdapter::new(Arc::clone(&index), move |key: &ObjectKey| Deletes::delete(&watched, key));
        let l1 = Region::allocate(8192).unwrap();
        let memory = l1.lease(0, usize::try_from(BYTES).unwrap()).unwrap().freeze();
        Self { adapter: Arc::new(adapter), index, deletes, memory, l1 }
    }

    /// Attaches it with an [`Lru`], and waits for the first pass to end.
    pub(crate) fn attach(&self, to: &Controller, trigger: f64, ratio: f64) -> Attachment {
        let watermark = Watermark::new(trigger, ratio).unwrap();
        let attachment = to.attach(&*self.adapter, Box::new(Lru::new()), watermark);
        settle(&attachment);
        attachment
    }

    /// Stores one batch.
    pub(crate) fn store(&self, keys: &[ObjectKey]) -> StoreReport {
        let item = |key: &ObjectKey| StoreItem { key: key.clone(), memory: self.memory.clone() };
        self.adapter.submit_store(keys.iter().map(item).collect()).wait(LIMIT).unwrap()
    }

    /// Stores one object of another length.
    pub(crate) fn store_of(&self, key: &ObjectKey, bytes: u64) -> StoreReport {
        let memory = self.l1.lease(4096, usize::try_from(bytes).unwrap()).unwrap().freeze();
        self.adapter.submit_store(vec![StoreItem { key: key.clone(), memory }]).wait(LIMIT).unwrap()
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

    /// Looks keys up, and gives the pins back.
    pub(crate) fn touch(&self, keys: &[ObjectKey]) {
        let report = self.pin(keys);
        let hits: Vec<ObjectKey> = report.hits().map(|(key, _)| key.clone()).collect();
        self.adapter.unlock(&hits);
    }

    /// Whether the key can be looked up. No use of it.
    pub(crate) fn has(&self, key: &ObjectKey) -> bool {
        self.index.get(key).is_some_and(|entry| entry.state == l2_index::EntryState::Resident)
    }

    /// Of the keys 0 to `below`, those that can be looked up.
    pub(crate) fn there(&self, below: u64) -> Vec<u64> {
        (0..below).filter(|number| self.has(&fixtures::key(*number))).collect()
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
        let mut deletes = self.deletes.lock().unwrap();
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
