//! A block of memory that stays where it is for as long as anybody refers to it.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{MmapMut, MmapOptions};

use crate::error::MemoryError;
use crate::lease::Lease;
use crate::pages::{HUGE, HugePages, Mapping, PAGE};
use crate::ranges::Ranges;

/// Where a region's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryKind {
    /// Main memory: the CPU may read and write it.
    Dram,
    /// Memory of a GPU: only a transfer may touch it.
    Vram {
        /// The device's number, as the driver counts it.
        device: u64,
    },
}

/// What keeps the bytes of a region alive.
enum Backing {
    /// Mapped here; unmapped when the last reference goes.
    Mapped { _map: MmapMut },
    /// The host's, which promised to keep them.
    Host,
}

struct Inner {
    id: u64,
    base: NonNull<u8>,
    length: usize,
    alignment: usize,
    kind: MemoryKind,
    held: Mutex<Ranges>,
    /// Leases that exist, those that the table does not know included.
    leases: AtomicUsize,
    _backing: Backing,
}

// SAFETY:
// - `base` is the only part that is not `Send` by itself. It points to memory that no thread owns: a mapping that
//   lives as long as `Inner`, or host memory that `Region::from_host`'s caller keeps alive wherever the region goes.
unsafe impl Send for Inner {}
// SAFETY:
// - No method reads or writes the bytes behind `base`: leases do, and two of them never overlap (`Ranges`, under its
//   lock) unless made by `lease_unchecked`, whose caller promised to keep them apart.
unsafe impl Sync for Inner {}

/// A block of memory that can be leased in ranges. Cloning it clones a reference.
#[derive(Clone)]
pub struct Region(Arc<Inner>);

impl Region {
    /// Maps `length` bytes of zeroed main memory, page-aligned, on [`HugePages::Transparent`].
    ///
    /// # Errors
    /// [`MemoryError::Map`] when the kernel refuses, a length of zero included.
    pub fn allocate(length: usize) -> Result<Self, MemoryError> {
        Self::allocate_with(length, HugePages::default())
    }

    /// As [`Region::allocate`], on the pages asked for.
    ///
    /// # Errors
    /// [`MemoryError::Map`] when the kernel refuses: with [`HugePages::Reserved2MiB`] that is so wherever too few
    /// pages are reserved.
    pub fn allocate_with(length: usize, pages: HugePages) -> Result<Self, MemoryError> {
        let alignment = if pages == HugePages::Reserved2MiB { HUGE } else { PAGE };
        Self::mapped(length, alignment, pages)
    }

    /// As [`Region::allocate`], with the first byte at a multiple of `alignment` bytes, as of a host whose L1 has pages of
    /// that size.
    ///
    /// # Errors
    /// [`MemoryError::Map`] when the kernel refuses, or `alignment` is no power of two.
    pub fn allocate_aligned(length: usize, alignment: usize) -> Result<Self, MemoryError> {
        if !alignment.is_power_of_two() {
            return Err(MemoryError::Map {
                bytes: length,
                hint: "give a power of two",
                source: io::Error::new(io::ErrorKind::InvalidInput, "the alignment is no power of two"),
            });
        }
        Self::mapped(length, alignment.max(PAGE), HugePages::default())
    }

    fn mapped(length: usize, alignment: usize, pages: HugePages) -> Result<Self, MemoryError> {
        let hint = match pages {
            HugePages::Reserved2MiB => "reserve enough 2 MiB pages in vm.nr_hugepages, or use ordinary pages",
            HugePages::No | HugePages::Transparent => "ask for at least 1 byte and less than is free",
        };
        let mapping = Mapping::new(length, alignment, pages, &mut MmapOptions::new());
        let Mapping { map, start } =
            mapping.map_err(|source| MemoryError::Map { bytes: length, hint, source })?;
        Ok(Self::build(start, length, alignment, MemoryKind::Dram, Backing::Mapped { _map: map }))
    }

