//! The adapter in memory with a fault around it. Each task of the inner one is waited for on the caller's thread.

use std::any::Any;
use std::os::fd::BorrowedFd;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use l2_core::testing::MemoryAdapter;
use l2_core::{
    AdapterStatus, DeleteReport, Deleted, ErrorKind, EventFds, Evictable, KeyScope, L2Adapter, L2Error,
    L2Listener, LoadItem, LoadReport, Looked, LookupReport, ObjectKey, StoreItem, StoreOutcome, StoreReport,
    Stored, Task, TaskId, Usage,
};

use super::Fault::{self, *};
use super::evictable::FaultyEvictable;
use super::hub::{Hub, WhatIsThere};

type Abandon<R> = Option<Arc<dyn Fn(R) + Send + Sync>>;
type Finish = Box<dyn FnOnce() + Send>;

pub(super) struct Faulty {
    fault: Fault,
    inner: Arc<MemoryAdapter>,
    capacity: u64,
    used_at_first: u64,
    leaked: AtomicU64,
    closed: AtomicBool,
    events: OnceLock<EventFds>,
    /// What ends the tasks that are held until the close.
    held: Mutex<Vec<Finish>>,
    /// Leases that are never given back.
    kept: Mutex<Vec<Box<dyn Any + Send>>>,
    /// Keys that a fault remembers.
    remembered: Mutex<Vec<ObjectKey>>,
    hub: Arc<Hub>,
    evictable: Arc<FaultyEvictable>,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Faulty({:?})", self.fault)
    }
}

/// The result of one of the inner adapter's tasks, and its number.
fn done<R>(task: Task<R>) -> (TaskId, R) {
    (task.id(), task.wait(Duration::from_secs(30)).unwrap())
}

impl Faulty {
    pub(super) fn new(fault: Fault, inner: Arc<MemoryAdapter>, capacity: u64) -> Self {
        let hub = Arc::new(Hub { fault, adapter: Arc::downgrade(&inner), listeners: Mutex::default() });
        inner.add_listener(Arc::clone(&hub) as Arc<dyn L2Listener>);
        Self {
            fault,
            capacity,
            used_at_first: inner.usage().used_bytes,
            leaked: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            events: OnceLock::new(),
            held: Mutex::default(),
            kept: Mutex::default(),
            remembered: Mutex::default(),
            hub,
            evictable: Arc::new(FaultyEvictable::new(fault, &inner)),
            inner,
        }
    }

    fn events(&self) -> &EventFds {
        static OF_ALL: OnceLock<EventFds> = OnceLock::new();
        let events = if self.fault == SharesEventsWithOthers { &OF_ALL } else { &self.events };
        events.get_or_init(|| EventFds::new().unwrap())
    }

