//! An adapter in memory that keeps the whole contract: to try the suite on, and for tests of what uses an adapter.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use l2_memory::{Lease, SharedLease};

use super::memory_index::{MemoryIndex, MemoryStorage, Pinned, Reserved};
use crate::adapter::L2Adapter;
use crate::batch::{Batch, ItemSlot, Outcome};
use crate::error::{ErrorKind, L2Error};
use crate::events::EventFds;
use crate::key::ObjectKey;
use crate::listener::{L2Listener, Listeners};
use crate::report::{
    DeleteReport, Deleted, LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, StoreItem, StoreOutcome,
    StoreReport, Stored,
};
use crate::task::Task;
use crate::usage::{AdapterStatus, Usage};

/// One item for the worker. An item that is dropped reports itself as lost.
enum Work {
    Store(StoreItem, ItemSlot<StoreOutcome>),
    Lookup(ObjectKey, ItemSlot<Looked>),
    Load(LoadItem, ItemSlot<LoadOutcome>),
    Stop,
}

struct Shared {
    index: Mutex<MemoryIndex>,
    listeners: Listeners,
    events: OnceLock<EventFds>,
    next_task: AtomicU64,
    tasks_in_flight: AtomicU64,
}

/// An adapter whose storage is memory. Hits are answered on the caller's thread, all else on one worker's, so that
/// tasks really end elsewhere. No eviction.
///
/// Lock order: index, then storage; neither is held while bytes are copied or listeners are called.
pub struct MemoryAdapter {
    shared: Arc<Shared>,
    queue: Sender<Work>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl MemoryAdapter {
    /// An empty one, for at most `capacity_bytes`.
    ///
    /// # Errors
    /// When the process can have no more threads.
    pub fn new(capacity_bytes: u64) -> Result<Self, L2Error> {
        Self::open(MemoryStorage::default(), capacity_bytes)
    }

    /// One over what is on `storage` already: it counts as used, and is found by lookups.
    ///
    /// # Errors
    /// When the process can have no more threads.
    pub fn open(storage: MemoryStorage, capacity_bytes: u64) -> Result<Self, L2Error> {
        let shared = Arc::new(Shared {
            index: Mutex::new(MemoryIndex::open(storage, capacity_bytes)),
            listeners: Listeners::default(),
            events: OnceLock::new(),
            next_task: AtomicU64::new(0),
            tasks_in_flight: AtomicU64::new(0),
        });
        let (queue, work) = mpsc::channel();
        let worker = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("l2-memory-0".into()).spawn(move || shared.work(&work)).map_err(
                |error| L2Error::new(ErrorKind::Io, "cannot start the worker thread").with_source(error),
            )?
        };
        Ok(Self { shared, queue, worker: Mutex::new(Some(worker)) })
    }

    /// A task whose items report to the slots; `report` makes its result of their outcomes.
    fn task<O: Outcome, R: Send + 'static>(
        &self,
        items: usize,
        event: fn(&EventFds) -> BorrowedFd<'_>,
        abandon: Option<Arc<dyn Fn(R) + Send + Sync>>,
        report: impl FnOnce(&Shared, Vec<O>) -> R + Send + 'static,
    ) -> (Task<R>, Vec<ItemSlot<O>>) {
        let shared = Arc::clone(&self.shared);
        let (task, completer) = Task::pair(shared.next_task.fetch_add(1, Ordering::Relaxed), abandon);
        shared.tasks_in_flight.fetch_add(1, Ordering::Relaxed);
        let slots = Batch::collect(items, move |outcomes| {
            let report = report(&shared, outcomes);
            shared.tasks_in_flight.fetch_sub(1, Ordering::Relaxed);
            completer.complete(report);
            if let Some(events) = shared.events.get() {
                EventFds::raise(event(events));
            }
        });
        (task, slots)
    }

    fn hand_over(&self, work: Work) {
        // Without a worker it is dropped, which ends it as closed.
        drop(self.queue.send(work));
    }
}

