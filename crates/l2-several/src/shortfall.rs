//! What one adapter could not do of what was asked of all: the others may have done it, so that nobody else is told.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use l2_core::L2Error;

/// What one of several adapters could not do so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Shortfall {
    /// Keys that it did not store: rejected for want of room, or by an error.
    pub stores: u64,
    /// Keys that it could not look up; plain misses are none.
    pub lookups: u64,
    /// Keys that it could not load; plain misses are none.
    pub loads: u64,
    /// The first reason.
    pub first_error: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    Store,
    Lookup,
    Load,
}

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct Shortfalls {
    counts: [AtomicU64; 3],
    first_error: OnceLock<String>,
}

impl Shortfalls {
    /// Hears of errors of one batch.
    pub(crate) fn note<'a>(&self, asked: Asked, errors: impl IntoIterator<Item = &'a L2Error>) {
        let mut failed = 0;
        for error in errors.into_iter().filter(|error| !error.is_miss()) {
            failed += 1;
            self.first_error.get_or_init(|| {
                tracing::warn!(?asked, %error, "one of several adapters fails where others may not");
                error.to_string()
            });
        }
        if let Some(count) = self.counts.get(asked as usize).filter(|_| failed > 0) {
            count.fetch_add(failed, Ordering::Relaxed);
        }
    }

    pub(crate) fn so_far(&self) -> Shortfall {
        let [stores, lookups, loads] = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Shortfall { stores, lookups, loads, first_error: self.first_error.get().cloned() }
    }
}
