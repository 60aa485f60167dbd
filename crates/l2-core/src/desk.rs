//! The desk of an adapter: it hands out tasks, raises their events, and tells the listeners.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::batch::{Batch, ItemSlot, Outcome};
use crate::breakers::Breakers;
use crate::error::L2Error;
use crate::events::EventFds;
use crate::evictable::RoomMaker;
use crate::key::{KeyScope, ObjectKey};
use crate::listener::{L2Listener, Listeners};
use crate::meters::Meters;
use crate::removals::{Removals, Removing};
use crate::report::{
    LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, StoreItem, StoreOutcome, StoreReport, Stored,
};
use crate::task::{Abandon, Task, TaskId};
use crate::tasks::{TaskKind, Tasks};

/// What every adapter has in front of its work. A batch goes in, a task for the caller and a slot for each item come
/// out; when the last slot has reported, the listeners are told, then the task ends, then its event is raised.
///
/// The slots report from any thread, and report their own loss when they are dropped: a task ends whatever happens.
pub struct Desk {
    unpin: Arc<GiveBack>,
    listeners: Listeners,
    tasks: Arc<Tasks>,
    room_maker: RwLock<Option<Arc<dyn RoomMaker>>>,
    breakers: Arc<Breakers>,
    meters: Meters,
    removals: Removals,
    closed: AtomicBool,
}

/// Gives pins of a lookup back.
type GiveBack = dyn Fn(TaskId, &[ObjectKey]) + Send + Sync;

