//! What there is of a tenant or model in the directory: its objects, and everything that names it.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use l2_core::{L2Error, ObjectKey};
use l2_files::{SIDE_FILES, SideFileOf, Version, dead_temporaries};
use l2_index::paths::path_to_key;

use super::named_for::NamedFor;
use super::{Amount, CacheDirectory, ObjectFilter};
use crate::aside::{self, walk_aside};
use crate::walk::{Met, walk};

/// What there is of a tenant or model.
#[derive(Debug, Default)]
pub struct Traces {
    /// Its objects, in both layouts.
    pub objects: Amount,
    /// Those of its objects that were set aside.
    pub set_aside: Amount,
    /// Side files that name it: records where there are no attributes, also of objects that are gone.
    pub side_files: u64,
    /// Directories with its name in theirs.
    pub directories: u64,
    /// Temporaries of dead processes, whoever's they are: that cannot be told.
    pub temporaries: usize,
    /// Files in which `LMCache` writes an object, or has left it half written. They are `LMCache`'s, and are not touched.
    pub unfinished: Vec<String>,
    /// What could not be read.
    pub failures: Vec<L2Error>,
    pub(crate) object_paths: Vec<String>,
    pub(crate) aside_paths: Vec<String>,
    pub(crate) side_paths: Vec<String>,
    /// Those within come before the one that they are in.
    pub(crate) directory_paths: Vec<String>,
}

impl Traces {
    /// Whether there is nothing, and everything could be read.
    pub fn is_empty(&self) -> bool {
        self.object_paths.is_empty()
            && self.aside_paths.is_empty()
            && self.side_paths.is_empty()
            && self.directories == 0
            && self.temporaries == 0
            && self.unfinished.is_empty()
            && self.failures.is_empty()
    }
}

impl CacheDirectory {
    /// Looks for all that there is of the objects that are meant.
    pub fn traces(&self, of: &ObjectFilter) -> Traces {
        let mut traces = Traces::default();
        let Traces {
            objects,
            object_paths,
            set_aside,
            aside_paths,
            directory_paths,
            unfinished,
            failures,
            ..
        } = &mut traces;
        let mut named = NamedFor::new(of);
        // Neither walk ever breaks.
        let _ = walk(&self.directory, &mut |met| {
            match met {
                Met::Object { path, key } if of.matches(&key) => {
                    objects.add(self.length(&path));
                    object_paths.push(path);
                }
                Met::Unfinished { path, key } if of.matches(&key) => unfinished.push(path),
                Met::Object { path, .. } | Met::Unfinished { path, .. } => named.note_other(&path),
                Met::Left { path } => named.note(&path, &path),
                Met::Failed { path, error } => failures.push(self.cannot_read(&path, error)),
            }
            ControlFlow::Continue(())
        });
        let _ = walk_aside(&self.directory, &mut |met| {
            match met {
                Met::Object { path, key } if of.matches(&key) => match self.look(&path) {
                    Ok(Some(stat)) => {
                        set_aside.add(Version::of(&stat).length());
                        aside_paths.push(path);
                    }
                    Ok(None) => {}
                    Err(error) => failures.push(self.cannot_read(&path, error)),
                },
                Met::Object { path, .. } | Met::Unfinished { path, .. } => named.note_other(&path),
                Met::Left { path } => named.note(&path, aside::path_before(&path).unwrap_or_default()),
                Met::Failed { path, error } => failures.push(self.cannot_read(&path, error)),
            }
            ControlFlow::Continue(())
        });
        *directory_paths = named.paths();
        let (side_paths, failures) = (&mut traces.side_paths, &mut traces.failures);
        let listed = self.beside.side_files(&self.directory, &mut |path, side_file| {
            match side_file {
                SideFileOf::Path(relative) if names(of, &relative) => side_paths.push(path.to_owned()),
                SideFileOf::Path(_) => {}
                SideFileOf::Unknown(error) => failures.push(self.cannot_tell_whose(path, error)),
            }
            ControlFlow::Continue(())
        });
        failures.extend(listed.err().map(|error| self.cannot_read(SIDE_FILES, error)));
        traces.side_files = traces.side_paths.len() as u64;
        match dead_temporaries(&self.directory) {
            Ok(dead) => traces.temporaries = dead,
            Err(error) => traces.failures.push(error),
        }
        traces.directories = traces.directory_paths.len() as u64;
        traces
    }

    /// Tells `visit` of each object that was set aside, by its path from the cache directory, its key, and which file it is.
    pub(crate) fn each_aside(
        &self,
        failures: &mut Vec<L2Error>,
        visit: &mut dyn FnMut(String, ObjectKey, Version),
    ) {
        let _ = walk_aside(&self.directory, &mut |met| {
            match met {
                Met::Object { path, key } => match self.look(&path) {
                    Ok(Some(stat)) => visit(path, key, Version::of(&stat)),
                    Ok(None) => {}
                    Err(error) => failures.push(self.cannot_read(&path, error)),
                },
                Met::Failed { path, error } => failures.push(self.cannot_read(&path, error)),
                Met::Unfinished { .. } | Met::Left { .. } => {}
            }
            ControlFlow::Continue(())
        });
    }

    fn cannot_tell_whose(&self, path: &str, error: io::Error) -> L2Error {
        let what = "whose this record is cannot be told, so nothing is proved; give yourself the rights to read it, or remove \
                    it: its object then counts as one without a record";
        self.directory.error(what, path, error)
    }

    pub(crate) fn length(&self, path: &str) -> u64 {
        self.look(path).ok().flatten().map_or(0, |stat| Version::of(&stat).length())
    }
}

/// Whether the path in a side file is one of an object that is meant.
pub(crate) fn names(of: &ObjectFilter, relative: &str) -> bool {
    path_to_key(Path::new(relative)).is_some_and(|key| of.matches(&key))
}
