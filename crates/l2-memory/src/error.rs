//! What can go wrong when memory is taken or leased.

use std::io;

/// Why a region could not be made or a range of it could not be leased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The kernel refused the mapping.
    #[error("cannot map {bytes} bytes of memory ({hint}): {source}")]
    Map {
        /// Bytes asked for.
        bytes: usize,
        /// What to change.
        hint: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A length of zero, or a range that leaves the region.
    #[error("bytes {offset}..{offset}+{length} are not a range of a region of {region} bytes")]
    OutOfRange {
        /// Start of the range, in bytes from the region's base.
        offset: usize,
        /// Length of the range in bytes.
        length: usize,
        /// Length of the region in bytes.
        region: usize,
    },
    /// Somebody holds a lease on a part of the range.
    #[error(
        "bytes {offset}..{offset}+{length} overlap a lease of {held_length} bytes at {held_offset} that is still held; \
         wait for its task or drop it first"
    )]
    Leased {
        /// Start of the range asked for.
        offset: usize,
        /// Length of the range asked for.
        length: usize,
        /// Start of the lease in the way.
        held_offset: usize,
        /// Length of the lease in the way.
        held_length: usize,
    },
    /// A host's pointer is null, not aligned as it says, or longer than an address space.
    #[error("host memory {address:#x} of {length} bytes cannot be used: {reason}")]
    Host {
        /// The pointer given.
        address: usize,
        /// The length given, in bytes.
        length: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}
