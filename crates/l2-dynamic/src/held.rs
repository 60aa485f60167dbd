//! Stores that came before what is on the disk has been counted.
//!
//! Until the scan has ended nobody knows what fits. Stores are held until then, so that neither the capacity is passed
//! nor a caller blocked; lookups and loads go on.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use l2_engine::{Class, Engine, Job};

/// Jobs of stores, for as long as the scan goes on.
pub(crate) struct Held(Mutex<State>);

enum State {
    /// The scan goes on.
    Holding(Vec<Job>),
    /// It has ended: nothing is held any more.
    Open,
}

impl Held {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Holding(Vec::new())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is on the disk has been counted, so that a store may be given its bytes at once.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open)
    }

    /// Hands a store to the engine, now or when the scan has ended.
    pub(crate) fn submit(&self, engine: &Engine, job: Job) {
        match &mut *self.state() {
            State::Holding(jobs) => jobs.push(job),
            // Queueing never blocks.
            State::Open => engine.submit(Class::Store, job),
        }
    }

    /// The scan has ended: hands on what was held, in order.
    pub(crate) fn release(&self, engine: &Engine) {
        let mut state = self.state();
        if let State::Holding(jobs) = std::mem::replace(&mut *state, State::Open) {
            jobs.into_iter().for_each(|job| engine.submit(Class::Store, job));
        }
    }

    /// The adapter closes: what is held is dropped, which tells its callers.
    pub(crate) fn close(&self) {
        // Dropped after the lock is given back: outcomes are reported, and may lead here again.
        let held = std::mem::replace(&mut *self.state(), State::Open);
        drop(held);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.state() {
            State::Holding(jobs) => write!(f, "Holding({} jobs)", jobs.len()),
            State::Open => f.write_str("Open"),
        }
    }
}
