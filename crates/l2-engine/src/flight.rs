//! Requests in flight on one worker: posted, polled, ended, or parked at their deadline.
//!
//! A request that is more than the plugin takes at once goes in rounds: the next one is posted when one has ended well.

use std::time::{Duration, Instant};

use nixl_safe::{ErrorKind, Keep, Progress, Refused, Transfer, TransferMemory};

use crate::error::EngineError;
use crate::plan::Plan;
use crate::request::{Moved, Request, Then};
use crate::session::Session;

/// A request under way.
struct Flight<M> {
    plan: Plan,
    /// How many runs have been moved.
    done: usize,
    /// How many are in the round that is in flight, or to be posted.
    round: usize,
    keep: Option<Keep>,
    then: Then<M>,
    pieces: usize,
    since: Instant,
    deadline: Instant,
}

/// A request between two rounds, or before its first: it has its memory.
pub(crate) struct Waiting<M> {
    flight: Flight<M>,
    memory: Vec<M>,
}

/// A request whose round was posted: NIXL has its memory.
pub(crate) struct Posted<M: TransferMemory> {
    flight: Flight<M>,
    transfer: Transfer<M>,
}

/// What became of a request when it was to be posted.
pub(crate) enum Start<M: TransferMemory> {
    Posted(Posted<M>),
    /// NIXL's queue is full: to be tried again when something has ended.
    Later(Waiting<M>),
    /// It ended at once; `then` is to be run with this.
    Ended(Then<M>, Moved<M>),
}

/// Registers what the request names and posts its first round.
pub(crate) fn start<M: TransferMemory>(session: &Session, request: Request<M>, limit: Duration) -> Start<M> {
    let Request { pieces, keep, then } = request;
    let plan = Plan::of(session, &pieces);
    let count = pieces.len();
    let memory = pieces.into_iter().map(|piece| piece.memory).collect();
    match plan {
        Ok(plan) => {
            let since = Instant::now();
            let deadline = since + limit;
            let flight = Flight { plan, done: 0, round: 0, keep, then, pieces: count, since, deadline };
            Waiting { flight, memory }.post(session)
        }
        Err(error) => Start::Ended(then, Moved { result: Err(error), memory: Some(memory) }),
    }
}

impl<M: TransferMemory> Waiting<M> {
    /// Posts the next round.
    pub(crate) fn post(self, session: &Session) -> Start<M> {
        let Self { mut flight, memory } = self;
        let left = flight.plan.runs.get(flight.done..).unwrap_or_default();
        let round = left.get(..session.backend().request_size()).unwrap_or(left);
        flight.round = round.len();
        let leases = memory.len();
        let Plan { memory: registered, storage, .. } = &flight.plan;
        match session.backend().start_runs(registered, storage, memory, round, flight.keep.clone()) {
            Ok(transfer) => Start::Posted(Posted { flight, transfer }),
            Err(Refused { error, memory })
                if error.kind() == ErrorKind::QueueFull && memory.len() == leases =>
            {
                Start::Later(Self { flight, memory })
            }
            Err(Refused { error, memory }) => {
                // Memory that NIXL may still be writing to is not given back.
                let memory = (memory.len() == leases).then_some(memory);
                Start::Ended(flight.then, Moved { result: Err(error.into()), memory })
            }
        }
    }

    /// Whether its time has run out.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        now >= self.flight.deadline
    }

    /// Ends it before its next round.
    pub(crate) fn give_up(self, why: EngineError) -> (Then<M>, Moved<M>) {
        (self.flight.then, Moved { result: Err(why), memory: Some(self.memory) })
    }
}

/// What a round that is over leads to.
pub(crate) enum Landed<M: TransferMemory> {
    /// The next round.
    Next(Waiting<M>),
    /// The end; `then` is to be run with this.
    Ended(Then<M>, Moved<M>),
}

impl<M: TransferMemory> Posted<M> {
    pub(crate) fn pieces(&self) -> usize {
        self.flight.pieces
    }

    /// When its first round was to be posted.
    pub(crate) fn since(&self) -> Instant {
        self.flight.since
    }

    /// Lets NIXL make progress. Whether the round has ended or the request's time has run out.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        /// POSIX hands the kernel so many runs at a poll, and copies buffered ones then and there: without a pause between,
        /// an object in many runs is moved as if it were in one.
        const RUNS_OF_A_POLL: usize = 64;
        let polls = self.flight.round.div_ceil(RUNS_OF_A_POLL);
        (0..polls).any(|_| self.transfer.poll() == Progress::Done) || now >= self.flight.deadline
    }

    /// The outcome. A request that NIXL has not ended within `limit` is parked with its memory until it has.
    pub(crate) fn land(self, limit: Duration) -> Landed<M> {
        let Self { mut flight, transfer } = self;
        let ended = |flight: Flight<M>, result, memory| Landed::Ended(flight.then, Moved { result, memory });
        let finished = match transfer.finish() {
            Ok(finished) => finished,
            Err(in_flight) => {
                drop(in_flight);
                return ended(flight, Err(EngineError::TimedOut(limit)), None);
            }
        };
        flight.done += flight.round;
        match finished.result {
            Ok(()) if flight.done < flight.plan.runs.len() => {
                Landed::Next(Waiting { flight, memory: finished.memory })
            }
            result => ended(flight, result.map_err(EngineError::from), Some(finished.memory)),
        }
    }
}
