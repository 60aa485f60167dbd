//! The right to a range of a region: exclusive, or frozen and shared.

use std::fmt;
use std::sync::Arc;

use crate::region::{MemoryKind, Region};

/// The exclusive right to a range of a [`Region`]; given back on drop.
pub struct Lease {
    region: Region,
    offset: usize,
    length: usize,
    /// Entered in the region's table, so to be taken out of it on drop.
    tracked: bool,
}

impl Lease {
    pub(crate) fn tracked(region: Region, offset: usize, length: usize) -> Self {
        region.lease_begins();
        Self { region, offset, length, tracked: true }
    }

    pub(crate) fn untracked(region: Region, offset: usize, length: usize) -> Self {
        region.lease_begins();
        Self { region, offset, length, tracked: false }
    }

    /// The region that the range is of.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Start of the range, in bytes from the region's base.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Length in bytes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a lease is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Address of the first byte, on the device for VRAM.
    pub fn as_ptr(&self) -> *mut u8 {
        self.region.base().wrapping_add(self.offset)
    }

    /// The bytes; `None` for memory that the CPU cannot reach.
    pub fn as_slice(&self) -> Option<&[u8]> {
        match self.region.kind() {
            // SAFETY:
            // - the range lies in the region (checked when the lease was made), whose memory lives as long as
            //   `self.region` and is initialised (zeroed by the kernel, or the host's);
            // - no other lease overlaps it, so nobody writes it while `self` is borrowed.
            MemoryKind::Dram => Some(unsafe { std::slice::from_raw_parts(self.as_ptr(), self.length) }),
            MemoryKind::Vram { .. } => None,
        }
    }

    /// The bytes, to be written; `None` for memory that the CPU cannot reach.
    pub fn as_mut_slice(&mut self) -> Option<&mut [u8]> {
        match self.region.kind() {
            // SAFETY: as in `as_slice`; `&mut self` makes this the only access through the only lease.
            MemoryKind::Dram => Some(unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.length) }),
            MemoryKind::Vram { .. } => None,
        }
    }

    /// Gives up the right to write, so that the bytes can be shared.
    pub fn freeze(self) -> SharedLease {
        SharedLease(Arc::new(self))
    }

    /// Two leases for `..middle` and `middle..`, or the whole one back when `middle` is not strictly inside.
    pub fn split_at(mut self, middle: usize) -> Result<(Lease, Lease), Lease> {
        if middle == 0 || middle >= self.length {
            return Err(self);
        }
        let cut = self.offset + middle;
        if self.tracked {
            self.region.held().split(self.offset, cut);
        }
        self.region.lease_begins();
        let tail = Lease {
            region: self.region.clone(),
            offset: cut,
            length: self.length - middle,
            tracked: self.tracked,
        };
        self.length = middle;
        Ok((self, tail))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.tracked {
            self.region.held().release(self.offset);
        }
        self.region.lease_ends();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({}..{} of region {})", self.offset, self.offset + self.length, self.region.id())
    }
}

/// A frozen lease: its bytes can be read by many and written by none. Given back when the last clone is dropped.
#[derive(Clone)]
pub struct SharedLease(Arc<Lease>);

impl SharedLease {
    /// The region that the range is of.
    pub fn region(&self) -> &Region {
        self.0.region()
    }

    /// Start of the range, in bytes from the region's base.
    pub fn offset(&self) -> usize {
        self.0.offset()
    }

    /// Length in bytes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a lease is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Address of the first byte, on the device for VRAM. Not to be written through.
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The bytes; `None` for memory that the CPU cannot reach.
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.0.as_slice()
    }

    /// The right to write back, when this is the last clone; itself otherwise.
    pub fn thaw(self) -> Result<Lease, SharedLease> {
        Arc::try_unwrap(self.0).map_err(SharedLease)
    }
}

impl From<Lease> for SharedLease {
    fn from(lease: Lease) -> Self {
        lease.freeze()
    }
}

impl fmt::Debug for SharedLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::{MemoryKind, Region};

    #[test]
    fn a_frozen_lease_thaws_only_when_nobody_shares_it() {
        let region = Region::allocate(4096).unwrap();
        let mut lease = region.lease(0, 16).unwrap();
        lease.as_mut_slice().unwrap().copy_from_slice(b"kv of the prompt");
        let frozen = lease.freeze();
        let other = frozen.clone();
        let frozen = frozen.thaw().unwrap_err();
        drop(other);
        assert_eq!(frozen.thaw().unwrap().as_slice().unwrap(), b"kv of the prompt");
    }

    #[test]
    fn a_lease_keeps_its_memory_after_the_region_is_dropped() {
        let region = Region::allocate(4096).unwrap();
        let mut lease = region.lease(0, 4096).unwrap();
        drop(region);
        lease.as_mut_slice().unwrap().fill(1);
        assert!(lease.as_slice().unwrap().iter().all(|&byte| byte == 1));
    }

    #[test]
    fn the_halves_of_a_split_lease_are_given_back_one_by_one() {
        let region = Region::allocate(4096).unwrap();
        let (head, tail) = region.lease(0, 100).unwrap().split_at(40).unwrap();
        assert_eq!((head.len(), tail.offset(), tail.len()), (40, 40, 60));
        drop(head);
        assert!(region.lease(0, 40).is_ok());
        assert!(region.lease(40, 1).is_err());
        drop(tail);
        let whole = region.lease(0, 100).unwrap();
        assert!(whole.split_at(100).is_err());
    }

    #[test]
    fn leases_of_vram_give_no_slice() {
        let mut stand_in = [0u8; 64];
        // SAFETY: `stand_in` outlives the region and is not touched; as VRAM it is never read.
        let region =
            unsafe { Region::from_host(stand_in.as_mut_ptr(), 64, 1, MemoryKind::Vram { device: 0 }) };
        let mut lease = region.unwrap().lease(0, 64).unwrap();
        assert!(lease.as_slice().is_none());
        assert!(lease.as_mut_slice().is_none());
    }

    #[test]
    fn unchecked_leases_may_overlap_and_leave_the_table_alone() {
        let region = Region::allocate(64).unwrap();
        // SAFETY: neither lease is read or written.
        let one = unsafe { region.lease_unchecked(0, 64) }.unwrap();
        // SAFETY: as above.
        let two = unsafe { region.lease_unchecked(8, 8) }.unwrap();
        assert_eq!((region.leased_bytes(), region.leases()), (0, 2));
        drop((one, two));
        assert_eq!(region.leases(), 0);
        assert!(region.lease(0, 64).is_ok());
    }
}
