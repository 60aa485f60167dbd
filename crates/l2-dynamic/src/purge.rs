//! Removing every object of a cache directory, for an adapter that is not to persist.

use std::io;
use std::path::Path;
use std::sync::Arc;

use l2_core::{ErrorKind, L2Error};
use l2_index::paths::path_to_key;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::directory::{Directory, is_absent};

/// Deepest that an object's path goes: the pieces of a long name, and two shards.
const DEPTH: usize = 24;

/// Removes every file whose path is that of an object, and the directories that this empties. Nothing else is touched.
///
/// # Errors
/// The first failure, after all else was removed.
pub(crate) fn remove_all_objects(directory: &Directory) -> Result<u64, L2Error> {
    let mut removed = 0;
    let mut first_error = None;
    let mut walk = Walk { directory, removed: &mut removed, first_error: &mut first_error };
    walk.enter("", DEPTH);
    match first_error {
        None => Ok(removed),
        Some((path, error)) => {
            let what = format!("removed {removed} objects, but not all: cannot remove a file");
            Err(L2Error::new(ErrorKind::Io, what).with_path(directory.full(&path)).with_source(error))
        }
    }
}

struct Walk<'a> {
    directory: &'a Directory,
    removed: &'a mut u64,
    first_error: &'a mut Option<(String, io::Error)>,
}

impl Walk<'_> {
    fn enter(&mut self, relative: &str, depth: usize) {
        let listed = self.list(relative);
        for (name, kind) in listed.unwrap_or_else(|error| self.failed(relative, error)) {
            let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
            match kind {
                FileType::Directory if depth > 0 && may_hold_objects(&path) => {
                    self.enter(&path, depth - 1);
                    self.remove_if_empty(&path);
                }
                FileType::RegularFile if path_to_key(Path::new(&path)).is_some() => {
                    match self.directory.remove(&path) {
                        Ok(removed) => *self.removed += u64::from(removed),
                        Err(error) => drop(self.failed(&path, error)),
                    }
                }
                _ => {}
            }
        }
    }

    fn failed(&mut self, path: &str, error: io::Error) -> Vec<(String, FileType)> {
        if !is_absent(&error) && self.first_error.is_none() {
            *self.first_error = Some((path.to_owned(), error));
        }
        Vec::new()
    }

    /// The entries with UTF-8 names, for no other is ours.
    fn list(&self, relative: &str) -> io::Result<Vec<(String, FileType)>> {
        let opened = if relative.is_empty() {
            self.directory.root()
        } else {
            let place = self.directory.place(relative, false)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Arc::new(rustix::fs::openat(&*place.directory, place.name, flags, Mode::empty())?)
        };
        let mut entries = Vec::new();
        for entry in Dir::read_from(&*opened)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not say in the listing.
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&*opened, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            entries.push((name.to_owned(), kind));
        }
        Ok(entries)
    }

    fn remove_if_empty(&self, path: &str) {
        if let Ok(place) = self.directory.place(path, false) {
            // Not empty, or in use: it stays.
            let _ = rustix::fs::unlinkat(&*place.directory, place.name, AtFlags::REMOVEDIR);
        }
    }
}

/// Whether a directory's name is one that objects' paths have: a shard, or a piece of a long name.
fn may_hold_objects(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.len() == 2 || name.ends_with('~')
}
