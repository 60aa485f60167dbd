//! How the adapter works: threads and time limits. These keys are nixl-l2's own, and optional.

use std::time::Duration;

use crate::error::Reported;
use crate::fields::{IO_TIMEOUT_SECONDS, SPIN_MICROSECONDS, WORKERS};
use crate::reader::Reader;

/// Threads and time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// How many threads move data, 1 to 64; `None` leaves it to the engine.
    pub workers: Option<usize>,
    /// How long one transfer may take, up to an hour.
    pub io_timeout: Duration,
    /// How long a thread that waits looks for what it waits for before it sleeps, at most, where that has paid off lately; up to a
    /// second, zero for never.
    pub spin: Duration,
}

impl EngineConfig {
    /// The time limit of a transfer when nothing is said: 30 seconds.
    pub const DEFAULT_IO_TIMEOUT: Duration = Duration::from_secs(30);

    /// The longest spin when nothing is said: a millisecond.
    pub const DEFAULT_SPIN: Duration = Duration::from_millis(1);

    pub(crate) fn read(top: &Reader<'_>) -> Result<Self, Reported> {
        let workers = top.integer(&WORKERS);
        let seconds = top.need(&IO_TIMEOUT_SECONDS, top.number(&IO_TIMEOUT_SECONDS));
        let io_timeout = seconds.and_then(|seconds| match Duration::try_from_secs_f64(seconds) {
            Ok(limit) if !limit.is_zero() => Ok(limit),
            _ => Err(top.out_of_range(&IO_TIMEOUT_SECONDS, "a nanosecond or more")),
        });
        let spin = top.integer(&SPIN_MICROSECONDS);
        let workers = workers?.and_then(|workers| usize::try_from(workers).ok());
        let spin = spin?.map_or(Self::DEFAULT_SPIN, Duration::from_micros);
        Ok(Self { workers, io_timeout: io_timeout?, spin })
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { workers: None, io_timeout: Self::DEFAULT_IO_TIMEOUT, spin: Self::DEFAULT_SPIN }
    }
}
