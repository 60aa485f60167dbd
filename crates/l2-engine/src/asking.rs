//! Questions to an object store, asked by threads of their own: a server that is away may take half a minute to answer.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use nixl_safe::Backend;

use crate::error::EngineError;
use crate::request::{Answered, Question};

type Answer = Result<Vec<bool>, EngineError>;

/// A question under way.
pub(crate) struct Asking {
    answer: Receiver<Answer>,
    then: Answered,
    deadline: Instant,
}

impl Asking {
    /// Has a thread ask. It holds the backend until the store has answered, and is not waited for.
    pub(crate) fn start(
        backend: Backend,
        question: Question,
        deadline: Instant,
    ) -> Result<Self, (Answered, EngineError)> {
        let Question { names, then } = question;
        let (sender, answer) = bounded(1);
        let ask = move || {
            let found = backend.query_objects(&names).map_err(EngineError::from);
            // Nobody listens any more when it comes too late.
            drop(sender.send(found.map(|found| found.iter().map(Option::is_some).collect())));
        };
        match thread::Builder::new().name("nixl-l2:ask".to_owned()).spawn(ask) {
            Ok(_) => Ok(Self { answer, then, deadline }),
            Err(error) => Err((then, EngineError::Thread(error))),
        }
    }

    /// The answer, or that there will be none: its time, of `limit`, has run out, or the engine is closing. Itself, if
    /// neither.
    pub(crate) fn hear(self, limit: Duration, closing: bool) -> Result<(Answered, Answer), Self> {
        let heard = match self.answer.try_recv() {
            Ok(heard) => heard,
            Err(TryRecvError::Disconnected) => Err(EngineError::Closed),
            Err(TryRecvError::Empty) if closing => Err(EngineError::Closed),
            Err(TryRecvError::Empty) if Instant::now() >= self.deadline => Err(EngineError::TimedOut(limit)),
            Err(TryRecvError::Empty) => return Err(self),
        };
        Ok((self.then, heard))
    }
}
