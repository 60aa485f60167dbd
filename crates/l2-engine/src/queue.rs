//! Where jobs wait for a worker, and workers for a job.
//!
//! To wake a thread is a call of the kernel, and takes longer than all else that handing a job in does. So a worker without
//! work either looks for some, and finds the next job by itself, or sleeps; and one is woken only where more jobs wait than
//! there are workers who look for them.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::request::Class;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A store that waits goes before the reads after so many of them, so that reads without end cannot starve it.
const READS_BEFORE_A_STORE: u32 = 64;

/// The jobs of an engine that no worker has taken yet.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    /// As many as wait, for those who look without the lock.
    reads: AtomicUsize,
    stores: AtomicUsize,
    closed: AtomicBool,
}

struct State<J> {
    reads: VecDeque<J>,
    stores: VecDeque<J>,
    /// All workers.
    seats: Workers,
    /// Those who look for a job, and those who have been woken to do so.
    looking: Workers,
    asleep: Vec<Arc<Bell>>,
    closed: bool,
}

/// How many workers, by what they take.
#[derive(Default)]
struct Workers {
    /// Reads alone.
    of_reads: usize,
    of_all: usize,
}

/// Wakes one worker.
struct Bell {
    takes_stores: bool,
    rung: Condvar,
}

/// A worker's place at a queue. What nobody takes any more when it is gone is dropped.
pub(crate) struct Seat<J> {
    queue: Arc<Queue<J>>,
    bell: Arc<Bell>,
    /// Reads that it took while a store waited, since the last store.
    reads_before: u32,
}

