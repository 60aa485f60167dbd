//! How long Python waits: what it asks for, and in pieces between which signals are heard.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors;

/// So often a wait looks whether a signal has come (Ctrl-C).
const PIECE: Duration = Duration::from_millis(100);
/// Longer is for ever, to a person.
const LONGEST: f64 = 1e9;

/// A number of seconds.
///
/// # Errors
/// ValueError for one below 0, and for none.
pub(crate) fn limit(seconds: f64) -> PyResult<Duration> {
    // The smaller of NaN and a number would be the number.
    let bounded = if seconds > LONGEST { LONGEST } else { seconds };
    Duration::try_from_secs_f64(bounded)
        .map_err(|_| errors::value(format!("timeout has to be 0 or more seconds, and is {seconds}")))
}

/// Calls `wait` with a time to wait, without the interpreter, until it has something or the limit is reached: `None` then. It must
/// take nothing, for that would be lost with a signal that came meanwhile.
///
/// # Errors
/// What a signal handler raises.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    limit: Duration,
    mut wait: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    let start = Instant::now();
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let waited = py.detach(|| wait(left.min(PIECE)));
        py.check_signals()?;
        if waited.is_some() || left <= PIECE {
            return Ok(waited);
        }
    }
}
