//! How stores ended.

use std::sync::atomic::{AtomicU64, Ordering};

use l2_core::{ErrorKind, StoreReport, Stored};

/// How stores ended, over all sequences.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) written: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, report: &StoreReport) {
        for outcome in &report.outcomes {
            match &outcome.result {
                Ok(Stored::Written { .. }) => &self.written,
                Err(error) if error.kind() == ErrorKind::Full => &self.full,
                Err(error) if error.kind() == ErrorKind::Io => &self.failed,
                _ => continue,
            }
            .fetch_add(1, Ordering::Relaxed);
        }
    }
}