impl L2Adapter for MemoryAdapter {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        let keys: Vec<ObjectKey> = batch.iter().map(|item| item.key.clone()).collect();
        let report = move |shared: &Shared, outcomes: Vec<StoreOutcome>| {
            shared.tell_stored(&keys, &outcomes);
            StoreReport { outcomes }
        };
        let (task, slots) = self.task(batch.len(), EventFds::store, None, report);
        for (item, slot) in batch.into_iter().zip(slots) {
            let reserved = self.shared.index().reserve(&item.key, item.memory.len() as u64);
            match reserved {
                Reserved::Write { replaced } => {
                    if let Some(bytes) = replaced {
                        self.shared.tell_deleted(&[(item.key.clone(), bytes)]);
                    }
                    self.hand_over(Work::Store(item, slot));
                }
                Reserved::Nothing(result) => slot.finish(StoreOutcome { result, memory: Some(item.memory) }),
            }
        }
        task
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        let shared = Arc::clone(&self.shared);
        let abandon = Arc::new(move |report: LookupReport| {
            report.hits().for_each(|(key, _)| shared.index().unpin(key));
        });
        let asked = keys.clone();
        let report = move |shared: &Shared, answers| {
            let report = LookupReport { keys: asked, answers };
            shared.tell_accessed(|| report.hits().map(|(key, _)| key.clone()).collect());
            report
        };
        let (task, slots) = self.task(keys.len(), EventFds::lookup, Some(abandon), report);
        for (key, slot) in keys.into_iter().zip(slots) {
            let pinned = self.shared.index().pin(&key);
            match pinned {
                Pinned::Hit(bytes) => slot.finish(Looked::Hit { bytes }),
                Pinned::AskStorage => self.hand_over(Work::Lookup(key, slot)),
                Pinned::Closed => slot.finish(Looked::Miss(L2Error::closed().with_key(&key))),
            }
        }
        task
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        let keys: Vec<ObjectKey> = batch.iter().map(|item| item.key.clone()).collect();
        let report = move |shared: &Shared, outcomes: Vec<LoadOutcome>| {
            let loaded =
                |(key, outcome): (&ObjectKey, &LoadOutcome)| outcome.result.is_ok().then(|| key.clone());
            shared.tell_accessed(|| keys.iter().zip(&outcomes).filter_map(loaded).collect());
            LoadReport { outcomes }
        };
        let (task, slots) = self.task(batch.len(), EventFds::load, None, report);
        let closed = self.shared.index().is_closed();
        for (item, slot) in batch.into_iter().zip(slots) {
            if closed {
                let result = Err(L2Error::closed().with_key(&item.key));
                slot.finish(LoadOutcome { result, memory: Some(item.memory) });
            } else {
                self.hand_over(Work::Load(item, slot));
            }
        }
        task
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        let mut index = self.shared.index();
        keys.iter().for_each(|key| index.unpin(key));
    }

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        let answers: Vec<Deleted> = {
            let mut index = self.shared.index();
            keys.iter().map(|key| index.remove(key)).collect()
        };
        let freed = |(key, answer): (&ObjectKey, &Deleted)| match answer {
            Deleted::Freed { bytes } => Some((key.clone(), *bytes)),
            _ => None,
        };
        self.shared.tell_deleted(&keys.iter().zip(&answers).filter_map(freed).collect::<Vec<_>>());
        DeleteReport { answers }
    }

    fn usage(&self) -> Usage {
        self.shared.index().usage()
    }

    fn status(&self) -> AdapterStatus {
        let mut status = AdapterStatus::new("memory", "memory");
        status.tasks_in_flight = self.shared.tasks_in_flight.load(Ordering::Relaxed);
        let index = self.shared.index();
        status.healthy = !index.is_closed();
        (status.stored_objects, status.pinned_objects) = index.counts();
        status.usage = index.usage();
        status.healed_objects = index.healed();
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        if let Some(events) = self.shared.events.get() {
            return Ok(events);
        }
        let made = EventFds::new()?;
        // Of two first calls at once, one's are kept.
        Ok(self.shared.events.get_or_init(|| made))
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.shared.listeners.add(Arc::clone(&listener));
        let there = self.shared.index().objects();
        if !there.is_empty() {
            Listeners::tell_one(&*listener, |listener| listener.on_stored(&there, true));
        }
    }

    fn close(&self) -> Result<(), L2Error> {
        if !self.shared.index().close() {
            // What was handed over before this is worked off first.
            self.hand_over(Work::Stop);
        }
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        match worker {
            // A listener that closes the adapter, or drops the last reference to it, is on the worker's own thread.
            Some(worker) if worker.thread().id() != thread::current().id() => worker
                .join()
                .map_err(|_| L2Error::new(ErrorKind::Bug, "the worker of the adapter in memory panicked")),
            _ => Ok(()),
        }
    }
}

