//! Removing an object's file, with what is kept beside it.

use std::io;
use std::path::Path;

use l2_files::{Beside, Directory};
use l2_index::paths::{Layout, key_to_path, path_to_key};

use crate::aside;

/// Removes the file of an object by `remove`, which says whether it did, and then what was kept beside it.
///
/// # Errors
/// What `remove` says. What is kept beside a file that is gone is of no use to anybody, and speaks for no other file: that it
/// could not be removed is logged.
pub(crate) fn remove_with_record(
    directory: &Directory,
    beside: &Beside,
    path: &str,
    remove: impl FnOnce() -> io::Result<bool>,
) -> io::Result<bool> {
    let kept = beside.of(directory, path);
    let was_removed = remove()?;
    if was_removed && let Err(error) = beside.remove(directory, kept) {
        tracing::warn!(%error, path, "what is kept beside a removed file could not be removed");
    }
    Ok(was_removed)
}

/// Says of a path where the object may be by now whose file was there: in either layout, or set aside.
pub(crate) fn places(directory: &Directory) -> impl Fn(&str) -> Vec<String> + use<> {
    // In doubt nothing has been set aside: then at most a record of what is not served is lost.
    let roots = aside::roots(directory).unwrap_or_default();
    move |path| {
        let Some(key) = path_to_key(Path::new(path)) else { return vec![path.to_owned()] };
        let layouts = [Layout::Flat, Layout::Sharded].map(|layout| key_to_path(&key, layout));
        let aside = roots.iter().flat_map(|root| layouts.iter().map(move |path| format!("{root}/{path}")));
        let aside = aside.collect::<Vec<_>>();
        layouts.into_iter().chain(aside).collect()
    }
}
