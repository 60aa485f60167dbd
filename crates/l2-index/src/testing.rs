//! An adapter without storage, for tests and benches of what lies above an index: its objects are their keys and lengths.

use std::fmt;
use std::sync::Arc;

use l2_core::{
    AdapterStatus, DeleteReport, Deleted, Desk, EventFds, Evictable, L2Adapter, L2Error, L2Listener,
    LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, ObjectKey, StoreItem, StoreOutcome, StoreReport,
    Stored, Task, TaskId, Usage,
};

use crate::{BeginDelete, Deletion, Index, Pin, Read, Reserve, Residents, Storage};

type Free = Box<dyn Fn(&ObjectKey) -> Result<(), L2Error> + Send + Sync>;

/// Every call is answered on the caller's thread: a store is written, and a load read, at once, and no byte moves.
#[derive(Debug)]
pub struct IndexAdapter {
    inner: Arc<Inner>,
    residents: Arc<Residents<Inner>>,
}

struct Inner {
    index: Arc<Index>,
    desk: Arc<Desk>,
    free: Free,
}

impl IndexAdapter {
    /// An adapter over this index. `free` stands for what frees the storage of an object, and may fail.
    pub fn new(
        index: Arc<Index>,
        free: impl Fn(&ObjectKey) -> Result<(), L2Error> + Send + Sync + 'static,
    ) -> Self {
        let pinned = Arc::clone(&index);
        let desk = Desk::new(move |task, keys| {
            pinned.unpin_batch(keys, Some(task));
        });
        let inner = Arc::new(Inner { index, desk: Arc::new(desk), free: Box::new(free) });
        let residents = Residents::of(&inner);
        Self { inner, residents }
    }

    /// The index.
    pub fn index(&self) -> &Arc<Index> {
        &self.inner.index
    }
}

impl Inner {
    fn store(&self, item: &StoreItem, used: l2_core::Stamp) -> Result<Stored, L2Error> {
        let bytes = item.memory.len() as u64;
        let reserve = || match self.index.reserve(&item.key, bytes, used) {
            Reserve::Full { needed, used, capacity } => Err(used.saturating_add(needed) - capacity),
            other => Ok(other),
        };
        match self.desk.with_room(item.key.scope(), reserve, |missing| Some(*missing)) {
            Ok(Reserve::Reserved(reservation)) => {
                reservation.commit();
                Ok(Stored::Written { bytes })
            }
            Ok(_) => Ok(Stored::AlreadyPresent),
            Err(missing) => {
                let what = format!("{missing} bytes are missing");
                Err(L2Error::new(l2_core::ErrorKind::Full, what).with_key(&item.key))
            }
        }
    }
}

impl L2Adapter for IndexAdapter {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        let stamps = self.inner.index.stamps(batch.len());
        let (task, items) = self.inner.desk.store_task(batch, |bytes| bytes);
        for ((slot, item), used) in items.into_iter().zip(stamps) {
            let result = self.inner.store(&item, used);
            slot.finish(StoreOutcome { result, memory: Some(item.memory) });
        }
        task
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        let known = |answer| match answer {
            Pin::Hit { bytes } => Some(Looked::Hit { bytes }),
            _ => Some(Looked::Miss(L2Error::not_found())),
        };
        let ask = |task: TaskId, keys: &[ObjectKey]| {
            self.inner.index.pin_batch(keys, task).into_iter().map(known).collect()
        };
        self.inner.desk.lookup_task(keys, ask).0
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        let stamps = self.inner.index.stamps(batch.len());
        let (task, items) = self.inner.desk.load_task(batch);
        for ((slot, item), used) in items.into_iter().zip(stamps) {
            let result = match self.inner.index.read(&item.key, used) {
                Read::Started(reader) => Ok(reader.bytes()),
                _ => Err(L2Error::not_found().with_key(&item.key)),
            };
            slot.finish(LoadOutcome { result, memory: Some(item.memory) });
        }
        task
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        self.inner.index.unpin_batch(keys, None);
    }

    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]) {
        self.inner.index.unpin_batch(keys, Some(task));
    }

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        let delete = |key| match self.inner.index.begin_delete(key) {
            BeginDelete::Started(deletion) => match self.inner.free(deletion) {
                Ok(bytes) => Deleted::Freed { bytes },
                Err(error) => Deleted::Failed(error),
            },
            BeginDelete::Absent => Deleted::Absent,
            _ => Deleted::Busy,
        };
        DeleteReport { answers: keys.iter().map(delete).collect() }
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn status(&self) -> AdapterStatus {
        let mut status = AdapterStatus::new("index", "none");
        let sums = self.inner.index.snapshot();
        status.stored_objects = sums.objects;
        status.pinned_objects = sums.pinned_objects;
        status.expired_pins = sums.expired_pins;
        status.usage = self.usage();
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.inner.desk.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.inner.desk.add_listener(listener, || self.inner.index.residents().collect());
    }

    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::clone(&self.residents) as Arc<dyn Evictable>
    }

    fn close(&self) -> Result<(), L2Error> {
        self.inner.desk.close();
        Ok(())
    }
}

impl Storage for Inner {
    type Value = ();

    fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn usage(&self) -> Usage {
        Usage { used_bytes: self.index.used_bytes(), capacity_bytes: self.index.capacity_bytes() }
    }

    fn free(&self, deletion: Deletion) -> Result<u64, L2Error> {
        let (key, bytes) = (deletion.key().clone(), deletion.bytes());
        (self.free)(&key)?;
        deletion.finish();
        self.desk.tell_deleted(&[(key, bytes)]);
        Ok(bytes)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inner").field(&self.index).finish()
    }
}
