//! The cache directory: every file operation of the adapter, relative to it, following no link.
//!
//! A path is walked part by part from the directory's own descriptor, so nothing outside it can be reached through a
//! key, nor through a link that somebody put in it.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use l2_core::{ErrorKind, L2Error};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Files are the owner's alone: KV can be turned back into the prompts it was made of.
pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);
const WALK: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The cache directory, open.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Replaced when the directory was removed and made again under a running process.
    root: RwLock<Arc<OwnedFd>>,
}

/// The directory that a file is in, and the file's name there.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) directory: Arc<OwnedFd>,
    pub(crate) name: &'a str,
}

impl Directory {
    /// Opens the directory, making it (and those above it) where it is missing.
    ///
    /// # Errors
    /// When it cannot be made or opened, or is not a directory.
    pub(crate) fn open(path: &Path) -> Result<Self, L2Error> {
        let root = open_root(path, true).map_err(|error| {
            L2Error::new(
                ErrorKind::Io,
                "cannot make or open the cache directory; check file_path and its rights",
            )
            .with_path(path)
            .with_source(error)
        })?;
        Ok(Self { path: path.to_path_buf(), root: RwLock::new(Arc::new(root)) })
    }

    /// The directory's path, as configured.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of a file, for messages.
    pub(crate) fn full(&self, relative: &str) -> PathBuf {
        self.path.join(relative)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.root.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the directory that is at the path now, if the one that is open was removed; with `make`, makes it.
    /// To be called before a job's work: it costs one fstat.
    /// Whether it did.
    pub(crate) fn refresh(&self, make: bool) -> io::Result<bool> {
        let removed = rustix::fs::fstat(&*self.root())?.st_nlink == 0;
        if removed {
            let fresh = Arc::new(open_root(&self.path, make)?);
            *self.root.write().unwrap_or_else(PoisonError::into_inner) = fresh;
            tracing::warn!(path = %self.path.display(), "the cache directory was replaced under the adapter");
        }
        Ok(removed)
    }

    /// The place of a file; with `make`, the directories on the way are made.
    pub(crate) fn place<'a>(&self, relative: &'a str, make: bool) -> io::Result<Place<'a>> {
        let mut directory = self.root();
        let mut rest = relative;
        while let Some((part, tail)) = rest.split_once('/') {
            directory = Arc::new(enter(&directory, part, make)?);
            rest = tail;
        }
        Ok(Place { directory, name: rest })
    }

    /// What is at a path, if anything; a link is not followed.
    pub(crate) fn stat(&self, relative: &str) -> io::Result<Option<Stat>> {
        let found = self.place(relative, false).and_then(|place| {
            Ok(rustix::fs::statat(&*place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW)?)
        });
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether this process may read a file; on a kernel that cannot say, that is found out when it is read.
    pub(crate) fn may_read(&self, relative: &str) -> bool {
        let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
        self.place(relative, false).is_ok_and(|place| {
            let answer = rustix::fs::accessat(&*place.directory, place.name, Access::READ_OK, flags);
            !matches!(answer, Err(Errno::ACCESS | Errno::PERM | Errno::NOENT))
        })
    }

    /// Opens a file to be read: a regular one, never a link or a pipe.
    pub(crate) fn open_to_read(&self, relative: &str, direct: bool) -> io::Result<(OwnedFd, u64)> {
        let place = self.place(relative, false)?;
        // Without NONBLOCK the opening of a pipe would wait for a writer.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | direct_flag(direct);
        let file = rustix::fs::openat(&*place.directory, place.name, flags, Mode::empty())?;
        let length = regular_length(&rustix::fs::fstat(&file)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"))?;
        // io_uring takes NONBLOCK at its word on files, too.
        rustix::fs::fcntl_setfl(&file, direct_flag(direct))?;
        Ok((file, length))
    }

    /// Removes a file; `false` when there was none. A directory in its place is not ours, and stays.
    pub(crate) fn remove(&self, relative: &str) -> io::Result<bool> {
        let removed = self
            .place(relative, false)
            .and_then(|place| Ok(rustix::fs::unlinkat(&*place.directory, place.name, AtFlags::empty())?));
        match removed {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) || Errno::from_io_error(&error) == Some(Errno::ISDIR) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// The length of a regular file; `None` for anything else.
pub(crate) fn regular_length(stat: &Stat) -> Option<u64> {
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
        .then(|| u64::try_from(stat.st_size).ok())?
}

/// Whether an error says that there is nothing at the path.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR))
}

/// Whether an error says that there is no room: of bytes, of inodes, or of what the user may have.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG))
}

/// Opens a directory that is one of `parent`'s own entries; with `make`, makes it first where it is missing.
pub(crate) fn enter(parent: &OwnedFd, name: &str, make: bool) -> io::Result<OwnedFd> {
    match rustix::fs::openat(parent, name, WALK, Mode::empty()) {
        Err(Errno::NOENT) if make => {
            match rustix::fs::mkdirat(parent, name, DIRECTORY_MODE) {
                // Made by another worker or process meanwhile: as good.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            Ok(rustix::fs::openat(parent, name, WALK, Mode::empty())?)
        }
        opened => Ok(opened?),
    }
}

/// Opens a directory that is one of `parent`'s own entries, to be listed.
pub(crate) fn list(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

pub(crate) fn direct_flag(direct: bool) -> OFlags {
    if direct { OFlags::DIRECT } else { OFlags::empty() }
}

fn open_root(path: &Path, make: bool) -> io::Result<OwnedFd> {
    if make {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE.as_raw_mode()).create(path)?;
    }
    // The directory itself may be a link: that is the operator's word. Nothing in it may.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn fresh() -> (tempfile::TempDir, Directory) {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("a/b")).unwrap();
        (home, directory)
    }

    #[test]
    fn directories_are_the_owners_alone() {
        let (home, directory) = fresh();
        directory.place("ab/cd/x.bin", true).unwrap();
        for path in ["a", "a/b", "a/b/ab", "a/b/ab/cd"] {
            let mode = fs::metadata(home.path().join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{path}");
        }
    }

    #[test]
    fn no_link_is_followed_and_only_regular_files_are_read() {
        let (home, directory) = fresh();
        let outside = home.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("x.bin"), b"secret").unwrap();
        symlink(outside.join("x.bin"), directory.full("x.bin")).unwrap();
        symlink(&outside, directory.full("ab")).unwrap();
        fs::create_dir(directory.full("dir.bin")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, directory.full("pipe.bin"), FileType::Fifo, FILE_MODE, 0)
            .unwrap();

        for path in ["x.bin", "ab/x.bin", "dir.bin", "pipe.bin"] {
            assert!(directory.open_to_read(path, false).is_err(), "{path}");
            let found = directory.stat(path).ok().flatten();
            assert!(found.and_then(|stat| regular_length(&stat)).is_none(), "{path}");
        }
        assert!(directory.place("ab/y.bin", true).is_err());
        assert!(!directory.remove("ab/x.bin").unwrap_or(false));
        assert!(outside.join("x.bin").exists());
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        let (_home, directory) = fresh();
        fs::write(directory.full("f"), b"").unwrap();
        assert!(directory.stat("x.bin").unwrap().is_none());
        assert!(directory.stat("ab/x.bin").unwrap().is_none());
        assert!(directory.stat("f/x.bin").unwrap().is_none());
        assert!(!directory.remove("x.bin").unwrap());
    }

    #[test]
    fn a_directory_that_was_removed_is_taken_up_again() {
        let (_home, directory) = fresh();
        fs::remove_dir_all(directory.path()).unwrap();
        assert!(directory.refresh(false).is_err());
        directory.refresh(true).unwrap();
        fs::write(directory.full("x.bin"), b"new").unwrap();
        assert_eq!(directory.open_to_read("x.bin", false).unwrap().1, 3);
    }
}
