//! Tasks under way and their results, until they are taken; and the descriptors that say that there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nixl_l2::{EventFds, Task, TaskId};
use pyo3::prelude::*;

use crate::errors;
use crate::parked::Parked;
use crate::waiting;

/// The tasks of one kind.
pub(crate) struct Board<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
    events: Arc<EventFds>,
    event: fn(&EventFds) -> BorrowedFd<'_>,
    /// As in "no store has the number 7".
    kind: &'static str,
}

struct State<T> {
    under_way: BTreeSet<TaskId>,
    ended: BTreeMap<TaskId, T>,
}

impl<T: Send + 'static> Board<T> {
    pub(crate) fn new(
        events: &Arc<EventFds>,
        event: fn(&EventFds) -> BorrowedFd<'_>,
        kind: &'static str,
    ) -> Arc<Self> {
        let state = Mutex::new(State { under_way: BTreeSet::new(), ended: BTreeMap::new() });
        Arc::new(Self { state, ended: Condvar::new(), events: Arc::clone(events), event, kind })
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Each change is one insertion or removal: a panic leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task in. When it ends, `report` makes of its result what Python is told, on the thread that ended it; it can be
    /// taken from then on, and only then the event is raised.
    pub(crate) fn follow<R: Send + 'static>(
        self: &Arc<Self>,
        task: Task<R>,
        report: impl FnOnce(R) -> T + Send + 'static,
    ) -> TaskId {
        self.follow_to_the_end(task, move |result| (report(result), Parked::default()))
    }

    /// As [`Self::follow`]; but while a transfer past its deadline may still write to the memory, the task has not ended for
    /// Python, which would use the memory for something else.
    pub(crate) fn follow_to_the_end<R: Send + 'static>(
        self: &Arc<Self>,
        task: Task<R>,
        report: impl FnOnce(R) -> (T, Parked) + Send + 'static,
    ) -> TaskId {
        let id = task.id();
        self.state().under_way.insert(id);
        let board = Arc::clone(self);
        task.when_ended(move |result| {
            let (report, parked) = report(result);
            parked.then(move || board.publish(id, report));
        });
        id
    }

    fn publish(&self, id: TaskId, report: T) {
        let mut state = self.state();
        state.under_way.remove(&id);
        state.ended.insert(id, report);
        drop(state);
        self.ended.notify_all();
        EventFds::raise((self.event)(&self.events));
    }

    /// Waits until nothing is under way, at most for `limit`. Whether that is so.
    pub(crate) fn await_all(&self, limit: Duration) -> bool {
        let busy = |state: &mut State<T>| !state.under_way.is_empty();
        let waited = self.ended.wait_timeout_while(self.state(), limit, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.under_way.is_empty()
    }

    /// The result of a task that has ended, once.
    pub(crate) fn take(&self, id: TaskId) -> Option<T> {
        self.state().ended.remove(&id)
    }

    /// The results of all that have ended.
    pub(crate) fn take_all(&self) -> BTreeMap<TaskId, T> {
        std::mem::take(&mut self.state().ended)
    }

    /// Waits for a task, without the interpreter.
    ///
    /// # Errors
    /// TaskTimeoutError after so many seconds; UnknownTaskError for a task that is neither under way nor has a result; what a
    /// signal handler raises.
    pub(crate) fn wait(&self, py: Python<'_>, id: TaskId, seconds: f64) -> PyResult<T> {
        match waiting::wait(py, waiting::limit(seconds)?, |limit| self.wait_for(id, limit))? {
            Some(()) => self.take(id).ok_or_else(|| errors::unknown(id, self.kind)),
            None => Err(errors::late(id, seconds)),
        }
    }

    /// Until a task is not under way; `None` if it was not done in time.
    fn wait_for(&self, id: TaskId, limit: Duration) -> Option<()> {
        let under_way = |state: &mut State<T>| state.under_way.contains(&id);
        let waited = self.ended.wait_timeout_while(self.state(), limit, under_way);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.under_way.contains(&id)).then_some(())
    }
}
