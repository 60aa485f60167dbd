//! The handle: starts the workers, hands them jobs, closes them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, never, unbounded};
use nixl_safe::memory::Region;
use nixl_safe::{Backend, Nixl};

use crate::config::{EngineConfig, WORKERS_MAX};
use crate::error::EngineError;
use crate::request::{Class, Job};
use crate::session::Session;
use crate::worker::{Inbox, Limits, Worker};

/// Worker threads with NIXL. Dropping it closes it.
pub struct Engine {
    reads: Sender<Job>,
    stores: Sender<Job>,
    running: Mutex<Option<Running>>,
    alive: Arc<AtomicUsize>,
    workers: usize,
}

/// What there is until the engine closes.
struct Running {
    /// Dropped to tell the workers.
    _closing: Sender<()>,
    threads: Vec<JoinHandle<()>>,
    backends: Vec<Backend>,
}

/// Counts a worker that is alive, however it ends.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Engine {
    /// Starts the workers, each with its own agent and backend, and registers `regions` with each.
    ///
    /// # Errors
    /// When one worker cannot be set up; the others are ended, and nothing is left.
    pub fn start(nixl: Nixl, config: EngineConfig, regions: &[Region]) -> Result<Self, EngineError> {
        if config.workers == 0 || config.workers > WORKERS_MAX {
            return Err(EngineError::Workers(config.workers));
        }
        let (reads, read_jobs) = unbounded();
        let (stores, store_jobs) = unbounded();
        let (closing, closed) = bounded(0);
        let alive = Arc::new(AtomicUsize::new(0));
        let mut running = Running { _closing: closing, threads: Vec::new(), backends: Vec::new() };
        let config = Arc::new(config);
        for number in 0..config.workers {
            // The first of several workers takes no stores: a read never waits behind the copying of one.
            let takes_stores = number > 0 || config.workers == 1;
            let inbox = Inbox {
                reads: read_jobs.clone(),
                stores: if takes_stores { store_jobs.clone() } else { never() },
                closing: closed.clone(),
            };
            match spawn(nixl, number, &config, regions.to_vec(), inbox, &alive) {
                Ok((thread, backend)) => {
                    running.threads.push(thread);
                    running.backends.push(backend);
                }
                Err(error) => {
                    running.end();
                    return Err(error);
                }
            }
        }
        Ok(Self { reads, stores, running: Mutex::new(Some(running)), alive, workers: config.workers })
    }

    /// Queues a job; never blocks. After the engine closed, the job is dropped unrun.
    pub fn submit(&self, class: Class, job: Job) {
        let queue = match class {
            Class::Read => &self.reads,
            Class::Store => &self.stores,
        };
        // Refused only when no worker is left; the job's drop reports it.
        drop(queue.send(job));
    }

    /// Ends what is in flight (parks it after the drain time), drops what was not begun, and joins the threads.
    /// Idempotent.
    pub fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.end();
        }
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Whether all workers are there.
    pub fn is_healthy(&self) -> bool {
        self.alive.load(Ordering::Acquire) == self.workers
    }

    /// Transfers past their deadline whose memory NIXL has not let go of.
    pub fn parked_transfers(&self) -> usize {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().flat_map(|running| &running.backends).map(Backend::parked_transfers).sum()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("workers", &self.workers).field("healthy", &self.is_healthy()).finish()
    }
}

impl Running {
    fn end(self) {
        let Self { _closing, threads, backends } = self;
        drop(_closing);
        drop(backends);
        let own = thread::current().id();
        // A job whose drop closes the engine runs on one of them: that one ends by itself.
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            // A worker guards every call into foreign code; had one panicked all the same, it is gone: nothing to do.
            let _ = thread.join();
        }
    }
}

/// Starts a worker and waits until its NIXL is set up.
fn spawn(
    nixl: Nixl,
    number: usize,
    config: &Arc<EngineConfig>,
    regions: Vec<Region>,
    inbox: Inbox,
    alive: &Arc<AtomicUsize>,
) -> Result<(JoinHandle<()>, Backend), EngineError> {
    let (ready, is_ready): (Sender<Result<Backend, EngineError>>, Receiver<_>) = bounded(1);
    let config = Arc::clone(config);
    let mark = Alive(Arc::clone(alive));
    alive.fetch_add(1, Ordering::AcqRel);
    let work = move || {
        let _mark = mark;
        let name = format!("nixl-l2:{number}");
        match Session::open(nixl, &name, &config, &regions) {
            Err(error) => drop(ready.send(Err(error))),
            Ok(session) => {
                drop(regions);
                drop(ready.send(Ok(session.backend().clone())));
                let limits = Limits {
                    io_timeout: config.io_timeout,
                    drain_timeout: config.drain_timeout,
                    pieces_in_flight: config.pieces_in_flight.max(1),
                };
                Worker::new(session, inbox, limits).run();
            }
        }
    };
    // Linux shows at most 15 bytes of a thread's name.
    let thread = thread::Builder::new()
        .name(format!("nixl-l2:io-{number}"))
        .spawn(work)
        .map_err(EngineError::Thread)?;
    match is_ready.recv() {
        Ok(Ok(backend)) => Ok((thread, backend)),
        Ok(Err(error)) => {
            let _ = thread.join();
            Err(error)
        }
        Err(_) => {
            let _ = thread.join();
            Err(EngineError::Closed)
        }
    }
}
