//! An adapter in memory that keeps the whole contract: to try the suite on, and for tests of what uses an adapter.

use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use l2_memory::{Lease, SharedLease};

use super::memory_index::{MemoryIndex, Pinned, Reserved};
use super::memory_storage::MemoryStorage;
use crate::adapter::L2Adapter;
use crate::batch::ItemSlot;
use crate::desk::Desk;
use crate::error::{ErrorKind, L2Error};
use crate::events::EventFds;
use crate::evictable::{Candidate, Evictable, Evicted, Releases, RoomMaker, ScanCursor, Shown, Stamp};
use crate::key::ObjectKey;
use crate::listener::L2Listener;
use crate::report::{
    DeleteReport, Deleted, LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, StoreItem, StoreOutcome,
    StoreReport, Stored,
};
use crate::task::{Task, TaskId};
use crate::usage::{AdapterStatus, SaltUsage, Usage};

/// One item for the worker. An item that is dropped reports itself as lost.
enum Work {
    Store(StoreItem, ItemSlot<StoreOutcome>),
    Lookup(Asked, ItemSlot<Looked>),
    Load(LoadItem, Stamp, ItemSlot<LoadOutcome>),
    Stop,
}

/// A key that a lookup asks the storage for.
struct Asked {
    key: ObjectKey,
    owner: TaskId,
    used: Stamp,
}

struct Shared {
    index: Arc<Mutex<MemoryIndex>>,
    desk: Arc<Desk>,
}

/// An adapter whose storage is memory. Hits are answered on the caller's thread, all else on one worker's, so that
/// tasks really end elsewhere. Nothing goes by itself.
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
        let index = Arc::new(Mutex::new(MemoryIndex::open(storage, capacity_bytes)));
        let pinned = Arc::clone(&index);
        let desk = Desk::new(move |task, keys| {
            let mut index = lock(&pinned);
            keys.iter().for_each(|key| index.unpin(key, Some(task)));
        });
        let shared = Arc::new(Shared { index, desk: Arc::new(desk) });
        let (queue, work) = mpsc::channel();
        let worker = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("l2-memory-0".into()).spawn(move || shared.work(&work)).map_err(
                |error| L2Error::new(ErrorKind::Io, "cannot start the worker thread").with_source(error),
            )?
        };
        Ok(Self { shared, queue, worker: Mutex::new(Some(worker)) })
    }

    fn hand_over(&self, work: Work) {
        // Without a worker it is dropped, which ends it as closed.
        drop(self.queue.send(work));
    }
}