    /// Takes memory that the host manages.
    ///
    /// `alignment` is what the host promises of `base` (and the granularity of its chunks), in bytes, a power of two.
    ///
    /// # Safety
    /// The caller guarantees, until the last clone of the region and the last lease on it are dropped, that
    /// - `base..base+length` is mapped and initialised (DRAM) or allocated on the device (VRAM), and stays so;
    /// - for DRAM, nobody reads a range while a [`Lease`] on it exists, and nobody writes a range while a lease of
    ///   either kind on it exists, other than through that lease.
    ///
    /// # Errors
    /// [`MemoryError::Host`] for a null or misaligned pointer, a bad alignment, or a length of 0 or past the address
    /// space.
    pub unsafe fn from_host(
        base: *mut u8,
        length: usize,
        alignment: usize,
        kind: MemoryKind,
    ) -> Result<Self, MemoryError> {
        let refuse = |reason| MemoryError::Host { address: base.addr(), length, reason };
        let pointer = NonNull::new(base).ok_or_else(|| refuse("the address is null"))?;
        if !alignment.is_power_of_two() {
            return Err(refuse("the alignment is not a power of two"));
        }
        if !base.addr().is_multiple_of(alignment) {
            return Err(refuse("the address is not a multiple of the alignment"));
        }
        if length == 0 || isize::try_from(length).is_err() || base.addr().checked_add(length).is_none() {
            return Err(refuse("the length is 0 or passes the end of the address space"));
        }
        Ok(Self::build(pointer, length, alignment, kind, Backing::Host))
    }

