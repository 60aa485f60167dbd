//! What a worker has under way, in either of the two ways that memory moves.

use nixl_safe::TransferMemory;
use nixl_safe::memory::{Lease, SharedLease};

use crate::flight::{Posted, Waiting};

/// Given to NIXL.
pub(crate) enum Flying {
    Load(Posted<Lease>),
    Store(Posted<SharedLease>),
}

/// Found NIXL's queue full.
pub(crate) enum Queued {
    Load(Waiting<Lease>),
    Store(Waiting<SharedLease>),
}

/// The two ways that memory moves, each in its own queue.
pub(crate) trait Moving: TransferMemory + Sized {
    fn flying(posted: Posted<Self>) -> Flying;
    fn queued(waiting: Waiting<Self>) -> Queued;
}

impl Moving for Lease {
    fn flying(posted: Posted<Self>) -> Flying {
        Flying::Load(posted)
    }
    fn queued(waiting: Waiting<Self>) -> Queued {
        Queued::Load(waiting)
    }
}

impl Moving for SharedLease {
    fn flying(posted: Posted<Self>) -> Flying {
        Flying::Store(posted)
    }
    fn queued(waiting: Waiting<Self>) -> Queued {
        Queued::Store(waiting)
    }
}

impl Flying {
    pub(crate) fn pieces(&self) -> usize {
        match self {
            Self::Load(posted) => posted.pieces(),
            Self::Store(posted) => posted.pieces(),
        }
    }
}
