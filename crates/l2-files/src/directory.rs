//! The cache directory: every file operation is relative to it, and follows no link.
//!
//! A path is walked part by part from the directory's own descriptor, so nothing outside it can be reached through a
//! path, nor through a link that somebody put in it.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use l2_core::{ErrorKind, L2Error};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::identity::Identity;
use crate::temporaries::TEMPORARIES;

/// Files are the owner's alone: KV can be turned back into the prompts it was made of.
pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);
const WALK: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The cache directory, open.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Replaced when the directory was removed and made again under a running process; `None` while there is none at the path.
    root: RwLock<Option<Arc<OwnedFd>>>,
}

/// The directory that a file is in, and the file's name there.
#[derive(Debug)]
pub struct Place<'a> {
    /// That directory, open for nothing but reaching what is in it (`O_PATH`).
    pub directory: Arc<OwnedFd>,
    /// One part of a path.
    pub name: &'a str,
}

impl Directory {
    /// Opens the directory, making it (and those above it) where it is missing.
    ///
    /// # Errors
    /// When it cannot be made or opened, or is not a directory.
    pub fn open(path: &Path) -> Result<Self, L2Error> {
        // A relative one must not mean another when the process changes its directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let root = open_root(&path, true).map_err(|error| {
            L2Error::new(
                ErrorKind::Io,
                "cannot make or open the cache directory; check file_path and its rights",
            )
            .with_path(&path)
            .with_source(error)
        })?;
        Ok(Self { path, root: RwLock::new(Some(Arc::new(root))) })
    }

    /// Opens a directory that is there; nothing is made.
    ///
    /// # Errors
    /// When it is missing, cannot be opened, or is not a directory.
    pub fn open_there(path: &Path) -> Result<Self, L2Error> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let root = open_root(&path, false).map_err(|error| {
            let what = "cannot open the cache directory; check the path and its rights";
            L2Error::new(ErrorKind::Io, what).with_path(&path).with_source(error)
        })?;
        Ok(Self { path, root: RwLock::new(Some(Arc::new(root))) })
    }

    /// The directory's path, as configured, made absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of a file, for messages.
    pub fn full(&self, relative: &str) -> PathBuf {
        self.path.join(relative)
    }

    /// The directory itself.
    ///
    /// # Errors
    /// `ENOENT` when there was none at the path at the last [`Directory::refresh`].
    pub fn root(&self) -> io::Result<Arc<OwnedFd>> {
        let root = self.root.read().unwrap_or_else(PoisonError::into_inner);
        root.clone().ok_or_else(|| Errno::NOENT.into())
    }

    /// Takes the directory that is at the path now, if the one that is open was removed or moved away; with `make`, makes
    /// it. Where there is none, it holds nothing from then on: what was moved away is not touched any more. To be called
    /// before a job's work: it costs one fstat and one stat. Whether it took another.
    ///
    /// # Errors
    /// When there is none at the path, or it cannot be made.
    pub fn refresh(&self, make: bool) -> io::Result<bool> {
        if !self.is_replaced() {
            return Ok(false);
        }
        let path = self.path.display();
        let fresh = match open_root(&self.path, make) {
            Ok(fresh) => Some(Arc::new(fresh)),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(error),
        };
        let is_there = fresh.is_some();
        let before =
            std::mem::replace(&mut *self.root.write().unwrap_or_else(PoisonError::into_inner), fresh);
        if is_there {
            tracing::warn!(%path, "the cache directory was replaced under the adapter");
            return Ok(true);
        }
        if before.is_some() {
            tracing::warn!(%path, "the cache directory is gone; the next store makes it again");
        }
        Err(Errno::NOENT.into())
    }

    /// Whether the path leads to another directory by now, or to none.
    fn is_replaced(&self) -> bool {
        let Ok(root) = self.root() else { return true };
        let open = match rustix::fs::fstat(&*root) {
            Ok(open) if open.st_nlink > 0 => open,
            // Removed, here or on the server that it is on.
            Ok(_) | Err(Errno::STALE) => return true,
            Err(_) => return false,
        };
        match rustix::fs::stat(&self.path) {
            Ok(there) => (there.st_dev, there.st_ino) != (open.st_dev, open.st_ino),
            Err(errno) => errno == Errno::NOENT,
        }
    }

    /// The place of a file; with `make`, the directories on the way are made.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a path that starts or ends with `/`, or has a part that is empty, `.` or `..`;
    /// else what the file system says. A link on the way is not a directory.
    pub fn place<'a>(&self, relative: &'a str, make: bool) -> io::Result<Place<'a>> {
        let mut directory = self.root()?;
        let mut rest = relative;
        while let Some((part, tail)) = rest.split_once('/') {
            directory = Arc::new(enter(&directory, own_entry(part)?, make)?);
            rest = tail;
        }
        Ok(Place { directory, name: own_entry(rest)? })
    }

    /// What is at a path, if anything; a link is not followed.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn stat(&self, relative: &str) -> io::Result<Option<Stat>> {
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
    pub fn may_read(&self, relative: &str) -> bool {
        let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
        self.place(relative, false).is_ok_and(|place| {
            let answer = rustix::fs::accessat(&*place.directory, place.name, Access::READ_OK, flags);
            !matches!(answer, Err(Errno::ACCESS | Errno::PERM | Errno::NOENT))
        })
    }

    /// Opens a file to be read: a regular one, never a link or a pipe. With its length in bytes.
    ///
    /// # Errors
    /// What the file system says, and [`io::ErrorKind::InvalidData`] for what is no regular file.
    pub fn open_to_read(&self, relative: &str, direct: bool) -> io::Result<(OwnedFd, u64)> {
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
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, relative: &str) -> io::Result<bool> {
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

    /// Removes a file if it is still the one that was found wrong, as [`Directory::remove`]; `false` for another that has
    /// taken its place, which may be a good one of another process.
    ///
    /// # Errors
    /// When it is there and cannot be looked at or removed.
    pub fn remove_if_same(&self, relative: &str, wrong: &Identity) -> io::Result<bool> {
        match self.stat(relative)? {
            Some(there) if Identity::of(&there) == *wrong => self.remove(relative),
            _ => Ok(false),
        }
    }

    /// Removes a directory. Whether it was: one that is not empty, or in use, stays.
    pub fn remove_if_empty(&self, relative: &str) -> bool {
        self.place(relative, false).is_ok_and(|place| {
            rustix::fs::unlinkat(&*place.directory, place.name, AtFlags::REMOVEDIR).is_ok()
        })
    }

    /// Has the names on the way to a file reach the device, so that it is found after a power cut. Those that are gone, as
    /// others remove the file and the directories that this empties, have nothing to reach it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn flush_names(&self, relative: &str) -> io::Result<()> {
        // From the file's own directory up to the cache directory, whose own name was there before.
        let mut path = relative;
        loop {
            match self.place(path, false).and_then(|place| list(&place.directory, ".")) {
                Ok(parent) => rustix::fs::fsync(parent)?,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => return Ok(()),
            }
        }
    }

    /// That names which differ in case alone are two: where they are one, so are the objects of two models or tenants. Looks for
    /// the place of temporaries, which is made where it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where they are one; [`ErrorKind::Io`] when that cannot be told.
    pub fn must_tell_names_apart(&self) -> Result<(), L2Error> {
        let look = || {
            enter(&*self.root()?, TEMPORARIES, true)?;
            Ok((self.stat(TEMPORARIES)?, self.stat(&TEMPORARIES.to_ascii_uppercase())?))
        };
        let (lower, upper) = match look() {
            // Not even a directory can be made, but what is there can be loaded.
            Err(error) if is_full(&error) => return Ok(()),
            looked => looked.map_err(|error| self.cannot_make_files(error))?,
        };
        if let (Some(lower), Some(upper)) = (lower, upper)
            && Identity::of(&lower) == Identity::of(&upper)
        {
            let what = "this file system takes names that differ in case alone for the same, and with them the objects of \
                        different models or tenants; use a directory that tells them apart";
            return Err(L2Error::new(ErrorKind::Unsupported, what).with_path(&self.path));
        }
        Ok(())
    }

    /// Bytes that this process may still write to the file system.
    ///
    /// # Errors
    /// What the file system says.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&*self.root()?)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    /// What a caller is told of an error of the file system: `what` was done to the file at `relative`.
    pub fn error(&self, what: &str, relative: &str, error: io::Error) -> L2Error {
        let kind = match Errno::from_io_error(&error) {
            _ if is_full(&error) => ErrorKind::Full,
            // Of this one name; it says nothing against the storage.
            Some(Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::LOOP) => {
                let what =
                    format!("{what}: there is something in its place that is no file of ours; remove it");
                return L2Error::new(ErrorKind::Busy, what).with_path(self.full(relative)).with_source(error);
            }
            _ => ErrorKind::Io,
        };
        L2Error::new(kind, what).with_path(self.full(relative)).with_source(error)
    }

    /// An error of the first attempts to make a file.
    pub(crate) fn cannot_make_files(&self, error: io::Error) -> L2Error {
        let what = "cannot make files in the cache directory; check its rights and free space, and those of .nixl-l2 in it";
        L2Error::new(ErrorKind::Io, what).with_path(&self.path).with_source(error)
    }
}

