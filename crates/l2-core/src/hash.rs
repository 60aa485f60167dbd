//! The hasher for maps whose keys are [`crate::ObjectKey`]s: they bring their own hash.

use std::hash::{BuildHasher, Hasher};

/// Passes on the 64-bit hash that an [`crate::ObjectKey`] writes; for the map of an index.
///
/// The same in every process, unlike the standard library's default.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasherBuilder;

impl BuildHasher for KeyHasherBuilder {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(0)
    }
}

/// See [`KeyHasherBuilder`].
#[derive(Debug)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only for keys of other types: an `ObjectKey` writes one u64.
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }
}
