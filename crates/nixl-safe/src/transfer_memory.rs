//! The two kinds of leases that a transfer can own, and which way it moves them.

use std::fmt;

use l2_memory::{Lease, Region, SharedLease};

/// Memory that a transfer can own: [`Lease`] to be filled, [`SharedLease`] to be read.
///
/// Sealed: what makes a transfer safe is what these two types guarantee.
pub trait TransferMemory: sealed::Sealed + fmt::Debug + Send + 'static {
    /// The region that it is of.
    fn region(&self) -> &Region;

    /// Its length in bytes.
    fn length(&self) -> usize;
}

impl TransferMemory for Lease {
    fn region(&self) -> &Region {
        self.region()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

impl TransferMemory for SharedLease {
    fn region(&self) -> &Region {
        self.region()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

mod sealed {
    use l2_memory::{Lease, SharedLease};

    use crate::capi;

    pub trait Sealed {
        /// Which way a transfer moves it.
        const OPERATION: i32;
        fn address(&self) -> usize;
        /// Fills some of it with zeros, where the CPU can.
        fn clear(&mut self, from: usize, length: usize);
    }

    impl Sealed for Lease {
        const OPERATION: i32 = capi::OP_READ;
        fn address(&self) -> usize {
            self.as_ptr().addr()
        }
        fn clear(&mut self, from: usize, length: usize) {
            let bytes = self.as_mut_slice().and_then(|bytes| bytes.get_mut(from..)?.get_mut(..length));
            if let Some(bytes) = bytes {
                bytes.fill(0);
            }
        }
    }

    impl Sealed for SharedLease {
        const OPERATION: i32 = capi::OP_WRITE;
        fn address(&self) -> usize {
            self.as_ptr().addr()
        }
        fn clear(&mut self, _from: usize, _length: usize) {}
    }
}