    /// A task that has ended, unless the fault has it otherwise.
    fn end<R: Send + 'static>(
        &self,
        (id, report): (TaskId, R),
        event: fn(&EventFds) -> BorrowedFd<'_>,
        abandon: Abandon<R>,
    ) -> Task<R> {
        let (task, completer) = Task::pair(if self.fault == NumbersAllTasks0 { 0 } else { id }, abandon);
        match self.fault {
            EndsTasksAtClose => self.held.lock().unwrap().push(Box::new(move || completer.complete(report))),
            NeverEndsTasks => return task,
            _ => completer.complete(report),
        }
        match self.fault {
            RaisesTheWrongEvent => EventFds::raise(self.events().store()),
            RaisesEventsTwice => (0..2).for_each(|_| EventFds::raise(event(self.events()))),
            _ => EventFds::raise(event(self.events())),
        }
        task
    }

    /// The key as the inner adapter gets it.
    fn inner_key(&self, key: &ObjectKey) -> ObjectKey {
        let (model, salt) = match self.fault {
            MixesTenants => (key.model_name().to_owned(), ""),
            MixesSlashesAndDashes => (key.model_name().replace('/', "--"), key.cache_salt()),
            _ => return key.clone(),
        };
        let scope = KeyScope::new(&model, key.kv_rank(), key.object_group_id(), salt).unwrap();
        scope.key(key.chunk_hash()).unwrap()
    }

    fn inner_keys(&self, keys: &[ObjectKey]) -> Vec<ObjectKey> {
        keys.iter().map(|key| self.inner_key(key)).collect()
    }

    /// Whether the inner adapter has an object of the key.
    fn has(&self, key: &ObjectKey) -> bool {
        let (_, report) = done(self.inner.submit_lookup_and_lock(vec![key.clone()]));
        let has = report.answers[0].is_hit();
        if has {
            self.inner.unlock(from_ref(key));
        }
        has
    }

    fn remember(&self, key: &ObjectKey) {
        self.remembered.lock().unwrap().push(key.clone());
    }

    fn remembers(&self, key: &ObjectKey) -> bool {
        self.remembered.lock().unwrap().contains(key)
    }

    /// What the fault makes of the outcome of a store.
    fn spoil_store(&self, key: &ObjectKey, bytes: u64, had: bool, outcome: &mut StoreOutcome) {
        let StoreOutcome { result, memory } = outcome;
        match (self.fault, &*result) {
            (LeaksRejectedBytes, Err(error)) if error.kind() == ErrorKind::Full => {
                self.leaked.fetch_add(bytes, Ordering::SeqCst);
            }
            (CountsDuplicates, Ok(Stored::AlreadyPresent)) => {
                self.leaked.fetch_add(bytes, Ordering::SeqCst);
            }
            (ReplacesInSilence, Ok(_)) if had => *result = Ok(Stored::AlreadyPresent),
            (NeverHeals, _) if self.remembers(key) => *result = Ok(Stored::AlreadyPresent),
            (TellsOfPresentObjects, Ok(Stored::AlreadyPresent)) => {
                self.hub.tell(|listener| listener.on_stored(&[(key.clone(), bytes)], false));
            }
            (PinsMisses, Ok(_)) if self.remembers(key) => {
                drop(done(self.inner.submit_lookup_and_lock(vec![key.clone()])));
            }
            (CannotWriteLongNames, _) if key.model_name().len() + key.cache_salt().len() > 255 => {
                *result = Err(L2Error::new(ErrorKind::Io, "the name is too long"));
            }
            (KeepsLeases, _) => self.kept.lock().unwrap().push(Box::new(memory.clone())),
            _ => {}
        }
    }

    /// What the fault makes of the answers of a lookup.
    fn spoil_lookup(&self, keys: &[ObjectKey], answers: &mut [Looked]) {
        let many = answers.len() > 100;
        for (at, (key, answer)) in keys.iter().zip(&mut *answers).enumerate() {
            match (self.fault, &mut *answer) {
                (PinsNothing, _) => self.inner.unlock(from_ref(key)),
                (PinsEachKeyOnce, _) if keys[..at].contains(key) => self.inner.unlock(from_ref(key)),
                (UnlocksAgainLater, _) if self.remembers(key) => self.inner.unlock(from_ref(key)),
                (UnlocksOtherKeys, Looked::Hit { .. }) | (PinsMisses, Looked::Miss(_)) => self.remember(key),
                (HitsAreNoUse, Looked::Hit { .. }) => self.evictable.remember(key),
                (HitsWhatIsCondemned, Looked::Miss(_)) if self.evictable.remembers(key) => {
                    *answer = Looked::Hit { bytes: 4096 };
                }
                (HalvesLengths, Looked::Hit { bytes }) => *bytes /= 2,
                (HitsEverything, Looked::Miss(_)) => *answer = Looked::Hit { bytes: 4096 },
                (MissesTheLastOfMany, _) if many && at + 1 == keys.len() => {
                    *answer = Looked::Miss(L2Error::not_found());
                }
                (MissesAfterClose, _) if self.closed.load(Ordering::SeqCst) => {
                    *answer = Looked::Miss(L2Error::not_found());
                }
                _ => {}
            }
        }
    }

    /// What the fault makes of the outcomes of a load.
    fn spoil_load(&self, keys: &[ObjectKey], report: &mut LoadReport) {
        let one_failed = report.failures().next().is_some();
        for (outcome, key) in report.outcomes.iter_mut().zip(keys) {
            let memory = outcome.memory.as_mut().unwrap();
            let kind = outcome.result.as_ref().err().map(L2Error::kind);
            let damaged = matches!(kind, Some(ErrorKind::NotFound | ErrorKind::Corrupt));
            match self.fault {
                FailsAllLoadsForOne if one_failed => {
                    outcome.result = Err(L2Error::new(ErrorKind::Io, "another one failed"));
                }
                LoadsTheFirstHalf => {
                    let half = memory.len() / 2;
                    memory.as_mut_slice().unwrap()[half..].fill(0);
                }
                IgnoresLengths if kind == Some(ErrorKind::LengthMismatch) => {
                    outcome.result = Ok(memory.len() as u64);
                }
                ServesDamage if damaged => outcome.result = Ok(memory.len() as u64),
                NeverHeals if damaged => self.remember(key),
                LoadsAreNoUse if kind.is_none() => self.evictable.remember(key),
                PinsWhatIsLoaded => drop(done(self.inner.submit_lookup_and_lock(vec![key.clone()]))),
                KeepsLeases => self.kept.lock().unwrap().push(Box::new(outcome.memory.take())),
                _ => {}
            }
        }
    }
}

