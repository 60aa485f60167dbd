//! Making the files of the pool: open, with their space reserved, and without a name unless the plugin wants one.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use l2_core::{ErrorKind, L2Error};
use l2_files::{
    Alignment, Directory, PoolName, Reserved, Writing, is_full, named_pool_file, pool_file,
    remove_dead_temporaries,
};
use rustix::process::{Resource, getrlimit};

/// The files of a pool, and what their file system asks for.
#[derive(Debug)]
pub(crate) struct PoolFiles {
    pub(crate) open: Vec<Arc<OwnedFd>>,
    /// Their names, where they have any.
    pub(crate) names: Vec<PoolName>,
    /// Set with direct I/O.
    pub(crate) direct: Option<Alignment>,
}

/// A directory for the files of a pool, looked into.
#[derive(Debug)]
pub(crate) struct PoolDirectory {
    directory: Directory,
    writing: Writing,
    /// Whether the files are to have names while they are open.
    named: bool,
    pub(crate) direct: Option<Alignment>,
}

impl PoolDirectory {
    /// Opens the directory, which is made where it is missing, and finds out how files are made in it; `named` if they are to
    /// have names while they are open.
    pub(crate) fn open(path: &Path, direct: bool, named: bool) -> Result<Self, L2Error> {
        let directory = Directory::open(path)?;
        let probe = if named { Writing::probe_named } else { Writing::probe_for_pools };
        let writing = probe(&directory, direct)?;
        let direct = if direct { Some(Alignment::probe(&directory)?) } else { None };
        // Where files cannot do without a name, a killed process may have left one.
        let dead = remove_dead_temporaries(&directory)?;
        tracing::debug!(path = %path.display(), ?writing, ?direct, dead, "opened a directory for a pool");
        Ok(Self { directory, writing, named, direct })
    }

    /// Makes `count` files of `bytes` bytes each. Nothing is left if one cannot be made, nor when they are closed.
    pub(crate) fn files(self, count: u32, bytes: u64) -> Result<PoolFiles, L2Error> {
        let Self { directory, writing, named, direct } = self;
        check_file_size(bytes)?;
        let wanted = Wanted { count, bytes, free: Free::on(&directory) };
        // To find out by trying would fill the disk for everybody else meanwhile.
        if wanted.free.is_less_than(wanted.total()) {
            return Err(wanted.does_not_fit("").with_path(directory.path()));
        }
        let mut open = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        let mut names = Vec::new();
        let mut reserved = Reserved::Yes;
        for number in 0..count {
            let made = if named {
                named_pool_file(&directory, bytes, direct.is_some()).map(|(file, space, name)| {
                    names.push(name);
                    (file, space)
                })
            } else {
                pool_file(&directory, writing, bytes, direct.is_some())
            };
            let (file, space) =
                made.map_err(|error| wanted.cannot_make(number + 1, error).with_path(directory.path()))?;
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
        Ok(PoolFiles { open, names, direct })
    }
}

/// A longer file than the process may make would end it by a signal.
fn check_file_size(bytes: u64) -> Result<(), L2Error> {
    let limit = getrlimit(Resource::Fsize).current;
    match limit.filter(|&limit| bytes > limit) {
        None => Ok(()),
        Some(limit) => {
            let what = format!(
                "file_size {bytes} is more than this process may make a file long, {limit} bytes (RLIMIT_FSIZE): raise that \
                 (ulimit -f, LimitFSIZE=), or lower file_size and raise pool_size"
            );
            Err(L2Error::new(ErrorKind::Unsupported, what))
        }
    }
}

/// The files to be made, and the room for them.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    count: u32,
    bytes: u64,
    free: Free,
}

/// Bytes that were free before any file was made.
#[derive(Debug, Clone, Copy)]
struct Free {
    /// For anybody.
    available: u64,
    /// With those that only root may have; `None` where the file system does not say.
    most: Option<u64>,
}

impl Free {
    fn on(directory: &Directory) -> Self {
        let unknown = Self { available: 0, most: None };
        let stat = directory.root().and_then(|root| Ok(rustix::fs::fstatvfs(&*root)?));
        stat.map_or(unknown, |stat| {
            let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
            Self { available: bytes(stat.f_bavail), most: (stat.f_blocks > 0).then(|| bytes(stat.f_bfree)) }
        })
    }

    fn is_less_than(self, bytes: u128) -> bool {
        self.most.is_some_and(|most| bytes > u128::from(most))
    }
}

impl Wanted {
    fn total(self) -> u128 {
        u128::from(self.count) * u128::from(self.bytes)
    }

    /// `when` says how far it came.
    fn does_not_fit(self, when: &str) -> L2Error {
        let Self { count, bytes, free: Free { available, .. } } = self;
        let total = self.total();
        let what = format!(
            "the pool does not fit on its file system: pool_size {count} times file_size {bytes} is {total} bytes, and \
             {available} bytes are free{when}; lower pool_size or file_size"
        );
        L2Error::new(ErrorKind::Full, what)
    }

    fn cannot_make(self, number: u32, error: std::io::Error) -> L2Error {
        let made = if is_full(&error) {
            self.does_not_fit(&format!(" (it was full at file {number})"))
        } else {
            let what = format!("cannot make file {number} of the {} of the pool", self.count);
            L2Error::new(ErrorKind::Io, what)
        };
        made.with_source(error)
    }
}