/// The tasks.
impl Desk {
    /// A desk that is open. `unpin` gives pins back that the lookup of this number took: it is called with the hits of a
    /// lookup whose result nobody took.
    pub fn new(unpin: impl Fn(TaskId, &[ObjectKey]) + Send + Sync + 'static) -> Self {
        Self {
            unpin: Arc::new(unpin),
            listeners: Listeners::default(),
            tasks: Arc::default(),
            room_maker: RwLock::new(None),
            breakers: Arc::default(),
            meters: Meters::default(),
            removals: Removals::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// With its tasks counted and measured.
    #[must_use]
    pub fn measured(mut self, meters: Meters) -> Self {
        self.meters = meters;
        self
    }

    /// With at most so long spun by who waits for a task, before it sleeps.
    #[must_use]
    pub fn spinning(mut self, most: Duration) -> Self {
        self.tasks = Arc::new(Tasks::spinning(most));
        self
    }

    /// What counts and measures.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// A store: its task, and its items, each with the slot for its outcome.
    ///
    /// Listeners hear once of all that was written, in the order of the batch. `occupied` gives the bytes that they are
    /// told for an object of a length: those that are free again when it is deleted.
    pub fn store_task(
        self: &Arc<Self>,
        batch: Vec<StoreItem>,
        occupied: impl Fn(u64) -> u64 + Send + 'static,
    ) -> (Task<StoreReport>, Vec<(ItemSlot<StoreOutcome>, StoreItem)>) {
        let (task, ending) = self.tasks.begin(self.tasks.next_id(), TaskKind::Store, None);
        let desk = Arc::clone(self);
        let keys: Vec<ObjectKey> = batch.iter().map(|item| item.key.clone()).collect();
        let since = Instant::now();
        let slots = Batch::collect(batch.len(), move |outcomes: Vec<StoreOutcome>| {
            desk.meters.stored(since, &outcomes);
            desk.breakers.hear_stores(outcomes.iter().filter_map(|outcome| match &outcome.result {
                Ok(Stored::Written { .. }) => Some(Ok(())),
                // Nothing was asked of the storage.
                Ok(Stored::AlreadyPresent) => None,
                Err(error) => Some(Err(error)),
            }));
            desk.tell_stored(keys, &outcomes, occupied);
            ending.end(StoreReport { outcomes });
        });
        (task, slots.into_iter().zip(batch).collect())
    }

    /// A lookup: its task, and the keys for which `ask` had no answer, each with the slot for it. With an answer for
    /// each key, the task has ended when it is returned. `ask` gets the task's number, which owns the pins, and all keys at
    /// once; what it gives no answer for is unknown.
    ///
    /// Listeners hear once of all hits, in the order of the keys.
    pub fn lookup_task(
        self: &Arc<Self>,
        keys: Vec<ObjectKey>,
        ask: impl FnOnce(TaskId, &[ObjectKey]) -> Vec<Option<Looked>>,
    ) -> (Task<LookupReport>, Vec<(ItemSlot<Looked>, ObjectKey)>) {
        let id = self.tasks.next_id();
        let since = Instant::now();
        let give_back: Abandon<LookupReport> = {
            let unpin = Arc::clone(&self.unpin);
            Arc::new(move |report: LookupReport| {
                let hits: Vec<ObjectKey> = report.hits().map(|(key, _)| key.clone()).collect();
                unpin(id, &hits);
            })
        };
        let (task, ending) = self.tasks.begin(id, TaskKind::Lookup, Some(give_back));
        let desk = Arc::clone(self);
        let mut known = ask(id, &keys);
        known.resize_with(keys.len(), || None);
        let unknown = keys.iter().zip(&known).filter(|(_, answer)| answer.is_none());
        let unknown: Vec<ObjectKey> = unknown.map(|(key, _)| key.clone()).collect();
        let slots = Batch::collect(unknown.len(), move |found: Vec<Looked>| {
            // Of these alone: for what was known, nothing was asked of the storage.
            desk.breakers.hear_lookups(found.iter().map(|answer| match answer {
                Looked::Hit { .. } => Ok(()),
                Looked::Miss(error) if error.is_miss() => Ok(()),
                Looked::Miss(error) => Err(error),
            }));
            let mut found = found.into_iter();
            let answer = |known: Option<Looked>| known.or_else(|| found.next()).unwrap_or_else(Looked::lost);
            let report = LookupReport { keys, answers: known.into_iter().map(answer).collect() };
            desk.meters.looked_up(since, &report.answers);
            desk.tell_accessed(|| report.hits().map(|(key, _)| key.clone()).collect());
            ending.end(report);
        });
        (task, slots.into_iter().zip(unknown).collect())
    }

    /// A load: its task, and its items, each with the slot for its outcome.
    ///
    /// Listeners hear once of all that was loaded, in the order of the batch.
    pub fn load_task(
        self: &Arc<Self>,
        batch: Vec<LoadItem>,
    ) -> (Task<LoadReport>, Vec<(ItemSlot<LoadOutcome>, LoadItem)>) {
        let (task, ending) = self.tasks.begin(self.tasks.next_id(), TaskKind::Load, None);
        let desk = Arc::clone(self);
        let keys: Vec<ObjectKey> = batch.iter().map(|item| item.key.clone()).collect();
        let since = Instant::now();
        let slots = Batch::collect(batch.len(), move |outcomes: Vec<LoadOutcome>| {
            desk.meters.loaded(since, &outcomes);
            let results = outcomes.iter().map(|outcome| outcome.result.as_ref().map(drop));
            desk.breakers.hear_loads(results);
            desk.tell_accessed(|| {
                let loaded = keys.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.result.is_ok());
                loaded.map(|(key, _)| key).collect()
            });
            ending.end(LoadReport { outcomes });
        });
        (task, slots.into_iter().zip(batch).collect())
    }

    /// Tasks handed out and not ended.
    pub fn tasks_in_flight(&self) -> u64 {
        self.tasks.in_flight()
    }

    /// The event descriptors of this desk's tasks.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.tasks.event_fds()
    }

    /// What opens when batches of stores, lookups or loads fail again and again. The desk counts them; the adapter answers at once while
    /// one is open, and says how the storage is tested.
    pub fn breakers(&self) -> &Arc<Breakers> {
        &self.breakers
    }

    /// Whom stores ask for room from now on.
    pub fn set_room_maker(&self, maker: Arc<dyn RoomMaker>) {
        let before = self.room_maker.write().unwrap_or_else(PoisonError::into_inner).replace(maker);
        // Without the lock: it may own much.
        drop(before);
    }

    /// Stores ask nobody from now on, unless it is another by now whom they ask.
    pub fn unset_room_maker(&self, maker: &dyn RoomMaker) {
        let is_it = |current: &mut Arc<dyn RoomMaker>| std::ptr::addr_eq(Arc::as_ptr(current), maker);
        let before = self.room_maker.write().unwrap_or_else(PoisonError::into_inner).take_if(is_it);
        drop(before);
    }

