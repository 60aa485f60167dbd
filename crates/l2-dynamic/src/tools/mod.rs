//! What an operator does with a cache directory: list it, check it, clean it, erase a tenant, change its layout.
//!
//! [`CacheDirectory`] needs no NIXL and no adapter, and works beside running ones. It sees the regular files whose path is
//! that of an object, in either layout, whoever stored them (`LMCache`'s have no records, and are objects like any other).
//! Everything else (other files, links, directories that were not emptied by it) is not touched, and no link is followed.
//!
//! | to do | call |
//! |---|---|
//! | see what is there | [`CacheDirectory::list`], [`CacheDirectory::usage`], [`CacheDirectory::find`] |
//! | compare it with what is kept beside it | [`CacheDirectory::verify`], then [`CacheDirectory::repair`] |
//! | clean up, by age or size too | [`CacheDirectory::plan_sweep`], then [`CacheDirectory::sweep`] |
//! | erase a tenant or model | [`CacheDirectory::traces`], then [`CacheDirectory::erase`] |
//! | change `shard_dirs` | [`CacheDirectory::plan_migration`], then [`CacheDirectory::migrate`] |
//!
//! What changes something is two calls: the first says what would be done, and changes nothing. The second looks again at each
//! file before it touches it, and leaves one alone that is not the one which was found.
//!
//! # Beside a running adapter
//! A file that vanishes meanwhile is no error. An adapter is not told of what goes: it may answer a lookup with a hit until
//! it opens the file, which is then a miss, and counts the bytes until then.
//!
//! # Limits
//! * What a call lists it has in memory: some 200 bytes for each object (of [`CacheDirectory::list`] with a limit, for each of
//!   those).
//! * Bytes are lengths, as a capacity counts them; what they take on the disk is said besides where it matters.
//! * Between the last look at a file and its removal another may take its place, for the length of one call of the system; what
//!   is lost then is a cached object, which is missed and stored again.
//! * [`CacheDirectory::migrate`] is for one at a time: a second one is refused. On NFS the machines do not see each other's locks.
//!
//! # Example
//! ```no_run
//! use l2_dynamic::tools::{CacheDirectory, ObjectFilter};
//!
//! let cache = CacheDirectory::open("/data/l2".as_ref())?;
//! let tenant = ObjectFilter { cache_salt: Some("alice".to_owned()), ..ObjectFilter::default() };
//! for object in cache.list(&tenant, None, Some(10)).objects {
//!     println!("{} bytes of {}", object.bytes, object.key);
//! }
//! let erased = cache.erase(&tenant)?;
//! assert!(erased.is_proved(), "{:?}", erased.left);
//! # Ok::<(), l2_core::L2Error>(())
//! ```

mod check;
mod details;
mod erase;
mod filter;
mod give_way;
mod listing;
mod migrate;
mod named_for;

mod sweep;
mod traces;
mod usage;
mod verify;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use l2_core::{ErrorKind, L2Error, ObjectKey};
use l2_files::{Beside, Directory, Version, regular_length};
use l2_index::paths::{Layout, key_to_path};
use rustix::fs::Stat;
use rustix::process::geteuid;

use crate::walk::{Met, walk};
use crate::{aside, removal};

pub use check::Fault;
pub use details::{Found, KeptRecord, ObjectDetails, RecordFields};
pub use erase::Erased;
pub use filter::ObjectFilter;
pub use l2_files::Kept as RecordPlace;
pub use listing::{FoundObject, Listing};
pub use migrate::{Migrated, MigrationPlan};
pub use sweep::{SweepPlan, SweepTerms, Swept};
pub use traces::Traces;
pub use usage::{DirectoryUsage, Share, UsageBy, UsageOf};
pub use verify::{BadObject, Repaired, Verified, VerifyTerms};

/// A cache directory of `nixl_store_dynamic`, or of `LMCache`'s adapter of that name, open.
#[derive(Debug)]
pub struct CacheDirectory {
    directory: Directory,
    beside: Beside,
}

