//! A file that nobody sees until it is given its name.
//!
//! It has no name while it is written (`O_TMPFILE`), so a process that is killed leaves nothing; or, where the file
//! system has no such thing, a temporary one.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use l2_core::L2Error;
use rustix::fs::{AtFlags, CWD, OFlags};
use rustix::io::Errno;

use crate::directory::{Directory, FILE_MODE, Place, direct_flag, is_full};
use crate::temporaries::{Temporary, lock, named};

/// How files that nobody sees are made on this file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Without a name, linked when whole.
    Nameless,
    /// Under a temporary name, renamed when whole. Each has its directory open besides.
    Named,
}

impl Writing {
    /// Finds out how files can be made here; `direct` as they will be. Leaves nothing.
    ///
    /// # Errors
    /// When no file can be made either way.
    pub fn probe(directory: &Directory, direct: bool) -> Result<Self, L2Error> {
        Self::find_out(directory, direct, |file| {
            let temporary = Temporary::new(directory)?;
            link(file, &temporary.directory, &temporary.name)
        })
    }

    /// [`Writing::probe`] for files that never get a name ([`crate::pool_file`]).
    ///
    /// # Errors
    /// As [`Writing::probe`].
    pub fn probe_for_pools(directory: &Directory, direct: bool) -> Result<Self, L2Error> {
        Self::find_out(directory, direct, |_| Ok(()))
    }

    /// Finds out whether files can be made under temporary names; `direct` as they will be. For those who would look for a
    /// file by its name while it is open. Leaves nothing.
    ///
    /// # Errors
    /// When no file can be made that way.
    pub fn probe_named(directory: &Directory, direct: bool) -> Result<Self, L2Error> {
        match named(directory, OFlags::WRONLY | direct_flag(direct)) {
            Err(error) if !is_full(&error) => Err(directory.cannot_make_files(error)),
            _ => Ok(Self::Named),
        }
    }

    fn find_out(
        directory: &Directory,
        direct: bool,
        name: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> Result<Self, L2Error> {
        let access = OFlags::WRONLY | direct_flag(direct);
        match directory.root().and_then(|root| nameless(&root, access)).and_then(|file| name(&file)) {
            Ok(()) => Ok(Self::Nameless),
            // A full file system would make one if it could: what is there can be looked up and loaded all the same.
            Err(error) if is_full(&error) => Ok(Self::Nameless),
            Err(error) => {
                tracing::debug!(%error, "no nameless files here: writing under temporary names");
                Self::probe_named(directory, direct)
            }
        }
    }
}

/// A file being written, to be given a name when it is whole. Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct HiddenFile {
    file: Arc<OwnedFd>,
    temporary: Option<Temporary>,
}

impl HiddenFile {
    /// Makes an empty file, to be written, that is to be at `relative`; the directories on the way are made.
    ///
    /// # Errors
    /// What the file system says; nothing is left then.
    pub fn make(directory: &Directory, writing: Writing, relative: &str, direct: bool) -> io::Result<Self> {
        let access = OFlags::WRONLY | direct_flag(direct);
        let (file, temporary) = match writing {
            // In the directory it will be in, which may be a mount of its own.
            Writing::Nameless => {
                (directory.at_place(relative, |place| nameless(&place.directory, access))?, None)
            }
            Writing::Named => {
                let (file, temporary) = named(directory, access)?;
                (file, Some(temporary))
            }
        };
        Ok(Self { file: Arc::new(file), temporary })
    }

    /// The open file, for writing.
    pub fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// Opens it again, to be read, though it has no name yet.
    ///
    /// # Errors
    /// What the system says: without `/proc` it cannot be.
    pub fn open_to_read(&self, direct: bool) -> io::Result<OwnedFd> {
        open_again(&self.file, direct)
    }