    /// Whether there is somebody to ask for room.
    pub fn has_room_maker(&self) -> bool {
        self.room_maker.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Asks for room although the bytes fit, for the storage has none: as [`RoomMaker::make_room`], and 0 with nobody to
    /// ask. May block on the storage.
    pub fn make_room(&self, scope: &KeyScope, bytes: u64) -> u64 {
        let maker = self.room_maker.read().unwrap_or_else(PoisonError::into_inner).clone();
        maker.map_or(0, |maker| maker.make_room(scope, bytes))
    }

    /// Calls `attempt` until it gets what it wants, for a key of this scope, and asks for the room that it says is missing, in
    /// bytes, in between: as often as there was room, which others may take first. May block on the storage where that is
    /// freed.
    ///
    /// # Errors
    /// The last of `attempt`, when no room can be made, or it has another reason.
    pub fn with_room<T, E>(
        &self,
        scope: &KeyScope,
        mut attempt: impl FnMut() -> Result<T, E>,
        missing: impl Fn(&E) -> Option<u64>,
    ) -> Result<T, E> {
        /// So often others may take the room that was made.
        const ATTEMPTS: usize = 100;
        let maker = || self.room_maker.read().unwrap_or_else(PoisonError::into_inner).clone();
        let freed = || maker().map_or(0, |maker| maker.freed());
        let mut before = freed();
        let mut result = attempt();
        for _ in 0..ATTEMPTS {
            let Some(bytes) = result.as_ref().err().and_then(&missing) else { break };
            let Some(maker) = maker() else { break };
            // What others have freed since it was tried is not asked for once more: more would go than has to.
            let made = maker.freed().saturating_sub(before);
            if made < bytes && maker.make_room(scope, bytes - made) == 0 && made == 0 {
                break;
            }
            before = freed();
            result = attempt();
        }
        result
    }

    /// Closes the desk. Whether it was open: one caller closes the adapter. Tasks are handed out all the same; what
    /// becomes of their items is for the adapter to say.
    pub fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// For who is about to evict; `None` once the desk is closed, when nothing is to go any more.
    pub fn begin_removal(&self) -> Option<Removing<'_>> {
        let removing = self.removals.begin();
        (!self.is_closed()).then_some(removing)
    }

    /// For the adapter that closes, after [`Desk::close`]: waits for evictions under way, at most for `limit`.
    pub fn await_removals(&self, limit: Duration) {
        if !self.removals.await_end(limit) {
            tracing::warn!(?limit, "an eviction hangs in the storage, and was left behind");
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The listeners.
impl Desk {
    /// Adds a listener, and tells it what is there, each object with the bytes it occupies. `present` is called when
    /// the listener hears of changes already, so that nothing is missed; what changes meanwhile may be told twice.
    pub fn add_listener(
        &self,
        listener: Arc<dyn L2Listener>,
        present: impl FnOnce() -> Vec<(ObjectKey, u64)>,
    ) {
        self.listeners.add(Arc::clone(&listener));
        if !listener.hears_what_is_there() {
            return;
        }
        let present = present();
        if !present.is_empty() {
            Listeners::tell_one(&*listener, |listener| listener.on_stored(&present, true));
        }
    }

    /// Tells of objects that were found on the storage, each with the bytes it occupies.
    pub fn tell_recovered(&self, objects: &[(ObjectKey, u64)]) {
        if !objects.is_empty() {
            self.listeners.tell(|listener| listener.on_stored(objects, true));
        }
    }

    /// Tells of objects that are gone, each with the bytes that are free.
    pub fn tell_deleted(&self, objects: &[(ObjectKey, u64)]) {
        if !objects.is_empty() {
            self.meters.deleted(objects.len() as u64, objects.iter().map(|(_, bytes)| bytes).sum());
            self.listeners.tell(|listener| listener.on_deleted(objects));
        }
    }

    fn tell_stored(&self, keys: Vec<ObjectKey>, outcomes: &[StoreOutcome], occupied: impl Fn(u64) -> u64) {
        if self.listeners.is_empty() {
            return;
        }
        let written = keys.into_iter().zip(outcomes).filter_map(|(key, outcome)| match outcome.result {
            Ok(Stored::Written { bytes }) => Some((key, occupied(bytes))),
            _ => None,
        });
        let written: Vec<_> = written.collect();
        if !written.is_empty() {
            self.listeners.tell(|listener| listener.on_stored(&written, false));
        }
    }

    fn tell_accessed(&self, keys: impl FnOnce() -> Vec<ObjectKey>) {
        if !self.listeners.hear_accesses() {
            return;
        }
        let keys = keys();
        if !keys.is_empty() {
            self.listeners.tell(|listener| listener.on_accessed(&keys));
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("tasks_in_flight", &self.tasks_in_flight())
            .field("closed", &self.is_closed())
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
