//! Stores that came before what is on the disk has been counted.
//!
//! Until the scan has ended nobody knows what fits. Stores are held until then, so that neither the capacity is passed
//! nor a caller blocked; lookups and loads go on.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use l2_engine::Engine;

/// What a batch of stores does when it may begin: it takes its keys, in order, and hands its jobs to the engine.
pub(crate) type Begin = Box<dyn FnOnce(&Engine) + Send>;

/// Batches of stores, for as long as the scan goes on.
pub(crate) struct Held(Mutex<State>);

enum State {
    /// The scan goes on.
    Holding(Vec<Begin>),
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

    /// Whether what is on the disk has been counted.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open)
    }

    /// Begins a batch, now or when the scan has ended.
    pub(crate) fn submit(&self, engine: &Engine, begin: Begin) {
        if let State::Holding(batches) = &mut *self.state() {
            batches.push(begin);
            return;
        }
        begin(engine);
    }

    /// The scan has ended: begins what was held, in order.
    pub(crate) fn release(&self, engine: &Engine) {
        loop {
            let mut state = self.state();
            let batches = match &mut *state {
                State::Holding(batches) if !batches.is_empty() => std::mem::take(batches),
                _ => {
                    *state = State::Open;
                    return;
                }
            };
            // Without the lock: outcomes are reported. What comes meanwhile is held, and is next.
            drop(state);
            batches.into_iter().for_each(|begin| begin(engine));
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
            State::Holding(batches) => write!(f, "Holding({} batches)", batches.len()),
            State::Open => f.write_str("Open"),
        }
    }
}
