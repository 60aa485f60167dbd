//! The slots of a pool: files that nobody ever sees, their space reserved, gone with the process. Or ones that have names, for
//! who would look for them by name.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use crate::directory::{Directory, direct_flag};
use crate::hidden::{Writing, nameless};
use crate::temporaries::{Temporary, named};

/// Whether the space of a file is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// Writing it cannot find the disk full.
    Yes,
    /// The file system cannot reserve: it finds out that it is full while it writes, which is an error then.
    No,
}

/// Reserves space for the first `bytes` of a file, which is at least that long then. Where the file system cannot, the
/// file is as it was.
///
/// # Errors
/// `ENOSPC` and the like when there is no room ([`crate::is_full`]); `EINVAL` for 0 bytes.
pub fn reserve(file: &OwnedFd, bytes: u64) -> io::Result<Reserved> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(Reserved::Yes),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Reserved::No),
        Err(errno) => Err(errno.into()),
    }
}

/// A file of `bytes`, all of them zero, to be read and written in place; with `direct`, by direct I/O.
///
/// It has no name when this returns, and never gets one: it is gone when it is closed, also by the death of the
/// process. With [`Writing::Named`] it had a temporary one for a moment; a process that is killed in that moment leaves
/// it to [`crate::remove_dead_temporaries`]. (NFS keeps a file without a name under one of its own until it is closed.)
///
/// # Errors
/// `ENOSPC` and the like when there is no room ([`crate::is_full`]), and what else the file system says; nothing is left
/// then.
pub fn pool_file(
    directory: &Directory,
    writing: Writing,
    bytes: u64,
    direct: bool,
) -> io::Result<(OwnedFd, Reserved)> {
    let access = OFlags::RDWR | direct_flag(direct);
    let file = match writing {
        // `EXCL`: nobody can link it.
        Writing::Nameless => nameless(&*directory.root()?, access | OFlags::EXCL)?,
        Writing::Named => {
            let (file, temporary) = named(directory, access)?;
            temporary.remove()?;
            file
        }
    };
    let reserved = fill(&file, bytes)?;
    Ok((file, reserved))
}

/// The name of a file of a pool, which goes when this is dropped.
#[derive(Debug)]
pub struct PoolName {
    _temporary: Temporary,
}

/// As [`pool_file`], with a temporary name for as long as that is kept: a process that is killed leaves it to
/// [`crate::remove_dead_temporaries`].
///
/// # Errors
/// As [`pool_file`].
pub fn named_pool_file(
    directory: &Directory,
    bytes: u64,
    direct: bool,
) -> io::Result<(OwnedFd, Reserved, PoolName)> {
    let (file, temporary) = named(directory, OFlags::RDWR | direct_flag(direct))?;
    let reserved = fill(&file, bytes)?;
    Ok((file, reserved, PoolName { _temporary: temporary }))
}

/// Makes a new file so long.
fn fill(file: &OwnedFd, bytes: u64) -> io::Result<Reserved> {
    let reserved = reserve(file, bytes)?;
    if reserved == Reserved::No {
        rustix::fs::ftruncate(file, bytes)?;
    }
    Ok(reserved)
}
