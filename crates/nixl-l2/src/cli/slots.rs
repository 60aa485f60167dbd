//! L1 in pieces of one size: what a batch takes of it, and gives back.

use anyhow::{Context, Result, bail};
use nixl_l2::{Lease, MemoryError, Region};

use super::session::{PAGE, allocate};

/// Most L1 memory that a replay takes, in bytes, unless one block is larger.
const L1_MAX: usize = 256 << 20;

/// A region cut into slots of one block each, every one at the start of a page.
#[derive(Debug)]
pub(crate) struct Slots {
    region: Region,
    block_bytes: usize,
    stride: usize,
    count: usize,
}

impl Slots {
    /// Slots for at least one and at most `blocks` blocks, as many as [`L1_MAX`] holds.
    pub(crate) fn allocate(blocks: usize, block_bytes: usize) -> Result<Self> {
        let stride =
            block_bytes.max(1).checked_next_multiple_of(PAGE).context("blocks as large as all memory")?;
        let count = blocks.min(L1_MAX / stride).max(1);
        Ok(Self { region: allocate(count * stride)?, block_bytes, stride, count })
    }

    /// Slots for exactly `blocks` blocks, each at a multiple of `alignment` bytes, a power of two.
    pub(crate) fn aligned(blocks: usize, block_bytes: usize, alignment: usize) -> Result<Self> {
        let stride = block_bytes.max(1).checked_next_multiple_of(alignment);
        let length = stride.and_then(|stride| Some((stride, stride.checked_mul(blocks)?)));
        let (stride, length) = length.context("more L1 than an address space has")?;
        let region = Region::allocate_aligned(length, alignment)
            .with_context(|| format!("L1 memory of {blocks} times {stride} bytes"))?;
        Ok(Self { region, block_bytes, stride, count: blocks })
    }

    /// The memory, to open an adapter over.
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Length of a block in bytes.
    pub(crate) fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Leases of free slots, at least one and at most `wanted`. A slot that a transfer past its deadline still holds is
    /// passed over.
    pub(crate) fn lease(&self, wanted: usize) -> Result<Vec<Lease>> {
        let free = (0..self.count).filter_map(|slot| {
            match self.region.lease(slot * self.stride, self.block_bytes) {
                Err(MemoryError::Leased { .. }) => None,
                leased => Some(leased),
            }
        });
        let leases = free.take(wanted.max(1)).collect::<Result<Vec<_>, _>>()?;
        if leases.is_empty() {
            bail!("all {} blocks of L1 are held by transfers that did not end in time", self.count);
        }
        Ok(leases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_as_many_as_are_wanted_and_fit() {
        for (blocks, block_bytes, count) in [
            (0, 1, 1),
            (3, 1, 3),
            (100, 4096, 100),
            (1 << 20, 4096, 65536),
            (9, 100 << 20, 2),
            (9, 300 << 20, 1),
        ] {
            let slots = Slots::allocate(blocks, block_bytes).unwrap();
            assert_eq!(slots.count, count, "{blocks} blocks of {block_bytes}");
            assert!(slots.region().len() <= L1_MAX.max(block_bytes.next_multiple_of(PAGE)));
        }
    }

    #[test]
    fn slots_lie_where_a_server_with_larger_pages_has_them() {
        let slots = Slots::aligned(3, 5000, 65536).unwrap();
        let leases = slots.lease(3).unwrap();
        assert_eq!((leases.len(), slots.region().len(), slots.region().alignment()), (3, 3 * 65536, 65536));
        for lease in &leases {
            assert!(lease.as_slice().unwrap().as_ptr().addr().is_multiple_of(65536) && lease.len() == 5000);
        }
        assert!(Slots::aligned(usize::MAX, 5000, 4096).is_err());
        assert!(Slots::aligned(1, 5000, 3000).is_err());
    }

    #[test]
    fn held_slots_are_passed_over_and_none_left_is_an_error() {
        let slots = Slots::allocate(3, 5000).unwrap();
        let mut first = slots.lease(2).unwrap();
        assert_eq!(first.iter().map(Lease::offset).collect::<Vec<_>>(), [0, 8192]);
        let rest = slots.lease(2).unwrap();
        assert_eq!(
            rest.iter().map(|lease| (lease.offset(), lease.len())).collect::<Vec<_>>(),
            [(16384, 5000)]
        );
        assert!(slots.lease(1).unwrap_err().to_string().contains("held"));
        first.remove(0);
        assert_eq!(slots.lease(9).unwrap().len(), 1);
    }
}
