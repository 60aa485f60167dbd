//! How the adapter works: threads and time limits. These keys are nixl-l2's own, and optional.

use std::time::Duration;

use crate::error::Reported;
use crate::fields::{IO_TIMEOUT_SECONDS, WORKERS};
use crate::reader::Reader;

/// Threads and time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// How many threads move data, 1 to 64; `None` leaves it to the engine.
    pub workers: Option<usize>,
    /// How long one transfer may take, up to an hour.
    pub io_timeout: Duration,
}

impl EngineConfig {
    /// The time limit of a transfer when nothing is said: 30 seconds.
    pub const DEFAULT_IO_TIMEOUT: Duration = Duration::from_secs(30);

    pub(crate) fn read(top: &Reader<'_>) -> Result<Self, Reported> {
        let workers = top.integer(&WORKERS);
        let seconds = top.need(&IO_TIMEOUT_SECONDS, top.number(&IO_TIMEOUT_SECONDS));
        let io_timeout = seconds.and_then(|seconds| match Duration::try_from_secs_f64(seconds) {
            Ok(limit) if !limit.is_zero() => Ok(limit),
            _ => Err(top.out_of_range(&IO_TIMEOUT_SECONDS, "a nanosecond or more")),
        });
        let workers = workers?.and_then(|workers| usize::try_from(workers).ok());
        Ok(Self { workers, io_timeout: io_timeout? })
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { workers: None, io_timeout: Self::DEFAULT_IO_TIMEOUT }
    }
}
