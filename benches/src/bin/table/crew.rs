//! Threads that do what is raw I/O: helpers, which take from one queue as soon as they are awake, and mostly the caller, too.

use std::io;
use std::thread;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, unbounded};
use nixl_l2::Lease;

use crate::bed::Cost;

/// Fills a lease.
pub(crate) type Job = Box<dyn FnOnce() -> io::Result<Lease> + Send>;

type Numbered = (usize, Job);
type Done = (usize, io::Result<Lease>);
/// The jobs, and whom to tell.
type Batch = (Receiver<Numbered>, Sender<Vec<Done>>);

/// Some threads.
pub(crate) struct Crew {
    /// Whether the caller is one of them; else it sleeps until they are done.
    with_caller: bool,
    helpers: Vec<Sender<Batch>>,
}

impl Crew {
    /// Of so many threads, at least one, the caller's included.
    pub(crate) fn of(threads: usize) -> Result<Self> {
        Ok(Self { with_caller: true, ..Self::woken(threads.saturating_sub(1))? })
    }

    /// Of so many threads, without the caller: as an adapter has workers.
    pub(crate) fn woken(threads: usize) -> Result<Self> {
        let helper = |_| {
            let (sender, batches) = unbounded::<Batch>();
            // One message each: who waits is woken once by each thread, and not by each object. If it has gone, so be it.
            let help = move || batches.into_iter().for_each(|(jobs, done)| drop(done.send(work(&jobs))));
            thread::Builder::new().name("raw".to_owned()).spawn(help)?;
            Ok(sender)
        };
        Ok(Self { with_caller: false, helpers: (0..threads).map(helper).collect::<io::Result<_>>()? })
    }

    /// Does all jobs. The leases come back in their order.
    pub(crate) fn run(&self, jobs: Vec<Job>) -> Result<(Cost, Vec<Lease>)> {
        let count = jobs.len();
        if self.helpers.is_empty() {
            let (cost, leases) = Cost::of(|| jobs.into_iter().map(|job| job()).collect::<io::Result<_>>());
            return Ok((cost, leases?));
        }
        let (sender, queue) = unbounded();
        jobs.into_iter().enumerate().try_for_each(|job| sender.send(job)).ok().context("a queue is gone")?;
        drop(sender);
        let (done, results) = unbounded();
        let (cost, ended) = Cost::of(|| {
            for helper in &self.helpers {
                helper.send((queue.clone(), done.clone())).ok().context("a helper is gone")?;
            }
            drop(done);
            let mut ended = if self.with_caller { work(&queue) } else { Vec::with_capacity(count) };
            // Not until all helpers have told: one that is woken too late has nothing to tell.
            while ended.len() < count {
                ended.extend(results.recv().context("a helper ended without its results")?);
            }
            anyhow::Ok(ended)
        });
        let mut ended = ended?;
        ended.sort_by_key(|(number, _)| *number);
        Ok((cost, ended.into_iter().map(|(_, lease)| lease).collect::<io::Result<_>>()?))
    }
}

fn work(jobs: &Receiver<Numbered>) -> Vec<Done> {
    jobs.try_iter().map(|(number, job)| (number, job())).collect()
}
