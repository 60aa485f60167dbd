//! Listing objects by pages, in the order of their paths.

use std::collections::BTreeMap;
use std::time::SystemTime;

use l2_core::{L2Error, ObjectKey};
use l2_files::Version;

use super::{CacheDirectory, ObjectFilter};

/// An object that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundObject {
    /// Its path below the cache directory.
    pub path: String,
    /// Its key.
    pub key: ObjectKey,
    /// Its length.
    pub bytes: u64,
    /// When it was stored: the last change of its bytes, not before 1970.
    pub modified: SystemTime,
}

/// A page of objects.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of their paths, byte by byte.
    pub objects: Vec<FoundObject>,
    /// Where the next page starts, if there is one: after this path.
    pub next: Option<String>,
    /// The parts of the directory that could not be read.
    pub failures: Vec<L2Error>,
}

impl CacheDirectory {
    /// The objects that are meant, in the order of their paths: those after `after`, at most `limit`. Pages join up: an object
    /// that is there all the time is on exactly one of them, whatever is stored and removed meanwhile.
    ///
    /// Each page walks the whole directory.
    pub fn list(&self, filter: &ObjectFilter, after: Option<&str>, limit: Option<usize>) -> Listing {
        let mut listing = Listing::default();
        let limit = limit.unwrap_or(usize::MAX);
        // The first ones so far.
        let mut first: BTreeMap<String, ObjectKey> = BTreeMap::new();
        let mut is_all = true;
        self.each_object(&mut listing.failures, &mut |path, key| {
            if after.is_none_or(|after| path.as_str() > after) && filter.matches(&key) {
                first.insert(path, key);
                if first.len() > limit {
                    first.pop_last();
                    is_all = false;
                }
            }
        });
        if !is_all {
            listing.next = first.last_key_value().map(|(path, _)| path.clone());
        }
        for (path, key) in first {
            match self.look(&path) {
                Ok(Some(stat)) => {
                    let version = Version::of(&stat);
                    let (bytes, modified) = (version.length(), version.modified());
                    listing.objects.push(FoundObject { path, key, bytes, modified });
                }
                Ok(None) => {}
                Err(error) => {
                    listing.failures.push(self.directory.error("cannot look at a file", &path, error));
                }
            }
        }
        listing
    }
}
