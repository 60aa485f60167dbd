//! Direct I/O: whether the file system has it, and what lengths and addresses it takes.

use std::io;

use l2_core::{ErrorKind, L2Error};
use rustix::fs::{AtFlags, StatxFlags};

use crate::directory::{Directory, is_full};
use crate::hidden::scratch;

/// What direct I/O asks of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alignment {
    /// Addresses are multiples of this many bytes.
    pub memory: usize,
    /// Lengths and offsets in the file are multiples of this many bytes.
    pub length: usize,
}

impl Alignment {
    /// The usual block where a file system does not say.
    const USUAL: usize = 4096;

    /// What the file system of the cache directory asks for. Leaves nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when it takes no direct I/O.
    pub fn probe(directory: &Directory) -> Result<Self, L2Error> {
        Self::ask(directory).map_err(|error| {
            let what = "the file system of file_path does not take direct I/O; set use_direct_io to false";
            L2Error::new(ErrorKind::Unsupported, what).with_path(directory.path()).with_source(error)
        })
    }

    fn ask(directory: &Directory) -> io::Result<Self> {
        let file = match scratch(directory, true) {
            // Not even an empty file can be made, but what is there can be loaded.
            Err(error) if is_full(&error) => return Ok(Self { memory: Self::USUAL, length: Self::USUAL }),
            made => made?,
        };
        let known = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
        let said = |bytes: u32| usize::try_from(bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(Self::USUAL);
        Ok(Self { memory: said(known.stx_dio_mem_align), length: said(known.stx_dio_offset_align) })
    }

    /// Whether memory at `address` of `length` bytes can be moved.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with the multiples that are asked for.
    pub fn check(self, address: usize, length: usize) -> Result<(), L2Error> {
        if !length.is_multiple_of(self.length) {
            let what = format!(
                "with use_direct_io this file system takes lengths in multiples of {} bytes, not {length}; pad the \
                 object, or set use_direct_io to false",
                self.length
            );
            return Err(L2Error::new(ErrorKind::InvalidInput, what));
        }
        if !address.is_multiple_of(self.memory) {
            let what = format!(
                "with use_direct_io memory must be aligned to {} bytes, which address {address:#x} is not; align the \
                 chunk, or set use_direct_io to false",
                self.memory
            );
            return Err(L2Error::new(ErrorKind::InvalidInput, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_aligned_is_refused_with_the_number() {
        let alignment = Alignment { memory: 512, length: 4096 };
        assert!(alignment.check(1024, 8192).is_ok());
        let error = alignment.check(1024, 5000).unwrap_err();
        assert!(error.to_string().contains("multiples of 4096 bytes, not 5000"), "{error}");
        let error = alignment.check(1000, 4096).unwrap_err();
        assert!(error.to_string().contains("aligned to 512 bytes"), "{error}");
    }
}
