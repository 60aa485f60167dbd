//! Removing every object of a cache directory, for an adapter that is not to persist.

use std::ops::ControlFlow;

use l2_core::{ErrorKind, L2Error};
use rustix::fs::AtFlags;

use crate::directory::Directory;
use crate::walk::{Met, walk};

/// Removes every file whose path is that of an object, and the directories that this empties. Nothing else is touched.
/// How many files were removed.
///
/// # Errors
/// The first failure, after all else was removed.
pub(crate) fn remove_all_objects(directory: &Directory) -> Result<u64, L2Error> {
    let mut removed = 0u64;
    let mut first_error = None;
    // It never breaks: what can be removed is.
    let _ = walk(directory, &mut |met| {
        match met {
            Met::Object { path, .. } => match directory.remove(&path) {
                Ok(was_there) => removed += u64::from(was_there),
                Err(error) => drop(first_error.get_or_insert((path, error))),
            },
            Met::Left { path } => remove_if_empty(directory, &path),
            Met::Failed { path, error } => drop(first_error.get_or_insert((path, error))),
        }
        ControlFlow::Continue(())
    });
    match first_error {
        None => Ok(removed),
        Some((path, error)) => {
            let what = format!("persist_enabled is false: {removed} objects were removed, but not all");
            Err(L2Error::new(ErrorKind::Io, what).with_path(directory.full(&path)).with_source(error))
        }
    }
}

fn remove_if_empty(directory: &Directory, path: &str) {
    if let Ok(place) = directory.place(path, false) {
        // Not empty, or in use: it stays.
        let _ = rustix::fs::unlinkat(&*place.directory, place.name, AtFlags::REMOVEDIR);
    }
}
