//! The agents of an engine's workers: one each, and those that no longer answered and were replaced.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nixl_safe::Backend;

/// Most backends that were replaced and still hold transfers, for each worker: each keeps threads and memory.
const MOST_LEFT: usize = 4;

/// The backends of all workers, past and present.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    backends: Mutex<Vec<Backend>>,
    replaced: AtomicU64,
}

impl Agents {
    fn backends(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker has set up its first.
    pub(crate) fn add(&self, backend: Backend) {
        self.backends().push(backend);
    }

    /// Whether one more of so many workers may leave its agent behind.
    pub(crate) fn may_replace(&self, workers: usize) -> bool {
        // Those without transfers are in use, or were let go of when their last one ended.
        let left = self.backends().iter().filter(|backend| backend.parked_transfers() > 0).count();
        left <= MOST_LEFT.saturating_mul(workers)
    }

    /// A worker has left its agent, which keeps what NIXL has not ended, for another.
    pub(crate) fn replace(&self, old: &Backend, new: Backend) {
        let mut backends = self.backends();
        if old.parked_transfers() == 0 {
            backends.retain(|backend| !backend.is_same(old));
        }
        backends.push(new);
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker ends, and its agent with it, unless that still has transfers.
    pub(crate) fn leave(&self, backend: &Backend) {
        self.backends().retain(|other| other.parked_transfers() > 0 || !other.is_same(backend));
    }

    /// How many were replaced so far.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Transfers past their deadline whose memory NIXL has not let go of.
    pub(crate) fn parked_transfers(&self) -> usize {
        self.backends().iter().map(Backend::parked_transfers).sum()
    }

    /// The workers are gone: keeps those alone that still have transfers.
    pub(crate) fn end(&self) {
        self.backends().retain(|backend| backend.parked_transfers() > 0);
    }
}