impl L2Adapter for Faulty {
    fn submit_store(&self, mut batch: Vec<StoreItem>) -> Task<StoreReport> {
        batch.iter_mut().for_each(|item| item.key = self.inner_key(&item.key));
        let asked: Vec<(ObjectKey, u64)> =
            batch.iter().map(|item| (item.key.clone(), item.memory.len() as u64)).collect();
        let keys: Vec<ObjectKey> = asked.iter().map(|(key, _)| key.clone()).collect();
        if self.fault == RewritesWhatIsPresent {
            self.inner.delete(&keys);
        }
        let had: Vec<bool> =
            keys.iter().map(|key| self.fault == ReplacesInSilence && self.has(key)).collect();
        if self.fault == AsksForRoomWithoutNeed {
            keys.iter().take(1).for_each(|key| self.evictable.ask_for_room(key));
        }
        if self.fault == StampsBatchesForwards {
            batch.reverse();
        }
        let (id, mut report) = done(self.inner.submit_store(batch));
        for (((key, bytes), had), outcome) in asked.iter().zip(had).zip(&mut report.outcomes) {
            self.spoil_store(key, *bytes, had, outcome);
        }
        if matches!(self.fault, ReversesReports | StampsBatchesForwards) {
            report.outcomes.reverse();
        }
        let inner = Arc::clone(&self.inner);
        let cancel: Abandon<StoreReport> = Some(Arc::new(move |_| drop(inner.delete(&keys))));
        self.end((id, report), EventFds::store, cancel.filter(|_| self.fault == CancelsDroppedStores))
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        let inner_keys = self.inner_keys(&keys);
        let (id, mut report) = done(self.inner.submit_lookup_and_lock(inner_keys.clone()));
        self.spoil_lookup(&inner_keys, &mut report.answers);
        report.keys = keys;
        let mut pinned = inner_keys;
        if self.fault != UnlocksTheMissesOfDroppedLookups {
            let mut hits = report.bitmap().into_iter();
            pinned.retain(|_| hits.next() == Some(true));
        }
        let inner = Arc::clone(&self.inner);
        let any = matches!(self.fault, DropsPinsOfOtherLookups | UnlocksTheMissesOfDroppedLookups);
        let unpin: Abandon<LookupReport> = Some(Arc::new(move |_| match any {
            true => inner.unlock(&pinned),
            false => inner.unlock_task(id, &pinned),
        }));
        self.end((id, report), EventFds::lookup, unpin.filter(|_| self.fault != KeepsPinsOfDroppedLookups))
    }

