//! Walking the cache directory: every object that is in it, whoever stored it.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use l2_core::{KeyScope, ObjectKey};
use l2_files::{Directory, is_absent, list};
use l2_index::paths::path_to_key;
use rustix::fs::{AtFlags, Dir, FileType};

/// Deepest that an object's path goes: the pieces of a long name, and two shards.
const DEPTH: usize = 24;

/// What a walk meets.
#[derive(Debug)]
pub(crate) enum Met {
    /// A regular file whose path is that of an object.
    Object { path: String, key: ObjectKey },
    /// A file in which `LMCache` writes an object, or has left it: its own affair.
    Unfinished { path: String, key: ObjectKey },
    /// A directory that may hold objects; all in it has been met.
    Left { path: String },
    /// Something could not be read; the walk goes on.
    Failed { path: String, error: io::Error },
}

/// Tells `visit` of all that is in the directory, in no order, until it breaks. Links are not followed; what is not an
/// object of ours is passed over. What is met may be removed meanwhile.
pub(crate) fn walk(directory: &Directory, visit: &mut dyn FnMut(Met) -> ControlFlow<()>) -> ControlFlow<()> {
    walk_below(directory, "", visit)
}

/// As [`walk`], of a directory in it that holds objects under paths as the cache directory itself does. The paths that are
/// told are those from the cache directory.
pub(crate) fn walk_below(
    directory: &Directory,
    base: &str,
    visit: &mut dyn FnMut(Met) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let from = if base.is_empty() { 0 } else { base.len() + 1 };
    Walk { directory, from, visit, scope: None }.enter(base, DEPTH)
}

struct Walk<'a> {
    directory: &'a Directory,
    /// Where in a path that of an object begins.
    from: usize,
    visit: &'a mut dyn FnMut(Met) -> ControlFlow<()>,
    /// That of the object met last: most have it in common, and share it.
    scope: Option<KeyScope>,
}

impl Walk<'_> {
    fn enter(&mut self, relative: &str, depth: usize) -> ControlFlow<()> {
        let entries = match self.entries(relative) {
            Ok(entries) => entries,
            Err(error) => return self.failed(relative, error),
        };
        for entry in entries {
            let (name, kind) = match entry {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(error) => return self.failed(relative, error),
            };
            let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
            match kind {
                FileType::Directory if depth > 0 && may_hold_objects(&path) => {
                    self.enter(&path, depth - 1)?;
                    (self.visit)(Met::Left { path })?;
                }
                FileType::RegularFile => {
                    let object = path.get(self.from..).unwrap_or_default();
                    if let Some(key) = path_to_key(Path::new(object)) {
                        let key = self.with_shared_scope(key);
                        (self.visit)(Met::Object { path, key })?;
                    } else if let Some(key) = unfinished(object) {
                        (self.visit)(Met::Unfinished { path, key })?;
                    }
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn failed(&mut self, path: &str, error: io::Error) -> ControlFlow<()> {
        if is_absent(&error) {
            return ControlFlow::Continue(());
        }
        (self.visit)(Met::Failed { path: path.to_owned(), error })
    }

    fn with_shared_scope(&mut self, key: ObjectKey) -> ObjectKey {
        match &self.scope {
            Some(scope) if scope == key.scope() => scope.key(key.chunk_hash()).unwrap_or(key),
            _ => {
                self.scope = Some(key.scope().clone());
                key
            }
        }
    }

    /// The entries of a directory that may be ours, read as they are asked for: there may be millions.
    fn entries(
        &self,
        relative: &str,
    ) -> io::Result<impl Iterator<Item = io::Result<Option<(String, FileType)>>> + use<>> {
        let opened = if relative.is_empty() {
            self.directory.root()?
        } else {
            let place = self.directory.place(relative, false)?;
            Arc::new(list(&place.directory, place.name)?)
        };
        Ok(Dir::read_from(&*opened)?.map(move |entry| {
            let entry = entry?;
            let name = entry.file_name();
            // No path of ours has another encoding, or starts with a dot.
            let Some(text) = name.to_str().ok().filter(|text| !text.starts_with('.')) else {
                return Ok(None);
            };
            let kind = match entry.file_type() {
                // Some file systems do not say in the listing.
                FileType::Unknown => match rustix::fs::statat(&*opened, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    // Gone meanwhile.
                    Err(_) => return Ok(None),
                },
                kind => kind,
            };
            Ok(Some((text.to_owned(), kind)))
        }))
    }
}

/// The key of the object that `LMCache` writes, or has not written to the end, in a file of this path.
fn unfinished(path: &str) -> Option<ObjectKey> {
    let (object, unique) = path.rsplit_once(".tmp.")?;
    let is_its = unique.len() == 32 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_its.then(|| path_to_key(Path::new(object)))?
}

/// Whether a directory's name is one that objects' paths have (`l2_index::paths`): a shard, or a piece of a long name.
fn may_hold_objects(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_shard = name == "__" || (name.len() == 2 && name.bytes().all(is_digit));
    is_shard || (name.starts_with("%1_") && name.ends_with('~'))
}
