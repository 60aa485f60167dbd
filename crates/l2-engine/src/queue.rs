//! Where jobs wait for a worker, and workers for a job.
//!
//! To wake a thread is a call of the kernel, and takes longer than all else that handing a job in does. So a worker without
//! work either looks for some, and finds the next job by itself, or sleeps; and one is woken only where more jobs wait than
//! there are workers who look for them.

use std::collections::VecDeque;
use std::mem;

use crate::request::Class;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// After so many reads in a row a store gets its turn, so that reads without end cannot starve it.
const READS_IN_A_ROW: u32 = 64;

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
    /// Seats whose workers look for a job, those included that are being woken to do so.
    looking: Looking,
    asleep: Vec<Arc<Bed>>,
    seats: usize,
    closed: bool,
}

#[derive(Default)]
struct Looking {
    for_reads: usize,
    for_all: usize,
}

/// Where one worker sleeps.
struct Bed {
    takes_stores: bool,
    bell: Condvar,
}

/// A worker's place at a queue. When the last one is gone, what waits is dropped.
pub(crate) struct Seat<J> {
    queue: Arc<Queue<J>>,
    bed: Arc<Bed>,
    reads_in_a_row: u32,
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
            looking: Looking::default(),
            asleep: Vec::new(),
            seats: 0,
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
        self.state().seats += 1;
        let bed = Arc::new(Bed { takes_stores, bell: Condvar::new() });
        Seat { queue: Arc::clone(self), bed, reads_in_a_row: 0 }
    }

    /// How many workers there are.
    pub(crate) fn seats(&self) -> usize {
        self.state().seats
    }

    /// How many of them sleep.
    #[cfg(test)]
    pub(crate) fn asleep(&self) -> usize {
        self.state().asleep.len()
    }

    /// Puts a job in; drops it when the queue is closed.
    pub(crate) fn push(&self, class: Class, job: J) {
        let mut state = self.state();
        if state.closed {
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

    /// Drops what waits, and tells the workers.
    pub(crate) fn close(&self) {
        self.close_with(self.state());
    }

    fn close_with(&self, mut state: MutexGuard<'_, State<J>>) {
        state.closed = true;
        let unrun = (mem::take(&mut state.reads), mem::take(&mut state.stores));
        let asleep = mem::take(&mut state.asleep);
        asleep.iter().for_each(|bed| *state.looking.like(bed) += 1);
        self.show(&state);
        drop(state);
        asleep.iter().for_each(|bed| bed.bell.notify_one());
        drop(unrun);
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

impl Looking {
    /// Those who take what this one does.
    fn like(&mut self, bed: &Bed) -> &mut usize {
        if bed.takes_stores { &mut self.for_all } else { &mut self.for_reads }
    }
}

impl<J> State<J> {
    /// One to be woken, if more jobs wait than there are workers who look for them. It counts as looking from now on.
    fn one_to_wake(&mut self) -> Option<Arc<Bed>> {
        let reads_left = self.reads.len().saturating_sub(self.looking.for_reads);
        if reads_left + self.stores.len() <= self.looking.for_all {
            return None;
        }
        // Whoever slept last has most in its caches. Those who could take a store are left for one.
        let last = |takes_stores| self.asleep.iter().rposition(|bed| bed.takes_stores == takes_stores);
        let only_reads = if reads_left > 0 { last(false) } else { None };
        let bed = self.asleep.remove(only_reads.or_else(|| last(true))?);
        *self.looking.like(&bed) += 1;
        Some(bed)
    }
}

/// Wakes a worker if one is needed; the lock is given back first, for it is the first thing that the worker wants.
fn wake_one<J>(mut state: MutexGuard<'_, State<J>>) {
    let woken = state.one_to_wake();
    drop(state);
    if let Some(bed) = woken {
        bed.bell.notify_one();
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
        let Self { queue, bed, reads_in_a_row } = self;
        let mut state = queue.state();
        let job = take(&mut state, bed, reads_in_a_row);
        queue.show(&state);
        job
    }

    /// Waits for a job: looks, as long as `look` asks whether there is something, and then sleeps. None when the queue is closed.
    pub(crate) fn next(&mut self, look: impl Fn(&mut dyn FnMut() -> bool) -> bool) -> Option<Next<J>> {
        let mut slept = false;
        *self.queue.state().looking.like(&self.bed) += 1;
        loop {
            let saw = look(&mut || self.sees_something());
            let Self { queue, bed, reads_in_a_row } = self;
            let mut state = queue.state();
            let job = take(&mut state, bed, reads_in_a_row);
            if job.is_some() || state.closed {
                queue.show(&state);
                *state.looking.like(bed) -= 1;
                // Who takes a read that one for reads alone was to take leaves a store without anybody.
                wake_one(state);
                return job.map(|job| Next { job, slept });
            }
            if saw {
                // Somebody else has taken it.
                continue;
            }
            slept = true;
            *state.looking.like(bed) -= 1;
            state.asleep.push(Arc::clone(bed));
            while state.asleep.iter().any(|other| Arc::ptr_eq(other, bed)) {
                state = bed.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Whether there may be a job for this worker, or none any more. What is not seen at once is seen with the lock.
    fn sees_something(&self) -> bool {
        let Queue { reads, stores, closed, .. } = &*self.queue;
        reads.load(Ordering::Acquire) > 0
            || self.bed.takes_stores && stores.load(Ordering::Acquire) > 0
            || closed.load(Ordering::Acquire)
    }
}

/// A read before a store, unless that has waited for long enough.
fn take<J>(state: &mut State<J>, bed: &Bed, reads_in_a_row: &mut u32) -> Option<J> {
    let is_stores_turn = bed.takes_stores && *reads_in_a_row >= READS_IN_A_ROW && !state.stores.is_empty();
    if !is_stores_turn && let Some(job) = state.reads.pop_front() {
        *reads_in_a_row = reads_in_a_row.saturating_add(1);
        return Some(job);
    }
    if !bed.takes_stores {
        return None;
    }
    let job = state.stores.pop_front()?;
    *reads_in_a_row = 0;
    Some(job)
}

impl<J> Drop for Seat<J> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.seats -= 1;
        if state.seats == 0 {
            self.queue.close_with(state);
        }
    }
}
