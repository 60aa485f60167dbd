//! What a worker is given when it starts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use l2_core::{Spin, Stages, Work};

use crate::agents::Agents;
use crate::error::EngineError;
use crate::queue::{Next, Seat};
use crate::request::Job;
use crate::session::Session;

/// A job, and when it was handed in.
pub(crate) struct Submitted {
    pub(crate) job: Job,
    pub(crate) at: Instant,
    /// Until it has been run.
    pub(crate) work: Work,
}

/// Where a worker's jobs come from.
pub(crate) struct Inbox {
    pub(crate) seat: Seat<Submitted>,
    /// How long this worker, without work, looks for some before it sleeps.
    pub(crate) spin: Spin,
    /// Where is recorded how long they waited, and how long NIXL took for what they asked for.
    pub(crate) stages: Stages,
}

impl Inbox {
    /// Blocks until there is a job; none when the engine closes.
    pub(crate) fn next_job(&mut self) -> Option<Submitted> {
        let begun = Instant::now();
        let Self { seat, spin, .. } = self;
        let Next { job, slept } = seat.next(|is_there| spin.until(|| is_there().then_some(())).is_some())?;
        if slept {
            spin.slept(job.at.saturating_duration_since(begun));
        }
        Some(job)
    }
}

/// What a worker is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) io_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) pieces_in_flight: usize,
}

/// How a worker comes to a new agent.
pub(crate) struct Opener {
    pub(crate) open: Box<dyn FnMut() -> Result<Session, EngineError> + Send>,
    pub(crate) agents: Arc<Agents>,
    pub(crate) workers: usize,
}