    fn build(base: NonNull<u8>, length: usize, alignment: usize, kind: MemoryKind, backing: Backing) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner {
            id,
            base,
            length,
            alignment,
            kind,
            held: Mutex::default(),
            leases: AtomicUsize::new(0),
            _backing: backing,
        }))
    }

    /// Takes the exclusive right to `length` bytes at `offset`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfRange`], or [`MemoryError::Leased`] when a lease on a part of the range is still held.
    pub fn lease(&self, offset: usize, length: usize) -> Result<Lease, MemoryError> {
        let end = self.check_range(offset, length)?;
        self.held().take(offset, end).map_err(|(held_offset, held_end)| MemoryError::Leased {
            offset,
            length,
            held_offset,
            held_length: held_end - held_offset,
        })?;
        Ok(Lease::tracked(self.clone(), offset, length))
    }

    /// A lease that is not entered in the table: for a host that keeps the borrow rules of its memory itself.
    ///
    /// # Safety
    /// The caller guarantees that, until the lease (or the last [`crate::SharedLease`] made of it) is dropped, nobody
    /// else writes the range, and nobody else reads it unless it has been frozen. The end of a task is not the end of
    /// its leases: a transfer past its deadline keeps them until the hardware has let go of the memory.
    ///
    /// # Errors
    /// [`MemoryError::OutOfRange`].
    pub unsafe fn lease_unchecked(&self, offset: usize, length: usize) -> Result<Lease, MemoryError> {
        self.check_range(offset, length)?;
        Ok(Lease::untracked(self.clone(), offset, length))
    }

    /// Whether a lease that is entered in the table holds a part of this range: a transfer may be writing it, also one past its
    /// deadline.
    pub fn is_leased(&self, offset: usize, length: usize) -> bool {
        self.held().overlapping(offset, offset.saturating_add(length)).is_some()
    }

    /// The end of a non-empty range inside the region.
    fn check_range(&self, offset: usize, length: usize) -> Result<usize, MemoryError> {
        offset
            .checked_add(length)
            .filter(|&end| length > 0 && end <= self.0.length)
            .ok_or(MemoryError::OutOfRange { offset, length, region: self.0.length })
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Ranges> {
        // A panic cannot leave the table half changed: each method makes its one change last.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Address of the region's first byte.
    pub fn base(&self) -> *mut u8 {
        self.0.base.as_ptr()
    }

    /// Length in bytes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.0.length
    }

    /// What the region's base is aligned to, in bytes.
    pub fn alignment(&self) -> usize {
        self.0.alignment
    }

    /// Where the bytes are.
    pub fn kind(&self) -> MemoryKind {
        self.0.kind
    }

    /// A number that no other region of this process has or had.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// How many leases exist, [`Region::lease_unchecked`]'s included: 0 means that no transfer, not even one past its
    /// deadline, touches the region any more.
    pub fn leases(&self) -> usize {
        self.0.leases.load(Ordering::Acquire)
    }

    pub(crate) fn lease_begins(&self) {
        self.0.leases.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn lease_ends(&self) {
        self.0.leases.fetch_sub(1, Ordering::AcqRel);
    }

    /// Bytes under leases that the table knows, those of transfers in flight included.
    pub fn leased_bytes(&self) -> usize {
        self.held().bytes()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("id", &self.0.id)
            .field("bytes", &self.0.length)
            .field("alignment", &self.0.alignment)
            .field("kind", &self.0.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_zeroed_page_aligned_and_leased_once() {
        let region = Region::allocate(3 * 4096).unwrap();
        assert_eq!(region.base().addr() % 4096, 0);
        let first = region.lease(0, 4096).unwrap();
        assert!(first.as_slice().unwrap().iter().all(|&byte| byte == 0));
        let error = region.lease(1, 1).unwrap_err();
        assert!(matches!(error, MemoryError::Leased { held_offset: 0, held_length: 4096, .. }), "{error}");
        let next = region.lease(4096, 4096).unwrap();
        assert_eq!(region.leased_bytes(), 8192);
        let leased = |offset, length| region.is_leased(offset, length);
        assert!(leased(0, 1) && leased(8191, 1) && leased(8191, usize::MAX) && leased(0, 3 * 4096));
        assert!(!leased(8192, 4096) && !leased(8192, usize::MAX));
        drop(first);
        drop(next);
        assert_eq!(region.leased_bytes(), 0);
        assert!(region.lease(0, 3 * 4096).is_ok());
    }

    #[test]
    fn a_region_begins_where_it_is_asked_to_and_is_all_its_own() {
        for alignment in [1, 4096, 65536, 4 << 20] {
            let region = Region::allocate_aligned(3 * 4096, alignment).unwrap();
            assert!(region.base().addr().is_multiple_of(alignment), "{alignment}");
            assert_eq!((region.len(), region.alignment()), (3 * 4096, alignment.max(4096)));
            let mut all = region.lease(0, 3 * 4096).unwrap();
            all.as_mut_slice().unwrap().fill(7);
        }
        for (length, alignment) in [(0, 4096), (0, 8192), (usize::MAX, 8192), (4096, 5000), (4096, 0)] {
            let error = Region::allocate_aligned(length, alignment).unwrap_err();
            assert!(matches!(error, MemoryError::Map { .. }), "{length} {alignment}: {error}");
        }
    }

    #[test]
    fn ranges_outside_the_region_are_refused() {
        let region = Region::allocate(4096).unwrap();
        for (offset, length) in [(0, 0), (0, 4097), (4096, 1), (usize::MAX, 2), (1, usize::MAX)] {
            let error = region.lease(offset, length).unwrap_err();
            assert!(matches!(error, MemoryError::OutOfRange { .. }), "{offset} {length}: {error}");
        }
    }

    #[test]
    fn bad_host_memory_is_refused() {
        let mut bytes = [0u8; 64];
        let base = bytes.as_mut_ptr();
        let cases = [(std::ptr::null_mut(), 8, 8), (base, 0, 1), (base, usize::MAX, 1), (base, 8, 3)];
        for (pointer, length, alignment) in cases {
            // SAFETY: each of these is refused before the memory is used.
            let refused = unsafe { Region::from_host(pointer, length, alignment, MemoryKind::Dram) };
            assert!(matches!(refused, Err(MemoryError::Host { .. })));
        }
    }
}
