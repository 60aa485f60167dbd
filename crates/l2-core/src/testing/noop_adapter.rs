//! An adapter that stores nothing: the floor under every bench of an adapter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::adapter::L2Adapter;
use crate::error::{ErrorKind, L2Error};
use crate::events::EventFds;
use crate::evictable::{Candidate, Evictable, Evicted, Releases, RoomMaker, ScanCursor, Shown, Stamp};
use crate::key::ObjectKey;
use crate::listener::L2Listener;
use crate::report::{
    DeleteReport, Deleted, LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, StoreItem, StoreOutcome,
    StoreReport,
};
use crate::task::{Task, TaskId};
use crate::tasks::{TaskKind, Tasks};
use crate::usage::{AdapterStatus, SaltUsage, Usage};

/// An adapter without capacity: every store is rejected, every lookup and load a miss, at once and on the caller's
/// thread. What a batch costs here is what the contract itself costs.
#[derive(Debug, Default)]
pub struct NoopAdapter {
    tasks: Arc<Tasks>,
    closed: AtomicBool,
}

impl NoopAdapter {
    /// One that is open.
    pub fn new() -> Self {
        Self::default()
    }

    fn done<R>(&self, kind: TaskKind, report: R) -> Task<R> {
        let (task, ending) = self.tasks.begin(self.tasks.next_id(), kind, None);
        ending.end(report);
        task
    }

    /// What is said of each key.
    fn error(&self, open: impl FnOnce() -> L2Error, key: &ObjectKey) -> L2Error {
        let error = if self.closed.load(Ordering::Relaxed) { L2Error::closed() } else { open() };
        error.with_key(key)
    }
}

impl L2Adapter for NoopAdapter {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        let full = || L2Error::new(ErrorKind::Full, "this adapter stores nothing");
        let outcomes = batch.into_iter().map(|item| {
            let result = Err(self.error(full, &item.key));
            StoreOutcome { result, memory: Some(item.memory) }
        });
        self.done(TaskKind::Store, StoreReport { outcomes: outcomes.collect() })
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        let answers = keys.iter().map(|key| Looked::Miss(self.error(L2Error::not_found, key))).collect();
        self.done(TaskKind::Lookup, LookupReport { keys, answers })
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        let outcomes = batch.into_iter().map(|item| {
            let result = Err(self.error(L2Error::not_found, &item.key));
            LoadOutcome { result, memory: Some(item.memory) }
        });
        self.done(TaskKind::Load, LoadReport { outcomes: outcomes.collect() })
    }

    fn unlock(&self, _keys: &[ObjectKey]) {}

    fn unlock_task(&self, _task: TaskId, _keys: &[ObjectKey]) {}

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        DeleteReport { answers: keys.iter().map(|_| Deleted::Absent).collect() }
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn status(&self) -> AdapterStatus {
        let mut status = AdapterStatus::new("noop", "none");
        status.healthy = !self.closed.load(Ordering::Relaxed);
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.tasks.event_fds()
    }

    fn add_listener(&self, _listener: Arc<dyn L2Listener>) {}

    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::new(Nothing)
    }

    fn close(&self) -> Result<(), L2Error> {
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Nothing that could go.
#[derive(Debug)]
struct Nothing;

impl Evictable for Nothing {
    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn objects(&self) -> u64 {
        0
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        Vec::new()
    }

    fn releases(&self) -> Releases {
        Releases { count: 0, oldest: Stamp::default() }
    }

    fn scan(&self, _: ScanCursor, _: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        None
    }

    fn condemn(&self, _: &[Candidate]) -> Vec<Candidate> {
        Vec::new()
    }

    fn pardon(&self, _: &[Candidate]) {}

    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        condemned.iter().map(|_| Evicted::Spared).collect()
    }

    fn mark_reused(&self, _: &[ObjectKey]) {}

    fn set_room_maker(&self, _: Arc<dyn RoomMaker>) {}

    fn unset_room_maker(&self, _: &dyn RoomMaker) {}
}
