//! What a controller has done for an adapter.

/// Counted since the adapter was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Evictions {
    /// Objects evicted, and those that others had failed to delete.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often an object that was to go was spared, for it was stored anew.
    pub spared: u64,
    /// How often an object could not be deleted.
    pub failed: u64,
}

impl Evictions {
    pub(crate) fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.spared += other.spared;
        self.failed += other.failed;
    }
}