    fn submit_load(&self, mut batch: Vec<LoadItem>) -> Task<LoadReport> {
        let mut keys: Vec<ObjectKey> = batch.iter().map(|item| self.inner_key(&item.key)).collect();
        if self.fault == SwapsTheFirstTwoLoads && keys.len() > 1 {
            keys.swap(0, 1);
        }
        batch.iter_mut().zip(&keys).for_each(|(item, key)| item.key = key.clone());
        let (id, mut report) = done(self.inner.submit_load(batch));
        self.spoil_load(&keys, &mut report);
        if self.fault == NeverEndsLoads {
            return Task::pair(id, None).0;
        }
        self.end((id, report), EventFds::load, None)
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        let keys = self.inner_keys(keys);
        match self.fault {
            UnlocksAllPins => (0..10).for_each(|_| self.inner.unlock(&keys)),
            UnlocksOtherKeys => self.inner.unlock(&self.remembered.lock().unwrap()),
            UnlocksAgainLater => keys.iter().for_each(|key| self.remember(key)),
            _ => {}
        }
        self.inner.unlock(&keys);
    }

    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]) {
        match self.fault {
            UnlocksPinsOfOtherLookups => self.inner.unlock(&self.inner_keys(keys)),
            _ => self.inner.unlock_task(task, &self.inner_keys(keys)),
        }
    }

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        let mut report = self.inner.delete(&self.inner_keys(keys));
        match self.fault {
            LeaksDeletedBytes => {
                self.leaked.fetch_add(report.freed_bytes(), Ordering::SeqCst);
            }
            CannotDeleteWhatIsCondemned => {
                for (answer, _) in
                    report.answers.iter_mut().zip(keys).filter(|(_, key)| self.evictable.remembers(key))
                {
                    *answer = Deleted::Busy;
                }
            }
            FreesWhatIsAbsent => {
                for answer in report.answers.iter_mut().filter(|answer| matches!(answer, Deleted::Absent)) {
                    *answer = Deleted::Freed { bytes: 0 };
                }
            }
            _ => {}
        }
        report
    }

    fn usage(&self) -> Usage {
        let used_bytes = self.inner.usage().used_bytes + self.leaked.load(Ordering::SeqCst);
        let used_bytes = self.evictable.spoil_bytes(used_bytes);
        match self.fault {
            CountsFromZeroWhenReopened => Usage {
                used_bytes: used_bytes.saturating_sub(self.used_at_first),
                capacity_bytes: self.capacity,
            },
            TellsAnotherCapacity => Usage { used_bytes, capacity_bytes: self.capacity + 1 },
            _ => Usage { used_bytes, capacity_bytes: self.capacity },
        }
    }

    fn status(&self) -> AdapterStatus {
        let mut status = self.inner.status();
        status.usage = self.usage();
        status.healthy |= self.fault == IsHealthyAfterClose;
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        Ok(self.events())
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.hub.listeners.lock().unwrap().push(Arc::clone(&listener));
        if self.fault != TellsNothing {
            let what_is_there = Arc::new(WhatIsThere(Mutex::new(Some(listener))));
            self.inner.add_listener(Arc::clone(&what_is_there) as Arc<dyn L2Listener>);
            // All else comes through the hub.
            *what_is_there.0.lock().unwrap() = None;
        }
    }

    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::clone(&self.evictable) as Arc<dyn Evictable>
    }

    fn close(&self) -> Result<(), L2Error> {
        let again = self.closed.swap(true, Ordering::SeqCst);
        let closed = self.inner.close();
        self.held.lock().unwrap().drain(..).for_each(|finish| finish());
        if again && self.fault == CannotCloseTwice { Err(L2Error::closed()) } else { closed }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        // A test that fails drops the adapter while it panics: no second panic.
        let _ = self.close();
    }
}