/// So many objects, with so many bytes in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// The sum of their lengths.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl CacheDirectory {
    /// Opens the directory, the `file_path` of an adapter's JSON. Nothing is made.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it is missing, no directory, or may not be opened.
    pub fn open(path: &Path) -> Result<Self, L2Error> {
        let directory = Directory::open_there(path)?;
        let beside = Beside::to_read(&directory);
        Ok(Self { directory, beside })
    }

    /// The directory's path, made absolute.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Tells `visit` of each object, by path and key, in no order. What could not be read is added to `failures`.
    fn each_object(&self, failures: &mut Vec<L2Error>, visit: &mut dyn FnMut(String, ObjectKey)) {
        // It never breaks.
        let _ = walk(&self.directory, &mut |met| {
            match met {
                Met::Object { path, key } => visit(path, key),
                Met::Failed { path, error } => failures.push(self.cannot_read(&path, error)),
                Met::Unfinished { .. } | Met::Left { .. } => {}
            }
            ControlFlow::Continue(())
        });
    }

    /// What [`CacheDirectory::each_object`] tells, of the objects that are still there, with what is known without opening them.
    fn each_file(&self, failures: &mut Vec<L2Error>, visit: &mut dyn FnMut(String, ObjectKey, Stat)) {
        let mut failed = Vec::new();
        self.each_object(failures, &mut |path, key| match self.look(&path) {
            Ok(Some(stat)) => visit(path, key, stat),
            Ok(None) => {}
            Err(error) => failed.push(self.directory.error("cannot look at a file", &path, error)),
        });
        failures.append(&mut failed);
    }

    /// What is at a path, if it is a regular file.
    fn look(&self, path: &str) -> io::Result<Option<Stat>> {
        Ok(self.directory.stat(path)?.filter(|stat| regular_length(stat).is_some()))
    }

    /// Removes an object that is still the one which was found, with its record and the directories that this empties.
    fn remove(&self, path: &str, found: &Version) -> Result<bool, L2Error> {
        let remove = || self.directory.remove_if_unchanged(path, found);
        match removal::remove_with_record(&self.directory, &self.beside, path, remove) {
            Ok(was_removed) => {
                if was_removed {
                    self.directory.remove_emptied(path);
                }
                Ok(was_removed)
            }
            Err(error) => Err(self.directory.error("cannot remove a file", path, error)),
        }
    }

    /// Sets an object aside that is still the one which was found. Its path from then on, if it was.
    fn set_aside(&self, path: &str, found: &Version) -> Result<Option<String>, L2Error> {
        self.must_be_ours(path)?;
        self.move_aside(path, found)
    }

    fn move_aside(&self, path: &str, found: &Version) -> Result<Option<String>, L2Error> {
        let moved = aside::set_aside(&self.directory, path, found)?;
        if moved.is_some() {
            self.directory.remove_emptied(path);
        }
        Ok(moved)
    }

    /// What is moved into directories that this user makes is out of reach for every other.
    fn must_be_ours(&self, path: &str) -> Result<(), L2Error> {
        let looked = self.look(path);
        let stat = looked.map_err(|error| self.directory.error("cannot look at a file", path, error))?;
        match stat {
            Some(stat) if stat.st_uid != geteuid().as_raw() => {
                let what = format!(
                    "not moved, for it belongs to the user {}, who could not reach it any more; run this as that user",
                    stat.st_uid
                );
                Err(L2Error::new(ErrorKind::Unsupported, what).with_path(self.directory.full(path)))
            }
            _ => Ok(()),
        }
    }

    fn cannot_read(&self, path: &str, error: io::Error) -> L2Error {
        self.directory.error("a part of the cache directory cannot be read", path, error)
    }
}

/// In which layout an object's path is.
fn layout_of(path: &str, key: &ObjectKey) -> Layout {
    if key_to_path(key, Layout::Flat) == path { Layout::Flat } else { Layout::Sharded }
}
