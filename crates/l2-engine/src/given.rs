//! What a worker is given when it starts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use l2_core::{Spin, Stages, Work};

use crate::agents::Agents;
use crate::error::EngineError;
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
    pub(crate) reads: Receiver<Submitted>,
    /// A channel that never delivers, for a worker that takes reads alone.
    pub(crate) stores: Receiver<Submitted>,
    /// Disconnected when the engine closes.
    pub(crate) closing: Receiver<()>,
    /// How long this worker, without work, looks for some before it sleeps.
    pub(crate) spin: Spin,
    /// Where is recorded how long they waited, and how long NIXL took for what they asked for.
    pub(crate) stages: Stages,
}

impl Inbox {
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.closing.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// A job that is there already, a read before a store; counts the reads in a row.
    pub(crate) fn job_that_waits(&self, reads_in_a_row: &mut u32) -> Option<Submitted> {
        if let Ok(job) = self.reads.try_recv() {
            *reads_in_a_row += 1;
            return Some(job);
        }
        let job = self.stores.try_recv().ok()?;
        *reads_in_a_row = 0;
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
