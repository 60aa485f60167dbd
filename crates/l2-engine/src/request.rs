//! What an adapter asks of the engine: jobs that run on a worker, and the moves that they answer with.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nixl_safe::memory::{Lease, SharedLease};

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

/// Data to move in one request.
#[derive(Debug)]
pub enum Move {
    /// From storage to memory.
    Load(Request<Lease>),
    /// From memory to storage.
    Store(Request<SharedLease>),
}

/// Where the bytes are, or go.
#[derive(Debug, Clone)]
pub enum Storage {
    /// An open file.
    File(Arc<OwnedFd>),
    /// An object by name; `length` is what it is known to have (reads are held to it).
    Object {
        /// Its name in the bucket or container.
        name: String,
        /// Its length in bytes.
        length: u64,
    },
}

/// A piece of a request: all of `memory`, from or to `offset` of `storage`.
#[derive(Debug)]
pub struct Piece<M> {
    /// The memory.
    pub memory: M,
    /// The file or object.
    pub storage: Storage,
    /// Start in it, in bytes.
    pub offset: u64,
}

/// Pieces that NIXL moves in one request, with one outcome for all; and what happens then.
pub struct Request<M> {
    pub(crate) pieces: Vec<Piece<M>>,
    pub(crate) then: Then<M>,
}

impl<M> Request<M> {
    /// A request for these pieces. All memory must be of one region, all storage files or all objects; object stores
    /// take one piece a request. `then` runs on the worker, once.
    pub fn new(pieces: Vec<Piece<M>>, then: impl FnOnce(Moved<M>) -> Vec<Move> + Send + 'static) -> Self {
        Self { pieces, then: Box::new(then) }
    }
}

impl<M> fmt::Debug for Request<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} pieces)", self.pieces.len())
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
