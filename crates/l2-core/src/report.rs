//! What goes into the batches and what comes out, key by key.

use l2_memory::{Lease, SharedLease};

use crate::batch::Outcome;
use crate::error::{ErrorKind, L2Error};
use crate::key::ObjectKey;

/// One object to store.
#[derive(Debug)]
pub struct StoreItem {
    /// Its key.
    pub key: ObjectKey,
    /// Its bytes, all of the lease. The task keeps the lease until NIXL is done with it.
    pub memory: SharedLease,
}

/// What a store did for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The bytes were written, and the key can be looked up.
    Written {
        /// How many.
        bytes: u64,
    },
    /// An object of this length was there already, or is being stored by another task: nothing was written.
    AlreadyPresent,
}

/// The outcome of one [`StoreItem`].
#[derive(Debug)]
pub struct StoreOutcome {
    /// What was done, or why not.
    pub result: Result<Stored, L2Error>,
    /// The lease, back. `None` while a transfer past its deadline, or a lost one, still holds it: the range becomes
    /// free by itself.
    pub memory: Option<SharedLease>,
}

impl Outcome for StoreOutcome {
    fn lost() -> Self {
        Self { result: Err(L2Error::closed()), memory: None }
    }
}

/// The outcomes of a store, in the order of the batch.
#[derive(Debug)]
pub struct StoreReport {
    /// One per item.
    pub outcomes: Vec<StoreOutcome>,
}

impl StoreReport {
    /// Bytes written.
    pub fn written_bytes(&self) -> u64 {
        let written = |outcome: &StoreOutcome| match outcome.result {
            Ok(Stored::Written { bytes }) => bytes,
            _ => 0,
        };
        self.outcomes.iter().map(written).sum()
    }

    /// The errors, each with the position of its item.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &L2Error)> {
        self.outcomes
            .iter()
            .enumerate()
            .filter_map(|(at, outcome)| Some((at, outcome.result.as_ref().err()?)))
    }

    /// LMCache's `L2StoreResult`: the bytes written, or -1 when any key failed.
    pub fn lmcache_result(&self) -> i64 {
        if self.failures().next().is_some() {
            -1
        } else {
            i64::try_from(self.written_bytes()).unwrap_or(i64::MAX)
        }
    }
}

/// What a lookup says of one key.
#[derive(Debug)]
pub enum Looked {
    /// It is there and pinned once more; it stays until as many unlocks.
    Hit {
        /// Length of the object in bytes.
        bytes: u64,
    },
    /// It is not there, or cannot be told; the error says which ([`ErrorKind::NotFound`] for a plain miss).
    Miss(L2Error),
}

impl Looked {
    /// Whether it is a hit.
    pub fn is_hit(&self) -> bool {
        matches!(self, Self::Hit { .. })
    }
}

impl Outcome for Looked {
    fn lost() -> Self {
        Self::Miss(L2Error::closed())
    }
}

/// The answers of a lookup, in the order of the batch. Each hit holds one pin, to be given back by
/// [`crate::L2Adapter::unlock`].
#[derive(Debug)]
pub struct LookupReport {
    /// The keys asked for.
    pub keys: Vec<ObjectKey>,
    /// One answer per key.
    pub answers: Vec<Looked>,
}

impl LookupReport {
    /// The keys that were hit, each with its length in bytes; a key asked for twice comes twice.
    pub fn hits(&self) -> impl Iterator<Item = (&ObjectKey, u64)> {
        self.keys.iter().zip(&self.answers).filter_map(|(key, answer)| match answer {
            Looked::Hit { bytes } => Some((key, *bytes)),
            Looked::Miss(_) => None,
        })
    }

    /// How many keys at the front are hits: only these are of use, for a prefix without its head is not.
    pub fn prefix_hits(&self) -> usize {
        self.answers.iter().take_while(|answer| answer.is_hit()).count()
    }

    /// LMCache's bitmap: whether each position is a hit.
    pub fn bitmap(&self) -> Vec<bool> {
        self.answers.iter().map(Looked::is_hit).collect()
    }
}

/// One object to load.
#[derive(Debug)]
pub struct LoadItem {
    /// Its key.
    pub key: ObjectKey,
    /// Where its bytes go. The object must have exactly the lease's length.
    pub memory: Lease,
}

/// The outcome of one [`LoadItem`].
#[derive(Debug)]
pub struct LoadOutcome {
    /// The bytes loaded (the whole lease), or why not. After an error the content of the lease is unspecified.
    pub result: Result<u64, L2Error>,
    /// The lease, back. `None` while a transfer past its deadline, or a lost one, still holds it: the range becomes
    /// free by itself.
    pub memory: Option<Lease>,
}

impl Outcome for LoadOutcome {
    fn lost() -> Self {
        Self { result: Err(L2Error::closed()), memory: None }
    }
}

/// The outcomes of a load, in the order of the batch.
#[derive(Debug)]
pub struct LoadReport {
    /// One per item.
    pub outcomes: Vec<LoadOutcome>,
}

impl LoadReport {
    /// Bytes loaded.
    pub fn loaded_bytes(&self) -> u64 {
        self.outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()).sum()
    }

    /// The errors, each with the position of its item.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &L2Error)> {
        self.outcomes
            .iter()
            .enumerate()
            .filter_map(|(at, outcome)| Some((at, outcome.result.as_ref().err()?)))
    }

    /// LMCache's bitmap: whether each position was loaded.
    pub fn bitmap(&self) -> Vec<bool> {
        self.outcomes.iter().map(|outcome| outcome.result.is_ok()).collect()
    }
}

/// What a delete did for one key.
#[derive(Debug)]
pub enum Deleted {
    /// It was there, and its storage is free again.
    Freed {
        /// How many bytes.
        bytes: u64,
    },
    /// Nothing was stored under the key.
    Absent,
    /// It is pinned, or in use by another task: it stays.
    Busy,
    /// It is not visible any more, but its storage could not be freed yet; its bytes still count. Deleting it again
    /// tries again.
    Failed(L2Error),
}

/// The answers of a delete, in the order of the keys.
#[derive(Debug)]
pub struct DeleteReport {
    /// One per key.
    pub answers: Vec<Deleted>,
}

impl DeleteReport {
    /// Bytes freed.
    pub fn freed_bytes(&self) -> u64 {
        self.answers.iter().map(|answer| if let Deleted::Freed { bytes } = answer { *bytes } else { 0 }).sum()
    }
}

/// Whether an error of a lookup or load is a plain miss.
impl L2Error {
    /// Whether this only says that nothing is stored under the key.
    pub fn is_miss(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }
}
