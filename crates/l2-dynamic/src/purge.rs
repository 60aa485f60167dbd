//! Removing every object of a cache directory, for an adapter that is not to persist.

use std::ops::ControlFlow;

use l2_core::{ErrorKind, L2Error};
use l2_files::{Beside, Directory, SIDE_FILES, TEMPORARIES};

use crate::aside::walk_aside;
use crate::walk::{Met, walk};

/// Removes every file whose path is that of an object in one of the layouts, also of those that were set aside, and the
/// directories that this empties. Nothing else is touched. How many files were removed.
///
/// # Errors
/// The first failure, after all else was removed.
pub(crate) fn remove_all_objects(directory: &Directory, beside: &Beside) -> Result<u64, L2Error> {
    let mut removed = 0u64;
    let mut first_error = None;
    let mut visit = |met| {
        match met {
            Met::Object { path, .. } => match directory.remove(&path) {
                Ok(true) => {
                    removed += 1;
                    // A directory that was empty before is not ours to remove.
                    directory.remove_emptied(&path);
                }
                Ok(false) => {}
                Err(error) => drop(first_error.get_or_insert((path, error))),
            },
            Met::Unfinished { .. } | Met::Left { .. } => {}
            Met::Failed { path, error } => drop(first_error.get_or_insert((path, error))),
        }
        ControlFlow::Continue(())
    };
    // They never break: what can be removed is.
    let _ = walk(directory, &mut visit);
    let _ = walk_aside(directory, &mut visit);
    // Also those of files that went without theirs.
    if let Err(error) = beside.remove_all(directory) {
        first_error.get_or_insert((SIDE_FILES.to_owned(), error));
    }
    directory.remove_if_empty(TEMPORARIES);
    match first_error {
        None => Ok(removed),
        Some((path, error)) => {
            let what = format!("persist_enabled is false: {removed} objects were removed, but not all");
            Err(L2Error::new(ErrorKind::Io, what).with_path(directory.full(&path)).with_source(error))
        }
    }
}
