//! How many processors the work under way takes, so that who waits for it knows whether there is one left to spin on.
//!
//! To yield is not enough: on a processor that is never idle the kernel leaves a thread that was woken where it is, in a queue
//! behind another one, and two jobs take turns while the processor between them spins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Processors that threads of this process take, or will as soon as they are awake.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Threads that do the work of one queue: for what waits in it and what is being done they take a processor each, and no more.
#[derive(Debug)]
pub struct Crew {
    threads: usize,
    jobs: AtomicUsize,
}

/// A job that waits for one of a crew, or is being done, until this is dropped.
#[derive(Debug)]
pub struct Work {
    crew: Arc<Crew>,
}

impl Crew {
    /// So many threads, with nothing to do.
    pub fn new(threads: usize) -> Self {
        Self { threads, jobs: AtomicUsize::new(0) }
    }

    /// One job more.
    pub fn begin(self: &Arc<Self>) -> Work {
        if self.jobs.fetch_add(1, Ordering::Relaxed) < self.threads {
            TAKEN.fetch_add(1, Ordering::Relaxed);
        }
        Work { crew: Arc::clone(self) }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.crew.jobs.fetch_sub(1, Ordering::Relaxed) <= self.crew.threads {
            TAKEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A thread that spins for a result, until this is dropped.
#[derive(Debug)]
pub(crate) struct Spinner(());

impl Spinner {
    pub(crate) fn begin() -> Self {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Whether it takes a processor that somebody needs.
    pub(crate) fn is_in_the_way(&self) -> bool {
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        let processors = PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
        TAKEN.load(Ordering::Relaxed) > *processors
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, for all of the process count together.
    #[test]
    fn a_crew_takes_a_processor_for_each_job_and_no_more_than_it_has_threads() {
        let processors = thread::available_parallelism().unwrap().get();
        let before = TAKEN.load(Ordering::Relaxed);
        let taken = || TAKEN.load(Ordering::Relaxed) - before;
        let (one, other) = (Arc::new(Crew::new(2)), Arc::new(Crew::new(processors)));
        let mut jobs: Vec<Work> = (0..5).map(|_| one.begin()).collect();
        assert_eq!(taken(), 2);
        let spinner = Spinner::begin();
        assert_eq!(taken(), 3);
        let others: Vec<Work> = (0..processors).map(|_| other.begin()).collect();
        assert!(spinner.is_in_the_way());
        drop(others);
        assert_eq!(taken(), 3);
        for (left, expect) in [(4, 2), (3, 2), (2, 2), (1, 1), (0, 0)] {
            drop(jobs.pop());
            assert_eq!((jobs.len(), taken()), (left, expect + 1));
        }
        drop(spinner);
        assert_eq!(taken(), 0);
    }
}
