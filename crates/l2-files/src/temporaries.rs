//! Files with temporary names, for file systems that have no files without one.
//!
//! Such a file has a name of this process's own in [`TEMPORARIES`], and a lock that ends with the process: whoever
//! opens the directory next removes those whose lock is free.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use l2_core::L2Error;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::directory::{Directory, FILE_MODE, enter, is_absent, list, regular_length};

/// Where files with temporary names are, below the cache directory. No path of an object starts with a dot.
pub const TEMPORARIES: &str = ".nixl-l2";

/// A temporary name; removed on drop.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) directory: OwnedFd,
    pub(crate) name: String,
}

impl Temporary {
    /// A name that nobody else uses; no file yet.
    pub(crate) fn new(directory: &Directory) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Process ids come again, and mean nothing on another machine: the time keeps two apart, and `EXCL` catches
        // what is left.
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        let name = format!("{}-{now:x}-{number}", std::process::id());
        Ok(Self { directory: enter(&*directory.root()?, TEMPORARIES, true)?, name })
    }

    /// Takes the name from its file.
    pub(crate) fn remove(&self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.directory, &*self.name, AtFlags::empty())?)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Renamed away, or the directory is gone: nothing to remove.
        let _ = self.remove();
    }
}

/// Whether a name is of the form that [`Temporary::new`] gives.
fn is_temporary(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [process, time, number] = *parts else { return false };
    process.parse::<u32>().is_ok() && u128::from_str_radix(time, 16).is_ok() && number.parse::<u64>().is_ok()
}

/// A new file with a temporary name, opened with `access` (how it may be used).
pub(crate) fn named(directory: &Directory, access: OFlags) -> io::Result<(OwnedFd, Temporary)> {
    /// How often another name is tried, because a sweep took the one before.
    const NAMES: usize = 16;
    // `EXCL` follows no link. Not `NOFOLLOW`, which would stay with the descriptor, where cuFile does not like it.
    let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for _ in 0..NAMES {
        let temporary = Temporary::new(directory)?;
        let file = rustix::fs::openat(&temporary.directory, &*temporary.name, flags, FILE_MODE)?;
        if keep(&file)? {
            return Ok((file, temporary));
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "other processes keep removing temporary files"))
}

/// Locks a file that was just made, until it is closed, also by the death of the process. `false` when somebody who
/// opens the directory found it unlocked first, and removes it.
fn keep(file: &OwnedFd) -> io::Result<bool> {
    Ok(lock(file)? && rustix::fs::fstat(file)?.st_nlink > 0)
}

/// Locks a temporary file. `false` when another has; on a file system without locks nobody can have, and nobody sweeps.
pub(crate) fn lock(file: &OwnedFd) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) | Err(Errno::NOSYS | Errno::NOLCK | Errno::OPNOTSUPP) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes the temporaries that dead processes left, to be called when a cache directory is opened. Those of live
/// processes are locked, and stay; so does what is not named as a temporary is. How many were removed.
///
/// # Errors
/// When the temporaries cannot be listed.
pub fn remove_dead_temporaries(directory: &Directory) -> Result<usize, L2Error> {
    sweep(directory, true).map_err(|error| directory.cannot_make_files(error))
}

/// How many temporaries of dead processes [`remove_dead_temporaries`] would remove.
///
/// # Errors
/// When they cannot be listed.
pub fn dead_temporaries(directory: &Directory) -> Result<usize, L2Error> {
    sweep(directory, false)
        .map_err(|error| directory.error("cannot list the temporaries", TEMPORARIES, error))
}

/// Finds those whose lock is free. To look for it takes it for a moment: who is about to lock one that it has just made then
/// makes another.
fn sweep(directory: &Directory, remove: bool) -> io::Result<usize> {
    let temporaries = match directory.root().and_then(|root| list(&root, TEMPORARIES)) {
        Err(error) if is_absent(&error) => return Ok(0),
        opened => opened?,
    };
    let mut dead = 0;
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
        let is_dead = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let goes = || rustix::fs::unlinkat(&temporaries, entry.file_name(), AtFlags::empty()).is_ok();
        if is_dead && (!remove || goes()) {
            dead += 1;
        }
    }
    Ok(dead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fresh;
    use std::fs;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn only_names_that_we_give_are_temporary() {
        let (_home, directory) = fresh();
        for _ in 0..10 {
            assert!(is_temporary(&Temporary::new(&directory).unwrap().name));
        }
        for other in
            ["", "1", "1-2", "1-2-x", "x-2-3", "1-x-3", "1-2-3-4", "1-2-3.bin", "--", "report.tmp.csv"]
        {
            assert!(!is_temporary(other), "{other}");
        }
    }

    /// A name is made, then its file is locked: a sweep in between must not cost anybody their file.
    #[test]
    fn a_sweep_takes_no_temporary_that_is_being_made() {
        const ROUNDS: usize = 4000;
        let (_home, directory) = fresh();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        remove_dead_temporaries(&directory).unwrap();
                    }
                });
            }
            let lost = (0..ROUNDS).filter(|_| match named(&directory, OFlags::WRONLY) {
                Ok((file, _temporary)) => rustix::fs::fstat(&file).unwrap().st_nlink != 1,
                Err(_) => true,
            });
            let lost = lost.count();
            done.store(true, Ordering::Release);
            assert_eq!(lost, 0, "of {ROUNDS} files");
        });
    }

    #[test]
    fn a_file_that_a_sweep_has_found_is_not_kept() {
        let (_home, directory) = fresh();
        let path = directory.full("x");
        let make = || OwnedFd::from(fs::File::create(&path).unwrap());
        assert!(keep(&make()).unwrap());

        let file = make();
        let sweeping = OwnedFd::from(fs::File::open(&path).unwrap());
        rustix::fs::flock(&sweeping, FlockOperation::LockExclusive).unwrap();
        assert!(!keep(&file).unwrap(), "it is about to be removed");
        fs::remove_file(&path).unwrap();
        drop(sweeping);
        assert!(!keep(&file).unwrap(), "it was removed");
    }
}
