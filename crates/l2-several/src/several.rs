//! The adapters, and each call on all of them.

use std::sync::Arc;
use std::time::Duration;

use l2_core::{
    AdapterStatus, BreakerStatus, DeleteReport, Deleted, EventFds, Evictable, L2Adapter, L2Error, L2Listener,
    LoadItem, LoadReport, LookupReport, ObjectKey, Spin, StoreItem, StoreReport, Task, TaskId, Tasks, Usage,
};

use crate::evictable::EachByItself;
use crate::pins::Pins;
use crate::shortfall::{Asked, Shortfall, Shortfalls};
use crate::{load, lookup, store};

/// One of several adapters.
#[derive(Debug, Clone)]
pub struct Member {
    adapter: Arc<dyn L2Adapter>,
    pin_ttl: Option<Duration>,
    spin: Duration,
}

impl Member {
    /// One whose pins stay until they are given back.
    pub fn new(adapter: Arc<dyn L2Adapter>) -> Self {
        Self { adapter, pin_ttl: None, spin: Spin::MOST }
    }

    /// One whose pins end after this time, given back or not; `None`: never.
    #[must_use]
    pub fn pin_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.pin_ttl = ttl;
        self
    }

    /// One for whose tasks at most so long is spun before who waits for them sleeps; for a task of several the shortest counts.
    #[must_use]
    pub fn spin(mut self, most: Duration) -> Self {
        self.spin = most;
        self
    }

    /// The adapter.
    pub fn adapter(&self) -> &Arc<dyn L2Adapter> {
        &self.adapter
    }
}

/// Several adapters in order, as one. Closing it closes them all.
#[derive(Debug)]
pub struct Several(Arc<Shared>);

/// What tasks under way keep.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) members: Vec<Member>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) pins: Pins,
    shortfalls: Vec<Shortfalls>,
}

impl Shared {
    /// The adapter at this place, of those that there are.
    pub(crate) fn adapter(&self, member: usize) -> Option<&dyn L2Adapter> {
        self.members.get(member).map(|member| &*member.adapter)
    }

    /// Counts what the adapter at this place could not do.
    pub(crate) fn note<'a>(
        &self,
        member: usize,
        asked: Asked,
        errors: impl IntoIterator<Item = &'a L2Error>,
    ) {
        if let Some(shortfalls) = self.shortfalls.get(member) {
            shortfalls.note(asked, errors);
        }
    }

    /// How long the pins of the adapter at this place last.
    pub(crate) fn pin_ttl(&self, member: usize) -> Option<Duration> {
        self.members.get(member)?.pin_ttl
    }

    /// Gives pins back to the adapters that have them.
    pub(crate) fn unlock(&self, task: Option<TaskId>, keys: &[ObjectKey]) {
        for (pinned, keys) in self.pins.take(task, keys) {
            if let Some(adapter) = self.adapter(pinned.member) {
                adapter.unlock_task(pinned.task, &keys);
            }
        }
    }
}

impl Several {
    /// The first, and those after it.
    pub fn of(first: Member, others: impl IntoIterator<Item = Member>) -> Self {
        let members: Vec<Member> = std::iter::once(first).chain(others).collect();
        let shortfalls = members.iter().map(|_| Shortfalls::default()).collect();
        let spin = members.iter().map(|member| member.spin).min().unwrap_or(Spin::MOST);
        let tasks = Arc::new(Tasks::spinning(spin));
        Self(Arc::new(Shared { members, tasks, pins: Pins::default(), shortfalls }))
    }

    /// The adapters, in their order.
    pub fn members(&self) -> &[Member] {
        &self.0.members
    }

    /// What each adapter could not do so far of what was asked of all, in their order.
    pub fn shortfalls(&self) -> Vec<Shortfall> {
        self.0.shortfalls.iter().map(Shortfalls::so_far).collect()
    }

    fn adapters(&self) -> impl Iterator<Item = &dyn L2Adapter> {
        self.0.members.iter().map(|member| &*member.adapter)
    }
}