impl L2Adapter for MemoryAdapter {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        let (task, items) = self.shared.desk.store_task(batch, |bytes| bytes);
        let stamps = self.shared.index().stamps(items.len());
        for ((slot, item), used) in items.into_iter().zip(stamps) {
            let reserved = self.shared.desk.with_room(
                item.key.scope(),
                || match self.shared.index().reserve(&item.key, item.memory.len() as u64, used) {
                    Reserved::Full { missing, error } => Err((missing, error)),
                    reserved => Ok(reserved),
                },
                |(missing, _)| Some(*missing),
            );
            match reserved {
                Ok(Reserved::Write { replaced }) => {
                    if let Some(bytes) = replaced {
                        self.shared.desk.tell_deleted(&[(item.key.clone(), bytes)]);
                    }
                    self.hand_over(Work::Store(item, slot));
                }
                Ok(Reserved::Nothing(result)) => {
                    slot.finish(StoreOutcome { result, memory: Some(item.memory) });
                }
                Ok(Reserved::Full { error, .. }) | Err((_, error)) => {
                    slot.finish(StoreOutcome { result: Err(error), memory: Some(item.memory) });
                }
            }
        }
        task
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        let mut owner = 0;
        let ask = |task: TaskId, keys: &[ObjectKey]| {
            owner = task;
            let mut index = self.shared.index();
            let stamps = index.stamps(keys.len());
            let ask = |(key, used)| match index.pin(key, task, used) {
                Pinned::Hit(bytes) => Some(Looked::Hit { bytes }),
                Pinned::AskStorage => None,
                Pinned::Closed => Some(Looked::Miss(L2Error::closed().with_key(key))),
            };
            keys.iter().zip(stamps).map(ask).collect()
        };
        let (task, unknown) = self.shared.desk.lookup_task(keys, ask);
        let stamps = self.shared.index().stamps(unknown.len());
        for ((slot, key), used) in unknown.into_iter().zip(stamps) {
            self.hand_over(Work::Lookup(Asked { key, owner, used }, slot));
        }
        task
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        let (task, items) = self.shared.desk.load_task(batch);
        let (closed, stamps) = {
            let mut index = self.shared.index();
            (index.is_closed(), index.stamps(items.len()))
        };
        for ((slot, item), used) in items.into_iter().zip(stamps) {
            if closed {
                let result = Err(L2Error::closed().with_key(&item.key));
                slot.finish(LoadOutcome { result, memory: Some(item.memory) });
            } else {
                self.hand_over(Work::Load(item, used, slot));
            }
        }
        task
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        let mut index = self.shared.index();
        keys.iter().for_each(|key| index.unpin(key, None));
    }

    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]) {
        let mut index = self.shared.index();
        keys.iter().for_each(|key| index.unpin(key, Some(task)));
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
        self.shared.desk.tell_deleted(&keys.iter().zip(&answers).filter_map(freed).collect::<Vec<_>>());
        DeleteReport { answers }
    }

    fn usage(&self) -> Usage {
        self.shared.index().usage()
    }

    fn status(&self) -> AdapterStatus {
        let mut status = AdapterStatus::new("memory", "memory");
        status.tasks_in_flight = self.shared.desk.tasks_in_flight();
        let index = self.shared.index();
        status.healthy = !index.is_closed();
        (status.stored_objects, status.pinned_objects) = index.counts();
        status.usage = index.usage();
        status.healed_objects = index.healed();
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.shared.desk.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.shared.desk.add_listener(listener, || self.shared.index().objects());
    }

    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::clone(&self.shared) as Arc<dyn Evictable>
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
        lock(&self.index)
    }

    /// The worker's life.
    fn work(&self, queue: &Receiver<Work>) {
        while let Ok(work) = queue.recv() {
            match work {
                Work::Store(item, slot) => slot.finish(self.store(item)),
                Work::Lookup(asked, slot) => slot.finish(self.look_up(&asked)),
                Work::Load(item, used, slot) => slot.finish(self.load(item, used)),
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

    fn look_up(&self, asked: &Asked) -> Looked {
        let Asked { key, owner, used } = asked;
        let found = self.index().recover(key, *owner, *used);
        match found {
            Some((bytes, new)) => {
                if new {
                    self.desk.tell_recovered(&[(key.clone(), bytes)]);
                }
                Looked::Hit { bytes }
            }
            None => Looked::Miss(L2Error::not_found().with_key(key)),
        }
    }

    fn load(&self, mut item: LoadItem, used: Stamp) -> LoadOutcome {
        let read = self.index().read(&item.key, item.memory.len() as u64, used);
        let result = match read {
            Ok(bytes) => fill_lease(&mut item.memory, &bytes),
            Err((error, dropped)) => {
                if let Some(bytes) = dropped {
                    self.desk.tell_deleted(&[(item.key, bytes)]);
                }
                Err(error)
            }
        };
        LoadOutcome { result, memory: Some(item.memory) }
    }
}

impl Evictable for Shared {
    fn usage(&self) -> Usage {
        self.index().usage()
    }

    fn objects(&self) -> u64 {
        self.index().counts().0
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        self.index().usage_by_salt()
    }

    fn releases(&self) -> Releases {
        // Who chooses has to look each time.
        Releases { count: self.index().releases(), oldest: Stamp::default() }
    }

    fn scan(&self, _: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        let candidates = self.index().candidates();
        for (key, candidate) in &candidates {
            visit(Shown { scope: key.scope(), chunk_hash: key.chunk_hash() }, candidate);
        }
        None
    }

    fn list(&self, _: ScanCursor) -> (Vec<(ObjectKey, u64)>, Option<ScanCursor>) {
        (self.index().objects(), None)
    }

    fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate> {
        let mut index = self.index();
        victims.iter().copied().filter(|candidate| index.condemn(candidate)).collect()
    }

    fn pardon(&self, condemned: &[Candidate]) {
        let mut index = self.index();
        condemned.iter().for_each(|candidate| index.pardon(candidate));
    }

    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        let evict = |candidate: &Candidate| {
            let removed = self.index().evict(candidate);
            match removed {
                Some((key, Deleted::Freed { bytes })) => {
                    self.desk.tell_deleted(&[(key, bytes)]);
                    Evicted::Freed { bytes }
                }
                Some((_, Deleted::Failed(error))) => Evicted::Failed(error),
                _ => Evicted::Spared,
            }
        };
        condemned.iter().map(evict).collect()
    }

    fn mark_reused(&self, keys: &[ObjectKey]) {
        let mut index = self.index();
        keys.iter().for_each(|key| index.mark_reused(key));
    }

    fn set_room_maker(&self, maker: Arc<dyn RoomMaker>) {
        self.desk.set_room_maker(maker);
    }

    fn unset_room_maker(&self, maker: &dyn RoomMaker) {
        self.desk.unset_room_maker(maker);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.index().usage()).finish()
    }
}

fn lock(index: &Mutex<MemoryIndex>) -> MutexGuard<'_, MemoryIndex> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
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
