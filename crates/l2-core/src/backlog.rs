//! Stores that wait for room because all that could make some is still being written.
//!
//! What is being written has its bytes, and cannot be evicted before it is done. A store that finds no room while others
//! are under way is put in here, and tried again when one of them has ended; only when none is under way is it hopeless.

use std::collections::VecDeque;
use std::fmt;

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The stores of an adapter that wait for room.
///
/// The adapter sees to it that, after any [`UnderWay`] has ended, somebody takes what waits ([`Backlog::take`]) and tries
/// it again: then nothing waits without one under way.
pub struct Backlog<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    waiting: VecDeque<T>,
    under_way: usize,
    /// How many have ended so far.
    ended: u64,
    closed: bool,
}

/// A store that has its bytes, until it is dropped: once it can be evicted, or its bytes are free again.
#[must_use = "what is under way has ended when this is dropped"]
pub struct UnderWay<T>(Backlog<T>);

/// A moment, to tell whether a store has ended since.
#[derive(Debug, Clone, Copy)]
pub struct Moment(u64);

/// Where a store waits that found no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Behind all others.
    Last,
    /// Before all others: it was taken from the backlog, and keeps its turn.
    First,
}

/// What becomes of a store that found no room.
#[derive(Debug)]
pub enum Deferred<T> {
    /// It waits: it is in the backlog.
    Waits,
    /// One has ended since it was tried: there may be room.
    TryAgain(T),
    /// None is under way that could make room, or the backlog is closed.
    Hopeless(T),
}

impl<T> Backlog<T> {
    /// An empty one.
    pub fn new() -> Self {
        let state = State { waiting: VecDeque::new(), under_way: 0, ended: 0, closed: false };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Each change is whole before the lock is given back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store has got its bytes.
    pub fn begin(&self) -> UnderWay<T> {
        self.state().under_way += 1;
        UnderWay(Self(Arc::clone(&self.0)))
    }

    /// Now. Take it before you look for room.
    pub fn now(&self) -> Moment {
        Moment(self.state().ended)
    }

    /// Puts a store in that found no room, unless there is no point in that. `since` is from before it was tried.
    pub fn defer(&self, store: T, since: Moment, turn: Turn) -> Deferred<T> {
        let mut state = self.state();
        if state.closed {
            return Deferred::Hopeless(store);
        }
        if state.ended != since.0 {
            return Deferred::TryAgain(store);
        }
        if state.under_way == 0 {
            return Deferred::Hopeless(store);
        }
        match turn {
            Turn::Last => state.waiting.push_back(store),
            Turn::First => state.waiting.push_front(store),
        }
        Deferred::Waits
    }

    /// Takes the one that has waited longest.
    pub fn take(&self) -> Option<T> {
        self.state().waiting.pop_front()
    }

    /// Takes all that wait.
    pub fn take_all(&self) -> Vec<T> {
        std::mem::take(&mut self.state().waiting).into()
    }

    /// From now on nothing waits. What did is dropped.
    pub fn close(&self) {
        self.state().closed = true;
        // Without the lock: it may report its loss, which leads anywhere.
        drop(self.take_all());
    }
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        state.ended += 1;
        if state.under_way == 0 && std::thread::panicking() {
            // Whoever should try what waits is gone, and no other may come: it is lost rather than kept for ever.
            let lost = std::mem::take(&mut state.waiting);
            drop(state);
            drop(lost);
        }
    }
}

impl<T> fmt::Debug for Backlog<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Backlog")
            .field("waiting", &state.waiting.len())
            .field("under_way", &state.under_way)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for UnderWay<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnderWay")
    }
}
