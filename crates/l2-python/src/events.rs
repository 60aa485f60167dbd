//! What was stored, used and deleted, kept in order until Python takes it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nixl_l2::{L2Listener, ObjectKey};
use pyo3::prelude::*;

use crate::waiting;

/// One thing that was told.
pub(crate) struct Event {
    pub(crate) what: What,
    pub(crate) keys: Vec<ObjectKey>,
    /// Bytes of each; none for accesses.
    pub(crate) bytes: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Stored,
    Accessed,
    Deleted,
}

/// The queue; a listener of the adapter. Its threads never wait for Python, which takes from it when it likes.
pub(crate) struct Events {
    /// Whether uses are of interest.
    accesses: bool,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    closed: bool,
}

impl Events {
    /// Without `accesses` hits are not kept, and are quicker.
    pub(crate) fn new(accesses: bool) -> Self {
        Self { accesses, state: Mutex::default(), more: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, what: What, keys: Vec<ObjectKey>, bytes: Vec<u64>) {
        self.state().events.push_back(Event { what, keys, bytes });
        self.more.notify_all();
    }

    /// All that there is; waits for some if there is nothing, at most so many seconds, without the interpreter.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub(crate) fn take(&self, py: Python<'_>, seconds: f64) -> PyResult<Vec<Event>> {
        self.wait(py, seconds)?;
        Ok(py.detach(|| self.state().events.drain(..).collect()))
    }

    /// Waits until there is something to take, and takes nothing. False if there is nothing in time, or nothing more comes.
    ///
    /// # Errors
    /// ValueError for a time that is none; what a signal handler raises.
    pub(crate) fn wait(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let waited = waiting::wait(py, waiting::limit(seconds)?, |limit| self.wait_for(limit))?;
        Ok(waited.unwrap_or(false))
    }

    /// Whether there is something; `None` if there was nothing in time.
    fn wait_for(&self, limit: Duration) -> Option<bool> {
        let nothing = |state: &mut State| state.events.is_empty() && !state.closed;
        let waited = self.more.wait_timeout_while(self.state(), limit, nothing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.events.is_empty() || state.closed).then_some(!state.events.is_empty())
    }

    /// Nothing more will come: nobody need wait for it.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.more.notify_all();
    }
}

impl L2Listener for Events {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], _recovered: bool) {
        let (keys, bytes) = objects.iter().cloned().unzip();
        self.add(What::Stored, keys, bytes);
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.add(What::Accessed, keys.to_vec(), Vec::new());
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        let (keys, bytes) = objects.iter().cloned().unzip();
        self.add(What::Deleted, keys, bytes);
    }

    fn hears_accesses(&self) -> bool {
        self.accesses
    }
}
