//! Requests in flight on one worker: posted, polled, ended, or parked at their deadline.

use std::time::{Duration, Instant};

use nixl_safe::{ErrorKind, Part, Progress, Refused, Registration, Transfer, TransferMemory};

use crate::error::EngineError;
use crate::request::{Moved, Piece, Request, Then};
use crate::session::Session;

/// A request that was posted.
pub(crate) struct Posted<M: TransferMemory> {
    transfer: Transfer<M>,
    then: Then<M>,
    pieces: usize,
    deadline: Instant,
}

/// What became of a request when it was to be posted.
pub(crate) enum Start<M: TransferMemory> {
    Posted(Posted<M>),
    /// NIXL's queue is full: to be tried again when something has ended.
    Later(Request<M>),
    /// It ended at once; `then` is to be run with this.
    Ended(Then<M>, Moved<M>),
}

/// Registers what the request names and posts it.
pub(crate) fn start<M: TransferMemory>(
    session: &mut Session,
    request: Request<M>,
    limit: Duration,
) -> Start<M> {
    let Request { pieces, then } = request;
    let count = pieces.len();
    let (memory, storage) = match register(session, &pieces) {
        Ok(registrations) => registrations,
        Err(error) => {
            let memory = pieces.into_iter().map(|piece| piece.memory).collect();
            return Start::Ended(then, Moved { result: Err(error), memory: Some(memory) });
        }
    };
    let mut places = Vec::with_capacity(count);
    let parts = pieces.into_iter().enumerate().map(|(index, piece)| {
        places.push((piece.storage, piece.offset));
        Part { memory: piece.memory, index, offset: piece.offset }
    });
    let parts = parts.collect();
    match session.backend().start(&memory, &storage, parts) {
        Ok(transfer) => {
            Start::Posted(Posted { transfer, then, pieces: count, deadline: Instant::now() + limit })
        }
        Err(Refused { error, memory })
            if error.kind() == ErrorKind::QueueFull && count > session.backend().queue_size() =>
        {
            tracing::debug!(%error, "a request that would never fit");
            let error =
                EngineError::Malformed("it has more pieces than the plugin's queue; raise ios_pool_size");
            Start::Ended(then, Moved { result: Err(error), memory: Some(memory) })
        }
        Err(Refused { error, memory }) if error.kind() == ErrorKind::QueueFull && memory.len() == count => {
            let pieces = memory.into_iter().zip(places);
            let pieces =
                pieces.map(|(memory, (storage, offset))| Piece { memory, storage, offset }).collect();
            Start::Later(Request { pieces, then })
        }
        Err(Refused { error, memory }) => {
            // Memory that NIXL may still be writing to is not given back.
            let memory = (memory.len() == count).then_some(memory);
            Start::Ended(then, Moved { result: Err(error.into()), memory })
        }
    }
}

fn register<M: TransferMemory>(
    session: &mut Session,
    pieces: &[Piece<M>],
) -> Result<(Registration, Registration), EngineError> {
    let Some(first) = pieces.first() else { return Err(EngineError::Malformed("it has no pieces")) };
    let region = first.memory.region();
    if pieces.iter().any(|piece| piece.memory.region().id() != region.id()) {
        return Err(EngineError::Malformed("its memory is of more than one region"));
    }
    Ok((session.memory(region)?, session.storage(pieces.iter().map(|piece| &piece.storage))?))
}

impl<M: TransferMemory> Posted<M> {
    pub(crate) fn pieces(&self) -> usize {
        self.pieces
    }

    /// Lets NIXL make progress. Whether the request has ended or its time has run out.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        self.transfer.poll() == Progress::Done || now >= self.deadline
    }

    /// The outcome. A request that NIXL has not ended is parked with its memory until it has.
    pub(crate) fn end(self, limit: Duration) -> (Then<M>, Moved<M>) {
        let moved = match self.transfer.finish() {
            Ok(finished) => {
                Moved { result: finished.result.map_err(EngineError::from), memory: Some(finished.memory) }
            }
            Err(in_flight) => {
                drop(in_flight);
                Moved { result: Err(EngineError::TimedOut(limit)), memory: None }
            }
        };
        (self.then, moved)
    }
}
