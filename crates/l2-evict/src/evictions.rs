//! What a controller has done for an adapter.

/// Counted since the adapter was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Evictions {
    /// Objects evicted.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often an object was stepped over because it was pinned or in use.
    pub stepped_over: u64,
    /// How often an object could not be deleted.
    pub failed: u64,
}

impl Evictions {
    pub(crate) fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.stepped_over += other.stepped_over;
        self.failed += other.failed;
    }
}
