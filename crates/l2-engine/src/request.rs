//! What an adapter asks of the engine: jobs that run on a worker, and the moves that they answer with.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nixl_safe::memory::{Lease, SharedLease};
use nixl_safe::{Keep, ObjectName};

use crate::error::EngineError;

/// Which queue a job waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody waits for the answer: loads and lookups.
    Read,
    /// Nobody does: stores.
    Store,
}

/// Work for a worker thread. It may block on the storage; it answers with the moves that it wants, or none.
///
/// A job that is never run is dropped: whatever it holds must report its loss then.
pub type Job = Box<dyn FnOnce() -> Vec<Move> + Send>;

/// What a request does when it has ended; it may answer with more moves.
pub(crate) type Then<M> = Box<dyn FnOnce(Moved<M>) -> Vec<Move> + Send>;
/// What is done with the answer to a question.
pub(crate) type Answered = Box<dyn FnOnce(Result<Vec<bool>, EngineError>) -> Vec<Move> + Send>;

/// What a worker is to do with the storage.
#[derive(Debug)]
pub enum Move {
    /// From storage to memory.
    Load(Request<Lease>),
    /// From memory to storage.
    Store(Request<SharedLease>),
    /// Whether objects exist.
    Ask(Question),
}

/// Where the bytes are, or go.
#[derive(Debug, Clone)]
pub enum Storage {
    /// An open file, registered for the one request.
    File(Arc<OwnedFd>),
    /// Stretches of the files that the engine was started with; together at least as long as what is moved.
    Pool(Vec<Stretch>),
    /// Objects that hold the bytes one after the other, each of them read or written whole.
    Objects(Vec<ObjectName>),
}

/// Some bytes of a file of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Position of the file among those that the engine was started with.
    pub file: usize,
    /// Start in it, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// A piece of a request: all of `memory`, from or to `offset` of `storage`.
#[derive(Debug)]
pub struct Piece<M> {
    /// The memory.
    pub memory: M,
    /// The file, stretches or objects.
    pub storage: Storage,
    /// Start in it, in bytes; 0 for objects.
    pub offset: u64,
}

/// Pieces that NIXL moves with one outcome for all; and what happens then.
///
/// What is more than the plugin takes at once goes in rounds, one after the other.
pub struct Request<M> {
    pub(crate) pieces: Vec<Piece<M>>,
    pub(crate) keep: Option<Keep>,
    pub(crate) then: Then<M>,
}

impl<M> Request<M> {
    /// A request for these pieces. All memory must be of one region, and all storage of one kind. `then` runs on the
    /// worker, once.
    pub fn new(pieces: Vec<Piece<M>>, then: impl FnOnce(Moved<M>) -> Vec<Move> + Send + 'static) -> Self {
        Self { pieces, keep: None, then: Box::new(then) }
    }

    /// Keeps something until NIXL has let go of the storage, also if the request is parked at its deadline.
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }
}

impl<M> fmt::Debug for Request<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} pieces)", self.pieces.len())
    }
}

/// Whether objects exist. A thread of its own asks, for a server that is away may take half a minute; the time limit is that
/// of a request.
pub struct Question {
    pub(crate) names: Vec<String>,
    pub(crate) then: Answered,
}

impl Question {
    /// A question for these objects. `then` runs on the worker, once, with an answer for each.
    pub fn new(
        names: Vec<String>,
        then: impl FnOnce(Result<Vec<bool>, EngineError>) -> Vec<Move> + Send + 'static,
    ) -> Self {
        Self { names, then: Box::new(then) }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({} objects)", self.names.len())
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Moved<M> {
    /// Whether all of it was moved; after an error it is not known what was.
    pub result: Result<(), EngineError>,
    /// The memory of the pieces, in order; `None` while NIXL may still use it (then it becomes free by itself).
    pub memory: Option<Vec<M>>,
}
