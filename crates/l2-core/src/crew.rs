//! How many processors the work under way takes, so that who waits for it knows whether there is one left to spin on.
//!
//! To yield is not enough: on a processor that is never idle the kernel leaves a thread that was woken where it is, in a queue
//! behind another one, and two jobs take turns while the processor between them spins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Processors that threads of this process take, or will as soon as they are awake. Who only looks for work is not counted: that
/// gives its processor to whoever is woken on it.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Threads that do the work of one queue: for what waits in it and what is being run they take a processor each, and no more.
#[derive(Debug)]
pub struct Crew {
    threads: usize,
    jobs: AtomicUsize,
    taken: &'static AtomicUsize,
}

/// A job that waits for one of a crew, or is being run, until this is dropped. What it has left to a device takes no processor.
#[derive(Debug)]
pub struct Work {
    crew: Arc<Crew>,
}

impl Crew {
    /// So many threads, with nothing to do.
    pub fn new(threads: usize) -> Self {
        // Known before anybody waits, on whatever processor that one may be.
        processors();
        Self::counted_in(&TAKEN, threads)
    }

    fn counted_in(taken: &'static AtomicUsize, threads: usize) -> Self {
        Self { threads, jobs: AtomicUsize::new(0), taken }
    }

    /// One job more.
    pub fn begin(self: &Arc<Self>) -> Work {
        if self.jobs.fetch_add(1, Ordering::Relaxed) < self.threads {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        Work { crew: Arc::clone(self) }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.crew.jobs.fetch_sub(1, Ordering::Relaxed) <= self.crew.threads {
            self.crew.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// A thread that spins for a result, until this is dropped.
#[derive(Debug)]
pub(crate) struct Spinner {
    taken: &'static AtomicUsize,
}

impl Spinner {
    pub(crate) fn begin() -> Self {
        Self::counted_in(&TAKEN)
    }

    fn counted_in(taken: &'static AtomicUsize) -> Self {
        taken.fetch_add(1, Ordering::Relaxed);
        Self { taken }
    }

    /// Whether it takes a processor that somebody needs.
    pub(crate) fn is_in_the_way(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > processors()
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crew_takes_a_processor_for_each_job_and_no_more_than_it_has_threads() {
        static HERE: AtomicUsize = AtomicUsize::new(0);
        let taken = || HERE.load(Ordering::Relaxed);
        let crew = |threads| Arc::new(Crew::counted_in(&HERE, threads));
        let (one, other) = (crew(2), crew(processors()));
        let mut jobs: Vec<Work> = (0..5).map(|_| one.begin()).collect();
        assert_eq!(taken(), 2);
        let spinner = Spinner::counted_in(&HERE);
        assert_eq!(taken(), 3);
        let others: Vec<Work> = (0..processors()).map(|_| other.begin()).collect();
        assert!(spinner.is_in_the_way());
        drop(others);
        assert_eq!(taken(), 3);
        for (left, expect) in [(4, 2), (3, 2), (2, 2), (1, 1), (0, 0)] {
            drop(jobs.pop());
            assert_eq!((jobs.len(), taken()), (left, expect + 1));
        }
        assert!(!spinner.is_in_the_way());
        drop(spinner);
        assert_eq!(taken(), 0);
    }
}
