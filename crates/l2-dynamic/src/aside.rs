//! Where objects are that were found wrong and set aside: no lookup finds them, and nothing counts them.
//!
//! They are below `.nixl-l2/set-aside/N/`, under the paths that they had: `N` is the first number under which that path is free,
//! so that none is moved over another.

use std::io;
use std::ops::ControlFlow;

use l2_core::L2Error;
use l2_files::{Directory, Moved, Version, is_absent, list};
use rustix::fs::Dir;

use crate::walk::{Met, walk_below};

/// The place, below the cache directory.
pub(crate) const SET_ASIDE: &str = ".nixl-l2/set-aside";
/// So often one path can be set aside before some of that has to be removed.
const MOST: u32 = 10_000;

/// Sets a file aside that is still the one which was found. Its path from then on; `None` when it was not there any more.
///
/// # Errors
/// What the file system says; the file then has its old name.
pub(crate) fn set_aside(
    directory: &Directory,
    path: &str,
    found: &Version,
) -> Result<Option<String>, L2Error> {
    let what = "cannot set a file aside";
    for number in 0..MOST {
        let aside = format!("{SET_ASIDE}/{number}/{path}");
        let moved = directory.move_file(path, &aside, found);
        match moved.map_err(|error| directory.move_error(what, path, &aside, error))? {
            Moved::Done => return Ok(Some(aside)),
            Moved::Gone => return Ok(None),
            Moved::Taken => {}
        }
    }
    let error =
        io::Error::new(io::ErrorKind::AlreadyExists, "it was set aside too often; remove what was set aside");
    Err(directory.error(what, path, error))
}

/// The directories below which there are paths as in the cache directory.
///
/// # Errors
/// When they cannot be listed.
pub(crate) fn roots(directory: &Directory) -> io::Result<Vec<String>> {
    let opened = match directory.place(SET_ASIDE, false).and_then(|place| list(&place.directory, place.name))
    {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut roots = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(root_number);
        roots.extend(number.map(|number| format!("{SET_ASIDE}/{number}")));
    }
    roots.sort_unstable();
    Ok(roots)
}

/// The number that a name is, written as we write it: `+1` and `01` are others' names.
fn root_number(name: &str) -> Option<u32> {
    name.parse::<u32>().ok().filter(|number| number.to_string() == name)
}

/// The path that something had which was set aside, or the directory that it was in.
pub(crate) fn path_before(aside: &str) -> Option<&str> {
    aside.strip_prefix(SET_ASIDE)?.strip_prefix('/')?.split_once('/').map(|(_, path)| path)
}

/// Tells `visit` of all that was set aside, as [`crate::walk::walk`] does.
pub(crate) fn walk_aside(
    directory: &Directory,
    visit: &mut dyn FnMut(Met) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match roots(directory) {
        Ok(roots) => roots.iter().try_for_each(|root| walk_below(directory, root, visit)),
        Err(error) => visit(Met::Failed { path: SET_ASIDE.to_owned(), error }),
    }
}
