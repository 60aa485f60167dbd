//! Making the files of the pool: open, with their space reserved, and without a name.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use l2_core::{ErrorKind, L2Error};
use l2_files::{Alignment, Directory, Reserved, Writing, is_full, pool_file, remove_dead_temporaries};

/// The files of a pool, and what their file system asks for.
#[derive(Debug)]
pub(crate) struct PoolFiles {
    pub(crate) open: Vec<Arc<OwnedFd>>,
    /// Set with direct I/O.
    pub(crate) direct: Option<Alignment>,
}

/// A directory for the files of a pool, looked into.
#[derive(Debug)]
pub(crate) struct PoolDirectory {
    directory: Directory,
    writing: Writing,
    pub(crate) direct: Option<Alignment>,
}

impl PoolDirectory {
    /// Opens the directory, which is made where it is missing, and finds out how files are made in it.
    pub(crate) fn open(path: &Path, direct: bool) -> Result<Self, L2Error> {
        let directory = Directory::open(path)?;
        let writing = Writing::probe(&directory, direct)?;
        let direct = if direct { Some(Alignment::probe(&directory)?) } else { None };
        // Where files cannot do without a name, a killed process may have left one.
        let dead = remove_dead_temporaries(&directory)?;
        tracing::debug!(path = %path.display(), ?writing, ?direct, dead, "opened a directory for a pool");
        Ok(Self { directory, writing, direct })
    }

    /// Makes `count` files of `bytes` bytes each. Nothing is left if one cannot be made, nor when they are closed.
    pub(crate) fn files(self, count: u32, bytes: u64) -> Result<PoolFiles, L2Error> {
        let Self { directory, writing, direct } = self;
        let mut open = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        let mut reserved = Reserved::Yes;
        for number in 0..count {
            let (file, space) = pool_file(&directory, writing, bytes, direct.is_some())
                .map_err(|error| cannot_make(&directory, (number, count), bytes, error))?;
            if space != Reserved::Yes {
                reserved = space;
            }
            open.push(Arc::new(file));
        }
        if reserved != Reserved::Yes {
            tracing::warn!(
                path = %directory.path().display(),
                "this file system cannot reserve space: a store may find the disk full"
            );
        }
        Ok(PoolFiles { open, direct })
    }
}

fn cannot_make(
    directory: &Directory,
    (number, count): (u32, u32),
    bytes: u64,
    error: std::io::Error,
) -> L2Error {
    let total = u128::from(count) * u128::from(bytes);
    let (kind, what) = if is_full(&error) {
        let free = rustix::fs::fstatvfs(&*directory.root()).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
        let what = format!(
            "the pool does not fit on its file system: pool_size {count} times file_size {bytes} is {total} bytes, and it \
             was full at file {} ({free} bytes are free without them); lower pool_size or file_size",
            number + 1
        );
        (ErrorKind::Full, what)
    } else {
        (ErrorKind::Io, format!("cannot make file {} of the {count} of the pool", number + 1))
    };
    L2Error::new(kind, what).with_path(directory.path()).with_source(error)
}
