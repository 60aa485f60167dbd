//! The handle: starts the workers, hands them jobs, closes them.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use l2_core::{Crew, Spin, Stages};
use nixl_safe::Nixl;
use nixl_safe::memory::Region;

use crate::agents::Agents;
use crate::config::{EngineConfig, WORKERS_MAX};
use crate::error::EngineError;
use crate::given::{Inbox, Limits, Opener, Submitted};
use crate::join::join_within;
use crate::queue::Queue;
use crate::request::{Class, Job};
use crate::session::{Fixtures, Session};
use crate::worker::Worker;

/// Longest time limit that is kept.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Worker threads with NIXL. Dropping it closes it.
pub struct Engine {
    queue: Arc<Queue<Submitted>>,
    crew: Arc<Crew>,
    /// Until the engine closes.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// After closing: those whose transfers have not ended.
    agents: Arc<Agents>,
    drain_timeout: Duration,
    workers: usize,
}

impl Engine {
    /// Starts the workers, each with its own agent and backend, and registers the `fixtures` with each.
    ///
    /// # Errors
    /// When one worker cannot be set up; the others are ended, and nothing is left.
    pub fn start(nixl: Nixl, config: EngineConfig, fixtures: &Fixtures) -> Result<Self, EngineError> {
        Self::start_measured(nixl, config, fixtures, &Stages::default())
    }

    /// [`Engine::start`], with how long jobs wait and requests take recorded.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_measured(
        nixl: Nixl,
        mut config: EngineConfig,
        fixtures: &Fixtures,
        stages: &Stages,
    ) -> Result<Self, EngineError> {
        // Far enough for any storage, and near enough for the clock.
        config.io_timeout = config.io_timeout.min(LONGEST);
        config.drain_timeout = config.drain_timeout.min(LONGEST);
        if config.workers == 0 || config.workers > WORKERS_MAX {
            return Err(EngineError::Workers(config.workers));
        }
        // Dropped on an early return, it ends the workers that have been started.
        let engine = Self {
            queue: Arc::new(Queue::new()),
            crew: Arc::new(Crew::new(config.workers)),
            threads: Mutex::default(),
            agents: Arc::default(),
            drain_timeout: config.drain_timeout,
            workers: config.workers,
        };
        let config = Arc::new(config);
        for number in 0..config.workers {
            // The first of several workers takes no stores: a read never waits behind the copying of one.
            let takes_stores = number > 0 || config.workers == 1;
            let inbox = Inbox {
                seat: engine.queue.seat(takes_stores),
                spin: Spin::new(config.spin),
                stages: stages.clone(),
            };
            let thread = spawn(nixl, number, &config, fixtures.clone(), inbox, &engine.agents)?;
            engine.threads().push(thread);
        }
        Ok(engine)
    }

    /// Whether workers could be set up for `l1`: loads the plugin, sets one up, asks whether it moves such memory, and
    /// ends it again. The memory is not registered, which can take long.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn check(nixl: Nixl, config: &EngineConfig, l1: &Region) -> Result<(), EngineError> {
        let session = Session::open(nixl, "nixl-l2:check", config, Fixtures::default())?;
        Ok(session.backend().check_memory(l1)?)
    }

    /// Queues a job; never blocks. After the engine closed, the job is dropped unrun.
    pub fn submit(&self, class: Class, job: Job) {
        self.queue.push(class, Submitted { job, at: Instant::now(), work: self.crew.begin() });
    }

    /// Ends what is in flight (parks it after the drain time), drops what was not begun, and joins the threads, those
    /// that hang in the storage excepted: they are left behind. Idempotent.
    pub fn close(&self) {
        /// For what a worker does beside draining.
        const MARGIN: Duration = Duration::from_secs(5);
        self.queue.close();
        let threads = mem::take(&mut *self.threads());
        if !threads.is_empty() {
            // A little longer than they wait for the storage.
            join_within(threads, self.drain_timeout.saturating_add(MARGIN));
            self.agents.end();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Whether all workers are there.
    pub fn is_healthy(&self) -> bool {
        self.queue.seats() == self.workers
    }

    /// Transfers past their deadline whose memory NIXL has not let go of; also after closing.
    pub fn parked_transfers(&self) -> usize {
        self.agents.parked_transfers()
    }

    /// NIXL agents that let several requests in a row run out of time, and were replaced by new ones.
    pub fn replaced_agents(&self) -> u64 {
        self.agents.replaced()
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

/// Starts a worker and waits until its NIXL is set up.
fn spawn(
    nixl: Nixl,
    number: usize,
    config: &Arc<EngineConfig>,
    fixtures: Fixtures,
    inbox: Inbox,
    agents: &Arc<Agents>,
) -> Result<JoinHandle<()>, EngineError> {
    let (ready, is_ready): (Sender<Result<(), EngineError>>, Receiver<_>) = bounded(1);
    let (config, agents) = (Arc::clone(config), Arc::clone(agents));
    let work = move || {
        let mut generation = 0u64;
        let mut open = {
            let config = Arc::clone(&config);
            move || {
                let name = format!("nixl-l2:{number}.{generation}");
                generation += 1;
                Session::open(nixl, &name, &config, fixtures.clone())
            }
        };
        match open() {
            Err(error) => drop(ready.send(Err(error))),
            Ok(session) => {
                agents.add(session.backend().clone());
                drop(ready.send(Ok(())));
                let limits = Limits {
                    io_timeout: config.io_timeout,
                    drain_timeout: config.drain_timeout,
                    pieces_in_flight: config.pieces_in_flight.max(1),
                };
                let opener = Opener { open: Box::new(open), agents, workers: config.workers };
                Worker::new(session, opener, inbox, limits).run();
            }
        }
    };
    // Linux shows at most 15 bytes of a thread's name.
    let thread = thread::Builder::new()
        .name(format!("nixl-l2:io-{number}"))
        .spawn(work)
        .map_err(EngineError::Thread)?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(thread),
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
