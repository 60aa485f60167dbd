//! Writing a file that nobody sees until it is whole.
//!
//! The file has no name while it is written (`O_TMPFILE`), so a process that is killed leaves nothing. Where the file
//! system has no such thing, it has a name of this process's own in [`TEMPORARIES`], and a lock that ends with the
//! process: whoever opens the directory next removes those whose lock is free.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::directory::{Directory, FILE_MODE, direct_flag, enter, is_absent, is_full, list, regular_length};

/// Where files with a name are written, below the cache directory. No key's path starts with a dot.
pub(crate) const TEMPORARIES: &str = ".nixl-l2";

/// How files are written on this file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Without a name, linked when whole.
    Nameless,
    /// Under a temporary name, renamed when whole.
    Named,
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct Draft {
    file: Arc<OwnedFd>,
    bytes: u64,
    /// Its name below [`TEMPORARIES`], if it has one.
    temporary: Option<Temporary>,
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// It has its final name.
    Now,
    /// Another process has published the same object: that one stays, and ours is gone.
    Before,
}

/// A temporary name; removed on drop.
#[derive(Debug)]
struct Temporary {
    directory: OwnedFd,
    name: String,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Renamed away, or the directory is gone: nothing to remove.
        let _ = rustix::fs::unlinkat(&self.directory, &*self.name, AtFlags::empty());
    }
}

impl Writing {
    /// Finds out how files can be written here; `direct` as they will be. Leaves nothing.
    ///
    /// # Errors
    /// When no file can be made either way.
    pub(crate) fn probe(directory: &Directory, direct: bool) -> io::Result<Self> {
        let nameless = nameless(&directory.root(), direct).and_then(|file| {
            let temporary = name_it(directory)?;
            link(&file, &temporary.directory, &temporary.name)
        });
        match nameless {
            Ok(()) => Ok(Self::Nameless),
            // A full file system would make one if it could: what is there can be looked up and loaded all the same.
            Err(error) if is_full(&error) => Ok(Self::Nameless),
            Err(error) => {
                tracing::debug!(%error, "no nameless files here: writing under temporary names");
                match named(directory, direct) {
                    Err(error) if is_full(&error) => Ok(Self::Named),
                    made => made.map(|_| Self::Named),
                }
            }
        }
    }
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
        let (file, temporary) = match writing {
            // In the directory it will be in, which may be a mount of its own.
            Writing::Nameless => (nameless(&directory.place(relative, true)?.directory, direct)?, None),
            Writing::Named => {
                let (file, temporary) = named(directory, direct)?;
                (file, Some(temporary))
            }
        };
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // A file system that cannot reserve finds out that it is full while it writes, which is an error, too.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(Self { file: Arc::new(file), bytes, temporary })
    }

    /// The open file, for writing.
    pub(crate) fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// What the file system says; nothing is left then.
    pub(crate) fn publish(self, directory: &Directory, relative: &str) -> io::Result<Published> {
        let place = directory.place(relative, true)?;
        let Some(temporary) = &self.temporary else {
            return match link(&self.file, &place.directory, place.name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let length = directory.stat(relative)?.and_then(|stat| regular_length(&stat));
                    if length == Some(self.bytes) && directory.may_read(relative) {
                        return Ok(Published::Before);
                    }
                    // Of another length, not to be read, or no file at all: replaced in one step.
                    let temporary = name_it(directory)?;
                    rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive)?;
                    link(&self.file, &temporary.directory, &temporary.name)?;
                    rename(&temporary, &place.directory, place.name)
                }
                Err(error) => Err(error),
                Ok(()) => Ok(Published::Now),
            };
        };
        rename(temporary, &place.directory, place.name)
    }
}

/// A file to try things on; gone when it is closed.
pub(crate) fn scratch(directory: &Directory, direct: bool) -> io::Result<OwnedFd> {
    nameless(&directory.root(), direct).or_else(|_| named(directory, direct).map(|(file, _)| file))
}

fn rename(temporary: &Temporary, directory: &OwnedFd, name: &str) -> io::Result<Published> {
    rustix::fs::renameat(&temporary.directory, &*temporary.name, directory, name)?;
    Ok(Published::Now)
}

fn nameless(directory: &OwnedFd, direct: bool) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC | direct_flag(direct);
    Ok(rustix::fs::openat(directory, ".", flags, FILE_MODE)?)
}

fn named(directory: &Directory, direct: bool) -> io::Result<(OwnedFd, Temporary)> {
    /// How often another name is tried, because a sweep took the one before.
    const NAMES: usize = 16;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..NAMES {
        let temporary = name_it(directory)?;
        let file = rustix::fs::openat(
            &temporary.directory,
            &*temporary.name,
            flags | direct_flag(direct),
            FILE_MODE,
        )?;
        if keep(&file)? {
            return Ok((file, temporary));
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "other processes keep removing temporary files"))
}

/// Locks a file that was just made, until it is closed, also by the death of the process. `false` when somebody who
/// opens the directory found it unlocked first, and removes it.
fn keep(file: &OwnedFd) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(rustix::fs::fstat(file)?.st_nlink > 0),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// A temporary name that nobody else uses; no file yet.
fn name_it(directory: &Directory) -> io::Result<Temporary> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Process ids come again, and mean nothing on another machine: the time keeps two apart, and `EXCL` catches what is
    // left.
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let name = format!("{}-{now:x}-{number}", std::process::id());
    Ok(Temporary { directory: enter(&directory.root(), TEMPORARIES, true)?, name })
}

/// Whether a name is of the form that [`name_it`] gives.
fn is_temporary(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [process, time, number] = *parts else { return false };
    process.parse::<u32>().is_ok() && u128::from_str_radix(time, 16).is_ok() && number.parse::<u64>().is_ok()
}

fn link(file: &OwnedFd, directory: &OwnedFd, name: &str) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, own, directory, name, AtFlags::SYMLINK_FOLLOW) {
        // Without /proc, or behind its limits, root may name the descriptor itself.
        Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => {
            Ok(rustix::fs::linkat(file, "", directory, name, AtFlags::EMPTY_PATH)?)
        }
        linked => Ok(linked?),
    }
}

/// Removes the temporaries that dead processes left. Those of live ones are locked, and stay.
pub(crate) fn remove_dead_temporaries(directory: &Directory) -> io::Result<usize> {
    let temporaries = match list(&directory.root(), TEMPORARIES) {
        Err(error) if is_absent(&error) => return Ok(0),
        opened => opened?,
    };
    let mut removed = 0;
    for entry in Dir::read_from(&temporaries)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_ok_and(is_temporary) {
            continue;
        }
        // For writing, without which NFS locks nothing.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // Directories, links and whatever else is not ours are not touched.
        let Ok(file) = rustix::fs::openat(&temporaries, entry.file_name(), flags, Mode::empty()) else {
            continue;
        };
        if rustix::fs::fstat(&file).ok().and_then(|stat| regular_length(&stat)).is_none() {
            continue;
        }
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && rustix::fs::unlinkat(&temporaries, entry.file_name(), AtFlags::empty()).is_ok()
        {
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
