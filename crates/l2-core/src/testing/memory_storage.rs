//! The bytes that the adapter in memory holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hash::KeyHasherBuilder;
use crate::key::ObjectKey;

pub(super) type Objects = HashMap<ObjectKey, Arc<[u8]>, KeyHasherBuilder>;

/// The bytes of a [`crate::testing::MemoryAdapter`]: the disk, as it were. A clone is a reference to the same bytes,
/// so that they outlive the adapter and can be opened again, or damaged behind its back.
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Objects>>);

impl MemoryStorage {
    /// Takes the bytes of `key` away. Whether there were any.
    pub fn lose(&self, key: &ObjectKey) -> bool {
        self.objects().remove(key).is_some()
    }

    /// Cuts the bytes of `key` to `length`. Whether there were that many and more.
    pub fn cut(&self, key: &ObjectKey, length: usize) -> bool {
        let mut objects = self.objects();
        let Some(bytes) = objects.get_mut(key) else { return false };
        let shorter = bytes.get(..length).filter(|kept| kept.len() < bytes.len()).map(Arc::from);
        shorter.map(|kept| *bytes = kept).is_some()
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryStorage({} objects)", self.objects().len())
    }
}