impl Drop for MemoryAdapter {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing");
        }
    }
}

impl fmt::Debug for MemoryAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryAdapter").field(&self.usage()).finish()
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, MemoryIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker's life.
    fn work(&self, queue: &Receiver<Work>) {
        while let Ok(work) = queue.recv() {
            match work {
                Work::Store(item, slot) => slot.finish(self.store(item)),
                Work::Lookup(key, slot) => slot.finish(self.look_up(&key)),
                Work::Load(item, slot) => slot.finish(self.load(item)),
                Work::Stop => return,
            }
        }
    }

    fn store(&self, item: StoreItem) -> StoreOutcome {
        let result = bytes_of_store(&item.memory).map(|bytes| {
            let stored = Stored::Written { bytes: bytes.len() as u64 };
            self.index().publish(&item.key, bytes);
            stored
        });
        if result.is_err() {
            self.index().forget(&item.key);
        }
        StoreOutcome { result, memory: Some(item.memory) }
    }

    fn look_up(&self, key: &ObjectKey) -> Looked {
        let found = self.index().recover(key);
        match found {
            Some((bytes, new)) => {
                if new {
                    self.listeners.tell(|listener| listener.on_stored(&[(key.clone(), bytes)], true));
                }
                Looked::Hit { bytes }
            }
            None => Looked::Miss(L2Error::not_found().with_key(key)),
        }
    }

    fn load(&self, mut item: LoadItem) -> LoadOutcome {
        let read = self.index().read(&item.key, item.memory.len() as u64);
        let result = match read {
            Ok(bytes) => fill_lease(&mut item.memory, &bytes),
            Err((error, dropped)) => {
                if let Some(bytes) = dropped {
                    self.tell_deleted(&[(item.key, bytes)]);
                }
                Err(error)
            }
        };
        LoadOutcome { result, memory: Some(item.memory) }
    }

    fn tell_stored(&self, keys: &[ObjectKey], outcomes: &[StoreOutcome]) {
        let written = |(key, outcome): (&ObjectKey, &StoreOutcome)| match outcome.result {
            Ok(Stored::Written { bytes }) => Some((key.clone(), bytes)),
            _ => None,
        };
        if !self.listeners.is_empty() {
            let written: Vec<_> = keys.iter().zip(outcomes).filter_map(written).collect();
            if !written.is_empty() {
                self.listeners.tell(|listener| listener.on_stored(&written, false));
            }
        }
    }

    fn tell_accessed(&self, keys: impl FnOnce() -> Vec<ObjectKey>) {
        if !self.listeners.is_empty() {
            let keys = keys();
            if !keys.is_empty() {
                self.listeners.tell(|listener| listener.on_accessed(&keys));
            }
        }
    }

    fn tell_deleted(&self, objects: &[(ObjectKey, u64)]) {
        if !objects.is_empty() {
            self.listeners.tell(|listener| listener.on_deleted(objects));
        }
    }
}

fn not_dram() -> L2Error {
    L2Error::new(ErrorKind::Unsupported, "the adapter in memory cannot reach this memory; lease main memory")
}

fn bytes_of_store(memory: &SharedLease) -> Result<Arc<[u8]>, L2Error> {
    memory.as_slice().map(Arc::from).ok_or_else(not_dram)
}

fn fill_lease(memory: &mut Lease, bytes: &[u8]) -> Result<u64, L2Error> {
    let lease = memory.as_mut_slice().filter(|lease| lease.len() == bytes.len()).ok_or_else(not_dram)?;
    lease.copy_from_slice(bytes);
    Ok(bytes.len() as u64)
}
