//! A visit to a cache directory that leaves no directory behind which was not there before.

use std::fs;
use std::path::{Path, PathBuf};

use crate::temporaries::TEMPORARIES;

/// Directories lie at most so deep in each other: `ab/cd` of an object, `.nixl-l2/beside/ab` of a side file.
const DEEPEST: usize = 3;

/// What was there before somebody used a cache directory for a moment: when this is dropped, directories that were made
/// meanwhile, the cache directory and those above it included, are removed if they are empty. Files are never touched.
///
/// In a directory that was there only the place of temporaries is looked at, and only if it was missing: then no server
/// has ever used the directory, and none can miss it. Shards that were made in it stay.
///
/// ```
/// # let home = tempfile::tempdir()?;
/// let path = home.path().join("a/b");
/// let visit = l2_files::Visit::begin(&path);
/// let _directory = l2_files::Directory::open(&path)?;
/// drop(visit);
/// assert!(!home.path().join("a").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Visit {
    path: PathBuf,
    /// The cache directory and those above it that were missing, the lowest first.
    missing: Vec<PathBuf>,
    had_temporaries: bool,
}

impl Visit {
    /// Looks at what is there. Blocks as long as the file system does.
    pub fn begin(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        // A link that leads nowhere is there, too.
        let is_missing = |path: &&Path| fs::symlink_metadata(path).is_err();
        let missing = path.ancestors().take_while(is_missing).map(Path::to_path_buf).collect();
        let had_temporaries = fs::symlink_metadata(path.join(TEMPORARIES)).is_ok();
        Self { path, missing, had_temporaries }
    }

    /// Whether the cache directory was there.
    pub fn found_it(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.found_it() && !self.had_temporaries {
            remove_empty(&self.path.join(TEMPORARIES), DEEPEST);
        }
        if let Some((cache, above)) = self.missing.split_first() {
            remove_empty(cache, DEEPEST);
            for made in above {
                // Of one that is not empty those above are not, either.
                let _ = fs::remove_dir(made);
            }
        }
    }
}

/// Removes a directory, and those in it first, if there is nothing but directories in it. A link is not followed.
fn remove_empty(directory: &Path, levels: usize) {
    let is_directory = fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir());
    if !is_directory {
        return;
    }
    if let Some(levels) = levels.checked_sub(1)
        && let Ok(entries) = fs::read_dir(directory)
    {
        for entry in entries.flatten() {
            remove_empty(&entry.path(), levels);
        }
    }
    // One that is not empty stays.
    let _ = fs::remove_dir(directory);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path below a directory, in order.
    fn tree(directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut rest = vec![directory.to_path_buf()];
        while let Some(next) = rest.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned());
                if path.symlink_metadata().unwrap().is_dir() {
                    rest.push(path);
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn what_was_made_for_the_visit_goes_with_it() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("a/b/cache");
        let visit = Visit::begin(&cache);
        assert!(!visit.found_it());
        fs::create_dir_all(cache.join("ab/cd")).unwrap();
        fs::create_dir_all(cache.join(".nixl-l2/beside/ab")).unwrap();
        drop(visit);
        assert_eq!(tree(home.path()), [""; 0]);
    }

    #[test]
    fn what_holds_a_file_or_was_there_before_stays() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache");
        let visit = Visit::begin(&cache);
        fs::create_dir_all(cache.join("ab")).unwrap();
        fs::create_dir_all(cache.join("cd")).unwrap();
        fs::write(cache.join("ab/file"), "kv").unwrap();
        drop(visit);
        assert_eq!(tree(home.path()), ["cache", "cache/ab", "cache/ab/file"]);

        fs::create_dir(cache.join("ef")).unwrap();
        let visit = Visit::begin(&cache);
        assert!(visit.found_it());
        fs::create_dir(cache.join(TEMPORARIES)).unwrap();
        drop(visit);
        assert_eq!(tree(home.path()), ["cache", "cache/ab", "cache/ab/file", "cache/ef"]);

        fs::create_dir(cache.join(TEMPORARIES)).unwrap();
        drop(Visit::begin(&cache));
        assert!(cache.join(TEMPORARIES).exists(), "a server's");
    }
}