/// The length of a regular file, in bytes; `None` for anything else.
pub fn regular_length(stat: &Stat) -> Option<u64> {
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
        .then(|| u64::try_from(stat.st_size).ok())?
}

/// Whether an error says that there is nothing at the path.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR))
}

/// Whether an error says that there is no room: of bytes, of inodes, or of what the user may have.
pub fn is_full(error: &io::Error) -> bool {
    let is_full = matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG));
    is_full || error.kind() == io::ErrorKind::StorageFull
}

/// A part of a path, if it can only mean an entry of the directory that it is looked for in.
fn own_entry(part: &str) -> io::Result<&str> {
    if matches!(part, "" | "." | "..") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a path with a part that is empty, `.` or `..`",
        ));
    }
    Ok(part)
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
///
/// # Errors
/// What the file system says; a link is not followed.
pub fn list(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

pub(crate) fn direct_flag(direct: bool) -> OFlags {
    if direct { OFlags::DIRECT } else { OFlags::empty() }
}

fn open_root(path: &Path, make: bool) -> io::Result<OwnedFd> {
    if make {
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE.as_raw_mode()).create(path)?;
        // What was made must not go with a power cut when what is in it is to stay.
        for parent in missing.iter().filter_map(|made| made.parent()) {
            rustix::fs::fsync(open_directory(parent)?)?;
        }
    }
    open_directory(path)
}

/// The directory itself may be a link: that is the operator's word. Nothing in it may.
fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
