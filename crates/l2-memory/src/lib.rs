//! Memory that a transfer may own.
//!
//! A transfer library writes to memory while Rust is not looking. This crate is the one place that makes that
//! safe: a [`Region`] is a block of memory that stays where it is, and a [`Lease`] is the exclusive right to a range
//! of it. Whoever moves data takes the lease by value and keeps it until the hardware is done, so no safe code can
//! read, write or free those bytes meanwhile.
//!
//! * A [`Lease`] is unique: it may be written by the CPU, or filled by a transfer (a load).
//! * A [`SharedLease`] is a frozen lease: it may be read by many, the CPU and transfers alike (a store), and is
//!   written by none.
//! * A host that manages its own memory (a Python server with a raw address) makes a region with
//!   [`Region::from_host`] and leases with [`Region::lease_unchecked`], both `unsafe`: it then keeps the rules itself.
//!
//! Besides: [`LargeVec`], for tables that are so large that it matters in which pages they lie.
//!
//! # What is not in here
//! NIXL, keys, files, an allocator of chunks: which range holds which chunk is the host's business.
//!
//! # Limits
//! A region is at most `isize::MAX` bytes. Regions made here are aligned to the page size (4096 bytes, or that of
//! the huge pages asked for) and zeroed; from 2 MiB on the kernel may join their pages into huge ones. Taking or
//! dropping a lease costs one short lock of the region and O(log leases).
//!
//! # Example
//! ```
//! use l2_memory::Region;
//!
//! let l1 = Region::allocate(1 << 20)?;
//! let mut chunk = l1.lease(0, 4096)?;
//! chunk.as_mut_slice().expect("DRAM").fill(7);
//!
//! // The range is taken until the lease is dropped.
//! assert!(l1.lease(4095, 10).is_err());
//!
//! // Frozen, it can be read by a transfer and by the CPU at once.
//! let frozen = chunk.freeze();
//! let for_the_transfer = frozen.clone();
//! assert_eq!(frozen.as_slice().expect("DRAM")[4095], 7);
//! # drop(for_the_transfer);
//! # Ok::<(), l2_memory::MemoryError>(())
//! ```

mod error;
mod large;
mod lease;
mod pages;
mod prefetch;
mod ranges;
mod region;

pub use error::MemoryError;
pub use large::LargeVec;
pub use lease::{Lease, SharedLease};
pub use pages::HugePages;
pub use prefetch::{prefetch, prefetch_at};
pub use region::{MemoryKind, Region};