/// A job for a worker that had none.
pub(crate) struct Next<J> {
    pub(crate) job: J,
    /// Whether the worker was asleep meanwhile.
    pub(crate) slept: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Self {
        let state = State {
            reads: VecDeque::new(),
            stores: VecDeque::new(),
            seats: Workers::default(),
            looking: Workers::default(),
            asleep: Vec::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            reads: AtomicUsize::new(0),
            stores: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// A place for a worker, which takes reads alone or stores, too.
    pub(crate) fn seat(self: &Arc<Self>, takes_stores: bool) -> Seat<J> {
        *self.state().seats.of(takes_stores) += 1;
        let bell = Arc::new(Bell { takes_stores, rung: Condvar::new() });
        Seat { queue: Arc::clone(self), bell, reads_before: 0 }
    }

    /// How many workers there are.
    pub(crate) fn seats(&self) -> usize {
        self.state().seats.all()
    }

    /// How many of them sleep.
    #[cfg(test)]
    pub(crate) fn asleep(&self) -> usize {
        self.state().asleep.len()
    }

    /// Puts a job in; drops it when the queue is closed, or no worker is left that would take it.
    pub(crate) fn push(&self, class: Class, job: J) {
        let mut state = self.state();
        if state.closed || state.seats.who_take(class) == 0 {
            // Whatever the job holds goes without the lock.
            drop(state);
            return drop(job);
        }
        match class {
            Class::Read => state.reads.push_back(job),
            Class::Store => state.stores.push_back(job),
        }
        self.show(&state);
        wake_one(state);
    }

    /// Tells the workers, and drops what waits, on the calling thread.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let unrun = mem::take(&mut state.reads).into_iter().chain(mem::take(&mut state.stores));
        let asleep = mem::take(&mut state.asleep);
        asleep.iter().for_each(|bell| *state.looking.of(bell.takes_stores) += 1);
        self.show(&state);
        drop(state);
        asleep.iter().for_each(|bell| bell.rung.notify_one());
        drop_each(unrun);
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // Each change is whole before the lock is given back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has those who look without the lock see what there is.
    fn show(&self, state: &State<J>) {
        self.reads.store(state.reads.len(), Ordering::Release);
        self.stores.store(state.stores.len(), Ordering::Release);
        self.closed.store(state.closed, Ordering::Release);
    }
}

impl Workers {
    fn of(&mut self, takes_stores: bool) -> &mut usize {
        if takes_stores { &mut self.of_all } else { &mut self.of_reads }
    }

    fn all(&self) -> usize {
        self.of_reads + self.of_all
    }

    fn who_take(&self, class: Class) -> usize {
        match class {
            Class::Read => self.all(),
            Class::Store => self.of_all,
        }
    }
}

impl<J> State<J> {
    /// The next job for a worker: a read, unless a store has waited for long enough.
    fn take(&mut self, takes_stores: bool, reads_before: &mut u32) -> Option<J> {
        let store_waits = takes_stores && !self.stores.is_empty();
        if !(store_waits && *reads_before >= READS_BEFORE_A_STORE)
            && let Some(job) = self.reads.pop_front()
        {
            *reads_before = if store_waits { *reads_before + 1 } else { 0 };
            return Some(job);
        }
        *reads_before = 0;
        if takes_stores { self.stores.pop_front() } else { None }
    }

    /// One to be woken, if more jobs wait than there are workers who look for them. It counts as looking from now on.
    fn one_to_wake(&mut self) -> Option<Arc<Bell>> {
        let reads_left = self.reads.len().saturating_sub(self.looking.of_reads);
        if reads_left + self.stores.len() <= self.looking.of_all {
            return None;
        }
        // Whoever slept last has most in its caches. Those who could take a store are left for one.
        let last = |takes_stores| self.asleep.iter().rposition(|bell| bell.takes_stores == takes_stores);
        let of_reads = if reads_left > 0 { last(false) } else { None };
        let bell = self.asleep.remove(of_reads.or_else(|| last(true))?);
        *self.looking.of(bell.takes_stores) += 1;
        Some(bell)
    }
}

/// Wakes a worker if one is needed; the lock is given back first, for it is the first thing that the worker wants.
fn wake_one<J>(mut state: MutexGuard<'_, State<J>>) {
    let woken = state.one_to_wake();
    drop(state);
    if let Some(bell) = woken {
        bell.rung.notify_one();
    }
}

/// Drops jobs that nobody has run. What they hold is told of its loss then, by code that is not ours, which may panic.
fn drop_each<J>(jobs: impl Iterator<Item = J>) {
    for job in jobs {
        if catch_unwind(AssertUnwindSafe(|| drop(job))).is_err() {
            tracing::error!("what is told of a job that was not run panicked");
        }
    }
}

impl<J> Seat<J> {
    pub(crate) fn is_closing(&self) -> bool {
        self.queue.closed.load(Ordering::Acquire)
    }

    /// A job that waits already, for a worker that has something else to do.
    pub(crate) fn take(&mut self) -> Option<J> {
        if !self.sees_something() {
            return None;
        }
        let Self { queue, bell, reads_before } = self;
        let mut state = queue.state();
        let job = state.take(bell.takes_stores, reads_before);
        queue.show(&state);
        job
    }

    /// Waits for a job: looks while `look` does, which asks again and again whether there is something, and then sleeps. None
    /// when the queue is closed.
    pub(crate) fn next(&mut self, look: impl Fn(&mut dyn FnMut() -> bool) -> bool) -> Option<Next<J>> {
        let (mut looked, mut slept) = (false, false);
        let mut state = self.queue.state();
        loop {
            if let Some(job) = state.take(self.bell.takes_stores, &mut self.reads_before) {
                self.queue.show(&state);
                // A read that one for reads alone was to take may leave a store without anybody.
                wake_one(state);
                return Some(Next { job, slept });
            }
            if state.closed {
                return None;
            }
            if looked {
                slept = true;
                state.asleep.push(Arc::clone(&self.bell));
                // Whoever takes it out counts it as looking.
                while state.asleep.iter().any(|bell| Arc::ptr_eq(bell, &self.bell)) {
                    state = self.bell.rung.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            } else {
                *state.looking.of(self.bell.takes_stores) += 1;
            }
            drop(state);
            looked = !look(&mut || self.sees_something());
            state = self.queue.state();
            *state.looking.of(self.bell.takes_stores) -= 1;
        }
    }

    /// Whether there may be a job for this worker, or none any more. What is not seen at once is seen with the lock.
    fn sees_something(&self) -> bool {
        let Queue { reads, stores, closed, .. } = &*self.queue;
        reads.load(Ordering::Acquire) > 0
            || self.bell.takes_stores && stores.load(Ordering::Acquire) > 0
            || closed.load(Ordering::Acquire)
    }
}

impl<J> Drop for Seat<J> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        *state.seats.of(self.bell.takes_stores) -= 1;
        let nobody_takes = |class| state.seats.who_take(class) == 0;
        let (no_reads, no_stores) = (nobody_takes(Class::Read), nobody_takes(Class::Store));
        let reads = if no_reads { mem::take(&mut state.reads) } else { VecDeque::new() };
        let stores = if no_stores { mem::take(&mut state.stores) } else { VecDeque::new() };
        self.queue.show(&state);
        drop(state);
        drop_each(reads.into_iter().chain(stores));
    }
}
