//! What a pool would be, told before any of it is made: its slots, what fits in them, and the descriptors it takes.

use l2_config::{Backend, StaticConfig};
use l2_core::L2Error;
use l2_engine::EngineConfig;

use crate::descriptors;
use crate::slots::Slots;

/// The pages of a pool: as L1's, but no smaller than a disk's block, and no larger than needs be.
const PAGE: std::ops::RangeInclusive<u64> = 512..=4096;

/// A pool as its configuration describes it, of which nothing is made.
///
/// ```
/// use l2_config::{Backend, FileStorage, StaticConfig};
/// use l2_static::PoolPlan;
///
/// let mut config = StaticConfig::new(Backend::Posix, 64);
/// config.file = Some(FileStorage::new("/data/l2"));
/// let plan = PoolPlan::new(&config, 4096, Some(32 << 20));
/// assert_eq!((plan.slot_bytes(), plan.capacity_bytes()), (4096, 256 << 10));
/// assert_eq!((plan.objects(8000), plan.objects(32 << 20)), (32, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPlan {
    slots: u64,
    slot_bytes: u64,
    page_bytes: u64,
    each_takes: u64,
}

impl PoolPlan {
    /// The pool over an L1 of this alignment, in bytes. Without `file_size` a slot of an object store is as long as an
    /// object, `chunk_bytes`, and has no length (0) as long as that is not known.
    #[must_use]
    pub fn new(config: &StaticConfig, l1_alignment: usize, chunk_bytes: Option<u64>) -> Self {
        let (alignment, slots) = (l1_alignment as u64, config.pool_size);
        if config.file.is_none() {
            let slot_bytes = config.slot_bytes.or(chunk_bytes).unwrap_or_default();
            return Self { slots, slot_bytes, page_bytes: slot_bytes, each_takes: 0 };
        }
        let page_bytes = alignment.clamp(*PAGE.start(), *PAGE.end());
        let slot_bytes = config.slot_bytes.unwrap_or_else(|| alignment.max(page_bytes));
        let engine = EngineConfig::from_settings(config.backend, &config.engine, &config.plugin_params);
        Self { slots, slot_bytes, page_bytes, each_takes: each_file_takes(config.backend, engine.workers) }
    }

    /// The same with pages that direct I/O takes, for a file system that asks for lengths in multiples of `length` bytes.
    #[must_use]
    pub fn for_direct_io(mut self, length: usize) -> Self {
        self.page_bytes = self.page_bytes.max(length as u64);
        self
    }

    /// How many slots: files, or objects of a store.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// Bytes of a slot.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    /// What objects are rounded up to, in bytes.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Bytes of the pool.
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        self.slots.saturating_mul(self.slot_bytes)
    }

    /// How many objects of `bytes` bytes the pool holds: one may lie in several slots.
    #[must_use]
    pub fn objects(&self, bytes: u64) -> u64 {
        let pages = |bytes: u64| bytes.checked_div(self.page_bytes).unwrap_or_default();
        let of_one = bytes.div_ceil(self.page_bytes.max(1)).max(1);
        pages(self.slot_bytes).saturating_mul(self.slots) / of_one
    }

    /// Whether a pool can have such slots.
    ///
    /// # Errors
    /// [`l2_core::ErrorKind::InvalidInput`] for slots that are no whole number of pages, or longer than an object of a
    /// store may be.
    pub fn check_slots(&self) -> Result<(), L2Error> {
        let count = u32::try_from(self.slots).unwrap_or(u32::MAX);
        match (self.each_takes, self.slot_bytes) {
            (0, 0) => Ok(()),
            (0, bytes) => Slots::of_objects(count, bytes).map(drop),
            (_, bytes) => Slots::sized(count, bytes, self.page_bytes).map(drop),
        }
    }

    /// File descriptors that the pool holds open.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        self.slots.saturating_mul(self.each_takes)
    }

    /// Whether this process may have that many open besides those it has.
    ///
    /// # Errors
    /// [`l2_core::ErrorKind::Unsupported`] with the sum, and the pool of larger files that would do.
    pub fn check_descriptors(&self) -> Result<(), L2Error> {
        descriptors::check(self.slots, self.slot_bytes, self.each_takes)
    }

    /// The same, after the soft limit was raised if that has to be.
    pub(crate) fn make_room(&self) -> Result<(), L2Error> {
        descriptors::make_room(self.slots, self.slot_bytes, self.each_takes)
    }
}

/// Descriptors for one file of the pool: plugins other than POSIX want one for each worker, and HF3FS opens it again.
fn each_file_takes(backend: Backend, workers: usize) -> u64 {
    let workers = workers as u64;
    match backend {
        Backend::Posix => 1,
        Backend::Hf3fs => 1 + 2 * workers,
        _ => 1 + workers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_config::FileStorage;

    fn files(slots: u64, slot_bytes: Option<u64>) -> StaticConfig {
        let mut config = StaticConfig::new(Backend::Posix, slots);
        config.file = Some(FileStorage::new("/x"));
        config.slot_bytes = slot_bytes;
        config
    }

    #[test]
    fn an_object_may_lie_in_several_files_and_takes_whole_pages() {
        let plan = PoolPlan::new(&files(10, Some(8192)), 4096, None);
        assert_eq!((plan.objects(1), plan.objects(4097), plan.objects(12288)), (20, 10, 6));
        assert_eq!((plan.objects(80 << 10), plan.objects((80 << 10) + 1)), (1, 0));
        assert_eq!(plan.descriptors(), 10);
        assert_eq!(plan.for_direct_io(8192).objects(1), 10);
        assert!(plan.check_slots().is_ok());
        assert!(PoolPlan::new(&files(10, Some(5000)), 4096, None).check_slots().is_err());
    }

    #[test]
    fn an_object_of_a_store_has_a_slot_of_its_own_length() {
        let config = StaticConfig::new(Backend::Obj, 10);
        let plan = PoolPlan::new(&config, 4096, Some(100));
        assert_eq!(
            (plan.slot_bytes(), plan.objects(100), plan.objects(101), plan.descriptors()),
            (100, 10, 5, 0)
        );
        let unknown = PoolPlan::new(&config, 4096, None);
        assert!(unknown.objects(100) == 0 && unknown.check_slots().is_ok());
        assert!(PoolPlan::new(&config, 4096, Some(1 << 31)).check_slots().is_err(), "NIXL's most is less");
    }

    #[test]
    fn a_pool_of_more_files_than_descriptors_is_found_without_making_one() {
        let text = PoolPlan::new(&files(2_000_000, Some(4096)), 4096, None).check_descriptors().unwrap_err();
        assert!(text.to_string().contains("RLIMIT_NOFILE"), "{text}");
        assert!(PoolPlan::new(&files(1, None), 4096, None).check_descriptors().is_ok());
    }
}