impl L2Adapter for Several {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        store::submit(&self.0, batch)
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        lookup::submit(&self.0, keys)
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        load::submit(&self.0, batch)
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        self.0.unlock(None, keys);
    }

    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]) {
        self.0.unlock(Some(task), keys);
    }

    /// Deletes from all. [`Deleted::Failed`] or [`Deleted::Busy`] where one failed, or has it in use.
    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        let mut answers: Vec<Deleted> = keys.iter().map(|_| Deleted::Absent).collect();
        for adapter in self.adapters() {
            for (answer, other) in answers.iter_mut().zip(adapter.delete(keys).answers) {
                let before = std::mem::replace(answer, Deleted::Absent);
                *answer = worst(before, other);
            }
        }
        DeleteReport { answers }
    }

    /// The sums of all.
    fn usage(&self) -> Usage {
        self.adapters().map(L2Adapter::usage).sum()
    }

    /// The sums of all. It is healthy while one is, and recovering while one is; a breaker is open where all are. What each
    /// says for itself: [`Several::members`].
    fn status(&self) -> AdapterStatus {
        let each: Vec<AdapterStatus> = self.adapters().map(L2Adapter::status).collect();
        let backends: Vec<&str> = each.iter().map(|status| status.backend.as_str()).collect();
        let sum = |of: fn(&AdapterStatus) -> u64| each.iter().map(of).fold(0, u64::saturating_add);
        let breaker = |of: fn(&AdapterStatus) -> BreakerStatus| BreakerStatus {
            is_open: each.iter().map(of).all(|breaker| breaker.is_open),
            opened: each.iter().map(|status| of(status).opened).fold(0, u64::saturating_add),
        };
        let mut status = AdapterStatus::new("several", backends.join(", "));
        status.healthy = each.iter().any(|status| status.healthy);
        status.recovering = each.iter().any(|status| status.recovering);
        status.stored_objects = sum(|status| status.stored_objects);
        status.pinned_objects = sum(|status| status.pinned_objects);
        status.expired_pins = sum(|status| status.expired_pins);
        status.usage = self.usage();
        status.tasks_in_flight = self.0.tasks.in_flight();
        status.healed_objects = sum(|status| status.healed_objects);
        status.healed = each.iter().fold(status.healed, |sum, status| sum + status.healed);
        status.parked_transfers = sum(|status| status.parked_transfers);
        status.store_breaker = breaker(|status| status.store_breaker);
        status.load_breaker = breaker(|status| status.load_breaker);
        status.replaced_agents = sum(|status| status.replaced_agents);
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.0.tasks.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.adapters().for_each(|adapter| adapter.add_listener(Arc::clone(&listener)));
    }

    /// Nothing that could go: each adapter is evicted by itself, through its own.
    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::new(EachByItself::of(self.adapters().map(L2Adapter::evictable).collect()))
    }

    fn close(&self) -> Result<(), L2Error> {
        let closed: Vec<Result<(), L2Error>> = self.adapters().map(L2Adapter::close).collect();
        closed.into_iter().collect()
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        // Tasks that somebody still holds must not keep the adapters open.
        if let Err(error) = self.close() {
            tracing::error!(%error, "an adapter of several could not be closed as it should");
        }
    }
}

/// What is said of a key that two adapters gave these answers for.
fn worst(one: Deleted, other: Deleted) -> Deleted {
    match (one, other) {
        (Deleted::Failed(error), _) | (_, Deleted::Failed(error)) => Deleted::Failed(error),
        (Deleted::Busy, _) | (_, Deleted::Busy) => Deleted::Busy,
        (Deleted::Freed { bytes }, Deleted::Freed { bytes: more }) => {
            Deleted::Freed { bytes: bytes.saturating_add(more) }
        }
        (Deleted::Absent, answer) | (answer, Deleted::Absent) => answer,
    }
}
