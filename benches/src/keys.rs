//! Objects of an index without storage.

use std::sync::Arc;

use anyhow::{Result, bail};
use l2_core::{InvalidKey, KeyScope, ObjectKey};
use l2_index::{Index, Reserve};

/// Bytes that an object counts for.
pub const OBJECT: u64 = 4096;

/// Makes keys of one model.
#[derive(Debug, Clone)]
pub struct Keys(KeyScope);

impl Keys {
    /// Those of some model.
    ///
    /// # Errors
    /// None; the name of the model is a good one.
    pub fn new() -> Result<Self, InvalidKey> {
        Ok(Self(KeyScope::new("org/model", 0, 0, "")?))
    }

    /// The key of an object: a hash of 32 bytes that looks random, as LMCache's; always the same for the same number.
    ///
    /// # Errors
    /// None; such a hash is a good one.
    pub fn key(&self, number: u64) -> Result<ObjectKey, InvalidKey> {
        let mut hash = [0; 32];
        let mut random = fastrand::Rng::with_seed(number);
        hash.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.u64(..).to_le_bytes()));
        self.0.key(&hash)
    }

    /// Those of some numbers, in order.
    ///
    /// # Errors
    /// None, as [`Keys::key`].
    pub fn batch(&self, numbers: impl IntoIterator<Item = u64>) -> Result<Vec<ObjectKey>, InvalidKey> {
        numbers.into_iter().map(|number| self.key(number)).collect()
    }

    /// Stores objects in an index, those of the numbers below `count`, one after the other.
    ///
    /// # Errors
    /// When one has no room, or is there already.
    pub fn fill(&self, index: &Arc<Index>, count: u64) -> Result<()> {
        for (number, stamp) in (0..count).zip(index.stamps(usize::try_from(count)?)) {
            match index.reserve(&self.key(number)?, OBJECT, stamp) {
                Reserve::Reserved(reservation) => reservation.commit(),
                other => bail!("object {number}: {other:?}"),
            }
        }
        Ok(())
    }
}