    /// Whether it was for want of room that so many bytes could not be written: there are not as many left, counting those
    /// that the file has, or the last of them cannot be written. Nobody may write to the file any more.
    pub fn finds_no_room(&self, directory: &Directory, bytes: u64) -> bool {
        let has = rustix::fs::fstat(&self.file).map_or(0, |stat| stat.st_blocks.max(0).unsigned_abs() * 512);
        // Some file systems in memory have all they are asked for, and say that they have none.
        let free = directory.free_bytes().ok().filter(|free| *free > 0);
        let is_short = free.is_some_and(|free| free.saturating_add(has) < bytes);
        is_short || matches!(self.write_last_byte(bytes), Err(error) if is_full(&error))
    }

    fn write_last_byte(&self, bytes: u64) -> io::Result<()> {
        // One byte is not what direct I/O takes.
        rustix::fs::fcntl_setfl(&self.file, OFlags::empty())?;
        rustix::io::pwrite(&self.file, &[0], bytes.saturating_sub(1))?;
        Ok(rustix::fs::fsync(&self.file)?)
    }

    /// Has its bytes reach the device.
    ///
    /// # Errors
    /// What the file system says.
    pub fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.file)?)
    }

    /// Gives the file its name; the directories on the way are made. One that has a temporary name takes the place of a file
    /// that is there; one without is refused, and may [`HiddenFile::replace`] it.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when it was refused; else what the file system says.
    pub fn publish(&self, directory: &Directory, relative: &str) -> io::Result<()> {
        directory.at_place(relative, |place| match &self.temporary {
            Some(temporary) => rename(temporary, place),
            None => link(&self.file, &place.directory, place.name),
        })
    }

    /// Gives the file its name, in one step in place of what is there: a file of any kind, but no directory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn replace(&self, directory: &Directory, relative: &str) -> io::Result<()> {
        let rename = |temporary| directory.at_place(relative, |place| rename(temporary, place));
        if let Some(temporary) = &self.temporary {
            return rename(temporary);
        }
        let temporary = Temporary::new(directory)?;
        // It has no name yet: nobody else can have locked it.
        lock(&self.file)?;
        link(&self.file, &temporary.directory, &temporary.name)?;
        rename(&temporary)
    }
}

/// Opens an open file again, to be read, with flags that cuFile takes: those that it was opened with for safety are not among
/// them.
///
/// # Errors
/// What the system says: without `/proc` it cannot be.
pub fn open_again(file: &OwnedFd, direct: bool) -> io::Result<OwnedFd> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | direct_flag(direct);
    Ok(rustix::fs::openat(CWD, own, flags, rustix::fs::Mode::empty())?)
}

/// A file to try things on; gone when it is closed.
pub(crate) fn scratch(directory: &Directory, direct: bool) -> io::Result<OwnedFd> {
    let access = OFlags::WRONLY | direct_flag(direct);
    nameless(&*directory.root()?, access).or_else(|_| named(directory, access).map(|(file, _)| file))
}

/// A new file without a name, opened with `access` (how it may be used).
pub(crate) fn nameless(directory: &OwnedFd, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::TMPFILE | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, ".", flags, FILE_MODE)?)
}

fn rename(temporary: &Temporary, place: &Place<'_>) -> io::Result<()> {
    Ok(rustix::fs::renameat(&temporary.directory, &*temporary.name, &*place.directory, place.name)?)
}

fn link(file: &OwnedFd, directory: &OwnedFd, name: &str) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, own, directory, name, AtFlags::SYMLINK_FOLLOW) {
        // Without /proc, or behind its limits, root may name the descriptor itself.
        Err(first @ (Errno::NOENT | Errno::ACCESS | Errno::PERM)) => {
            match rustix::fs::linkat(file, "", directory, name, AtFlags::EMPTY_PATH) {
                // It may not: then the first answer is the one of interest, as that the directory is gone.
                Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => Err(first.into()),
                linked => Ok(linked?),
            }
        }
        linked => Ok(linked?),
    }
}
