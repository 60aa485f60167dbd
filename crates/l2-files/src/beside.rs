//! What is kept beside a file: a few hundred bytes that belong to it, and are not among its own.
//!
//! They are an extended attribute of the file, which comes and goes with it, also when it is copied by a tool that
//! knows of attributes. Where the file system has none, or they do not fit, they are a file of their own, under
//! [`SIDE_FILES`] at the path of the file they belong to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::directory::{Directory, is_absent};
use crate::hidden::{HiddenFile, Writing};

/// The attribute's name.
pub const ATTRIBUTE: &str = "user.nixl_l2";
/// Where side files are, below the cache directory. No path of an object starts with a dot.
pub const SIDE_FILES: &str = ".nixl-l2/beside";

/// Most bytes that are kept beside a file.
pub const MOST_BESIDE: usize = 16 << 10;

/// How what is kept beside files is written and read in one directory.
#[derive(Debug)]
pub struct Beside {
    writing: Writing,
    /// Whether side files are to reach the device.
    flush: bool,
    /// Whether there are, or may be, side files.
    has_side_files: AtomicBool,
}

impl Beside {
    /// For a directory in which files are made like this, and are to reach the device or not.
    pub fn new(directory: &Directory, writing: Writing, flush: bool) -> Self {
        // In doubt there are some: it costs a look at each file that has no attribute.
        let has_side_files = !matches!(directory.stat(SIDE_FILES), Ok(None));
        Self { writing, flush, has_side_files: AtomicBool::new(has_side_files) }
    }

    /// Keeps `bytes` beside a file that is going to be at `relative`, in place of what was there.
    ///
    /// # Errors
    /// What the file system says; [`io::ErrorKind::InvalidInput`] for more than [`MOST_BESIDE`].
    pub fn write(
        &self,
        directory: &Directory,
        file: &OwnedFd,
        relative: &str,
        bytes: &[u8],
    ) -> io::Result<()> {
        if bytes.len() > MOST_BESIDE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much to keep beside a file"));
        }
        match rustix::fs::fsetxattr(file, ATTRIBUTE, bytes, XattrFlags::empty()) {
            Ok(()) => Ok(()),
            // No attributes here, or not so many bytes of them (which some file systems call full).
            Err(Errno::OPNOTSUPP | Errno::TOOBIG | Errno::RANGE | Errno::NOSPC | Errno::PERM) => {
                self.write_side_file(directory, relative, bytes)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn write_side_file(&self, directory: &Directory, relative: &str, bytes: &[u8]) -> io::Result<()> {
        self.has_side_files.store(true, Ordering::Release);
        let path = side_file(relative);
        let file = HiddenFile::make(directory, self.writing, &path, false)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(file.file(), rest))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        if self.flush {
            file.flush()?;
        }
        file.replace(directory, &directory.place(&path, true)?)?;
        if self.flush { directory.flush_names(&path) } else { Ok(()) }
    }

    /// What is kept beside the file that is open, and at `relative`; `None` when nothing is, or more than
    /// [`MOST_BESIDE`].
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(&self, directory: &Directory, file: &OwnedFd, relative: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; MOST_BESIDE];
        match rustix::fs::fgetxattr(file, ATTRIBUTE, bytes.as_mut_slice()) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some(bytes))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => self.read_side_file(directory, relative),
            Err(errno) => Err(errno.into()),
        }
    }

    fn read_side_file(&self, directory: &Directory, relative: &str) -> io::Result<Option<Vec<u8>>> {
        if !self.has_side_files.load(Ordering::Acquire) {
            return Ok(None);
        }
        let (file, length) = match directory.open_to_read(&side_file(relative), false) {
            Err(error) if is_absent(&error) => return Ok(None),
            opened => opened?,
        };
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= MOST_BESIDE) else {
            return Ok(None);
        };
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *rest))? {
                0 => return Ok(None),
                read => filled += read,
            }
        }
        Ok(Some(bytes))
    }

    /// Removes the side file of a file that was removed, if there is one.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, directory: &Directory, relative: &str) -> io::Result<()> {
        if self.has_side_files.load(Ordering::Acquire) {
            directory.remove(&side_file(relative))?;
        }
        Ok(())
    }
}

/// Where the side file of a file is.
fn side_file(relative: &str) -> String {
    format!("{SIDE_FILES}/{relative}")
}

/// Whether a file that was opened for writing can have attributes; to say so, nothing depends on it.
pub fn has_attributes(directory: &Directory) -> io::Result<bool> {
    let file = crate::hidden::scratch(directory, false)?;
    match rustix::fs::fsetxattr(&file, ATTRIBUTE, b"probe", XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn fresh() -> (tempfile::TempDir, Directory, Beside) {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("l2")).unwrap();
        let writing = Writing::probe(&directory, false).unwrap();
        let beside = Beside::new(&directory, writing, true);
        (home, directory, beside)
    }

    fn file(directory: &Directory, relative: &str) -> OwnedFd {
        directory.place(relative, true).unwrap();
        fs::write(directory.full(relative), b"all of it").unwrap();
        OwnedFd::from(fs::File::options().read(true).write(true).open(directory.full(relative)).unwrap())
    }

    #[test]
    fn a_side_file_is_replaced_read_and_removed_as_an_attribute_is() {
        let (_home, directory, beside) = fresh();
        let long = format!("{}.bin", "x".repeat(251));
        for relative in ["a.bin", "ab/cd/a.bin", long.as_str()] {
            let file = file(&directory, relative);
            assert_eq!(beside.read(&directory, &file, relative).unwrap(), None);
            for bytes in [&b"one"[..], b"another, longer", b"", &[7; MOST_BESIDE]] {
                beside.write_side_file(&directory, relative, bytes).unwrap();
                assert_eq!(beside.read_side_file(&directory, relative).unwrap().as_deref(), Some(bytes));
                assert_eq!(beside.read(&directory, &file, relative).unwrap().as_deref(), Some(bytes));
            }
            // What an earlier process left is found.
            let again = Beside::new(&directory, beside.writing, false);
            assert!(again.read(&directory, &file, relative).unwrap().is_some());
            again.remove(&directory, relative).unwrap();
            assert_eq!(again.read(&directory, &file, relative).unwrap(), None);
            again.remove(&directory, relative).unwrap();
        }
    }

    #[test]
    fn an_attribute_goes_with_its_file_and_one_too_large_becomes_a_side_file() {
        let (_home, directory, beside) = fresh();
        if !has_attributes(&directory).unwrap() {
            return;
        }
        let file = file(&directory, "a.bin");
        beside.write(&directory, &file, "a.bin", b"record").unwrap();
        assert_eq!(beside.read(&directory, &file, "a.bin").unwrap().as_deref(), Some(&b"record"[..]));
        assert!(directory.stat(SIDE_FILES).unwrap().is_none());
        fs::rename(directory.full("a.bin"), directory.full("b.bin")).unwrap();
        assert_eq!(beside.read(&directory, &file, "b.bin").unwrap().as_deref(), Some(&b"record"[..]));
        let error = beside.write(&directory, &file, "b.bin", &[7; MOST_BESIDE + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_is_too_long_or_cut_is_nothing() {
        let (_home, directory, beside) = fresh();
        beside.write_side_file(&directory, "a.bin", b"record").unwrap();
        let path = directory.full(&side_file("a.bin"));
        fs::write(&path, vec![7; MOST_BESIDE + 1]).unwrap();
        assert_eq!(beside.read_side_file(&directory, "a.bin").unwrap(), None);
    }
}
