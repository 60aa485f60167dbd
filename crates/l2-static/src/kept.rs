//! An object's place in the pool, and what its bytes must be.

use l2_memory::{Lease, SharedLease};
use xxhash_rust::xxh3::xxh3_64;

use crate::padding::Padded;
use crate::pool::Taken;

/// Where an object lies. Its pages are free again when the last owner is gone: the index, a load, and each transfer that
/// NIXL has not ended, so that nothing is written over by what comes late.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) taken: Taken,
    /// On storage whose word is not enough; see [`crate::medium::Medium::is_to_be_checked`].
    checksum: Option<u64>,
    _padded: Option<Box<Padded>>,
}

impl Kept {
    /// A place for these bytes. Bytes that the CPU cannot read have no checksum.
    pub(crate) fn new(taken: Taken, padded: Option<Box<Padded>>, memory: &SharedLease, check: bool) -> Self {
        let checksum = if check { memory.as_slice().map(xxh3_64) } else { None };
        Self { taken, checksum, _padded: padded }
    }

    /// Whether what was loaded is what was stored, as far as it can be told.
    pub(crate) fn is_right(&self, memory: &Lease) -> bool {
        match (self.checksum, memory.as_slice()) {
            (Some(checksum), Some(bytes)) => xxh3_64(bytes) == checksum,
            _ => true,
        }
    }
}
