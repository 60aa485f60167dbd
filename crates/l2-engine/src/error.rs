//! What can go wrong with a move.

use std::time::Duration;

use l2_core::ErrorKind;
use nixl_safe::memory::MemoryError;

/// Why an engine did not start, or a move did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// NIXL could not be set up, or said that the move failed.
    #[error(transparent)]
    Nixl(#[from] nixl_safe::Error),
    /// The move was not done in time. Its memory is kept until NIXL lets go of it.
    #[error(
        "the storage did not answer within {0:?}; check the device, or the server and the way to it, or raise io_timeout_seconds"
    )]
    TimedOut(Duration),
    /// The storage did not answer earlier moves in time while this one was waiting: it was not tried.
    #[error(
        "the storage did not answer earlier requests within {0:?} (io_timeout_seconds), and this one was not tried; check the device or server"
    )]
    NotTried(Duration),
    /// A number of workers that is not 1 to 64.
    #[error("{0} workers are not 1 to 64")]
    Workers(usize),
    /// A worker thread could not be started.
    #[error("cannot start a worker thread; check the limit of threads: {0}")]
    Thread(#[source] std::io::Error),
    /// A worker could not have descriptors of its own for the files of the pool.
    #[error("cannot open the files of the pool for a worker; raise the limit of open files (ulimit -n): {0}")]
    Descriptors(#[source] std::io::Error),
    /// A move without pieces, or with memory of two regions, or of files and objects at once.
    #[error("a move that cannot be one request: {0}")]
    Malformed(&'static str),
    /// Memory could not be leased.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The engine closed first.
    #[error("the engine is closed")]
    Closed,
}

impl EngineError {
    /// Whether it says that the storage does not answer.
    pub fn is_no_answer(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::NotTried(_))
    }

    /// What the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut(_) | Self::NotTried(_) => ErrorKind::TimedOut,
            Self::Closed => ErrorKind::Closed,
            Self::Nixl(error) if error.kind() == nixl_safe::ErrorKind::InvalidInput => {
                ErrorKind::InvalidInput
            }
            Self::Malformed(_) => ErrorKind::Bug,
            _ => ErrorKind::Io,
        }
    }
}
