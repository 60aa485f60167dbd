//! Writing an object's file, which nobody sees until it is whole.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use l2_files::{Directory, HiddenFile, Reserved, Writing, reserve};

/// A file being written.
#[derive(Debug)]
pub(crate) struct Draft {
    file: HiddenFile,
    reserved: Reserved,
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// It has its final name.
    Now,
    /// Another process has published the same object: that one stays, and ours is gone.
    Before,
}

impl Draft {
    /// Makes a file for `relative` and reserves its bytes.
    ///
    /// # Errors
    /// `ENOSPC` and the like when there is no room; nothing is left then.
    pub(crate) fn begin(
        directory: &Directory,
        writing: Writing,
        relative: &str,
        bytes: u64,
        direct: bool,
    ) -> io::Result<Self> {
        let file = HiddenFile::make(directory, writing, relative, direct)?;
        // A file system that cannot reserve finds out that it is full while it writes, which is an error, too.
        let reserved = reserve(file.file(), bytes)?;
        Ok(Self { file, reserved })
    }

    /// Whether it was for want of room that `bytes` could not be written to it, which whoever wrote does not say.
    pub(crate) fn finds_no_room(&self, directory: &Directory, bytes: u64) -> bool {
        self.reserved == Reserved::No && self.file.finds_no_room(directory, bytes)
    }

    /// The open file, for writing.
    pub(crate) fn file(&self) -> &Arc<OwnedFd> {
        self.file.file()
    }

    /// Has its bytes reach the device.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.flush()
    }

    /// Gives the file its final name. `is_there` says whether the one that has it already is as good.
    ///
    /// # Errors
    /// What the file system says; nothing is left then.
    pub(crate) fn publish(
        self,
        directory: &Directory,
        relative: &str,
        is_there: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<Published> {
        match self.file.publish(directory, relative) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_there()? {
                    return Ok(Published::Before);
                }
                // Of another length, not to be served or read, or no file at all: replaced in one step.
                self.file.replace(directory, relative)?;
                Ok(Published::Now)
            }
            published => published.map(|()| Published::Now),
        }
    }
}

#[cfg(test)]
mod tests;
