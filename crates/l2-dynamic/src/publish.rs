//! Writing an object's file, which nobody sees until it is whole.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use l2_files::{Directory, HiddenFile, Writing, regular_length, reserve};

/// A file being written.
#[derive(Debug)]
pub(crate) struct Draft {
    file: HiddenFile,
    bytes: u64,
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
        let _ = reserve(file.file(), bytes)?;
        Ok(Self { file, bytes })
    }

    /// The open file, for writing.
    pub(crate) fn file(&self) -> &Arc<OwnedFd> {
        self.file.file()
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// What the file system says; nothing is left then.
    pub(crate) fn publish(self, directory: &Directory, relative: &str) -> io::Result<Published> {
        let place = directory.place(relative, true)?;
        match self.file.publish(&place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let length = directory.stat(relative)?.and_then(|stat| regular_length(&stat));
                if length == Some(self.bytes) && directory.may_read(relative) {
                    return Ok(Published::Before);
                }
                // Of another length, not to be read, or no file at all: replaced in one step.
                self.file.replace(directory, &place)?;
                Ok(Published::Now)
            }
            published => published.map(|()| Published::Now),
        }
    }
}

#[cfg(test)]
mod tests;
