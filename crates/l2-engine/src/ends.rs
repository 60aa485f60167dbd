//! How moves and questions end: the adapter's code is run with the outcome, and cannot take the worker with it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::EngineError;
use crate::request::{Answered, Move, Moved, Question, Request, Then};

/// Ends a move that is not to be posted.
pub(crate) fn refuse(next: Move, error: impl FnOnce() -> EngineError) -> Vec<Move> {
    fn with<M>(request: Request<M>, error: EngineError) -> Vec<Move> {
        let Request { pieces, keep, then } = request;
        // Before the end is told: what it kept is free then.
        drop(keep);
        let memory = pieces.into_iter().map(|piece| piece.memory).collect();
        end(then, Moved { result: Err(error), memory: Some(memory) })
    }
    match next {
        Move::Load(request) => with(request, error()),
        Move::Store(request) => with(request, error()),
        Move::Ask(Question { then, .. }) => answered(then, Err(error())),
    }
}

/// Hands on the answer to a question.
pub(crate) fn answered(then: Answered, answer: Result<Vec<bool>, EngineError>) -> Vec<Move> {
    guarded("the answer to a question", move || then(answer)).unwrap_or_default()
}

/// Hands on how a move ended.
pub(crate) fn end<M>(then: Then<M>, moved: Moved<M>) -> Vec<Move> {
    guarded("the end of a move", move || then(moved)).unwrap_or_default()
}

/// Runs an adapter's code. A panic in it loses its own request (whose slots report that when they are dropped), not
/// the worker.
pub(crate) fn guarded<T>(what: &str, code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code))
        .inspect_err(|_| tracing::error!("{what} panicked; this is a bug, the worker goes on"))
        .ok()
}
