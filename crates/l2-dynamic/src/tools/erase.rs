//! Erasing a tenant or a model, and proving it: what is left is looked for again until there is nothing.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

use l2_core::{ErrorKind, L2Error};
use l2_files::{SideFileOf, remove_dead_temporaries};

use super::traces::names;
use super::{Amount, CacheDirectory, ObjectFilter, Traces};

/// How often what was stored meanwhile is removed, too.
const PASSES: u32 = 5;

/// What was erased, and what is left.
#[derive(Debug, Default)]
pub struct Erased {
    /// Objects that were removed.
    pub objects: Amount,
    /// Objects that had been set aside.
    pub set_aside: Amount,
    /// Side files, those of the objects included.
    pub side_files: u64,
    /// Directories with its name in theirs.
    pub directories: u64,
    /// Temporaries of dead processes, whoever's they were.
    pub temporaries: usize,
    /// Objects that somebody stored meanwhile; those that could be were removed, and count above.
    pub came_meanwhile: u64,
    /// The paths of all that was removed but temporaries, in the order of removal; those of directories end with `/`.
    pub removed: Vec<String>,
    /// How often the directory was gone through to remove what is there; it was looked at once more after that.
    pub passes: u32,
    /// What is left, each with its path and why.
    pub left: Vec<L2Error>,
}

impl Erased {
    /// Whether the whole directory was looked at after all was removed, and nothing was found.
    pub fn is_proved(&self) -> bool {
        self.left.is_empty()
    }
}

impl CacheDirectory {
    /// Removes the objects of a tenant, a model, or a tenant's of a model, with everything else that names them: records, also
    /// of objects that are gone, what was set aside, directories. Then looks for them again, five times if they keep coming.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when neither model nor tenant is given, or more than these.
    pub fn erase(&self, whose: &ObjectFilter) -> Result<Erased, L2Error> {
        if !whose.is_of_scopes() {
            let what =
                "name the model, the tenant, or both, and nothing else, whose objects are to be erased";
            return Err(L2Error::new(ErrorKind::InvalidInput, what));
        }
        let mut erased = Erased::default();
        let mut failed = Failed::default();
        loop {
            let traces = self.traces(whose);
            if erased.passes > 0 {
                let new = traces.object_paths.iter().filter(|path| !failed.paths.contains(*path));
                erased.came_meanwhile += new.count() as u64;
            }
            if erased.passes == PASSES || erased.passes > 0 && !is_worth_a_pass(&traces, &failed) {
                erased.left = self.left(traces, failed);
                return Ok(erased);
            }
            erased.passes += 1;
            failed = Failed::default();
            self.remove_traces(whose, &traces, &mut erased, &mut failed);
        }
    }

    fn remove_traces(&self, whose: &ObjectFilter, traces: &Traces, erased: &mut Erased, failed: &mut Failed) {
        let Erased { objects, set_aside, removed, .. } = erased;
        for (paths, sum) in [(&traces.object_paths, objects), (&traces.aside_paths, set_aside)] {
            for path in paths {
                let length = self.length(path);
                match self.directory.remove(path) {
                    Ok(true) => {
                        sum.add(length);
                        removed.push(path.clone());
                        self.directory.remove_emptied(path);
                    }
                    Ok(false) => {}
                    Err(error) => {
                        failed.note(path, self.directory.error("cannot remove a file", path, error))
                    }
                }
            }
        }
        // What cannot be listed is found out by the next look.
        let _ = self.beside.side_files(&self.directory, &mut |path, of| {
            if matches!(of, SideFileOf::Path(relative) if names(whose, &relative)) {
                match self.directory.remove(path) {
                    Ok(true) => {
                        erased.side_files += 1;
                        erased.removed.push(path.to_owned());
                    }
                    Ok(false) => {}
                    Err(error) => {
                        failed.note(path, self.directory.error("cannot remove a file", path, error))
                    }
                }
            }
            ControlFlow::Continue(())
        });
        for path in &traces.directory_paths {
            // One that is not there any more was emptied above.
            let is_gone =
                self.directory.remove_if_empty(path) || matches!(self.directory.stat(path), Ok(None));
            if is_gone {
                erased.directories += 1;
                erased.removed.push(format!("{path}/"));
                self.directory.remove_emptied(path);
            }
        }
        match remove_dead_temporaries(&self.directory) {
            Ok(removed) => erased.temporaries += removed,
            Err(error) => failed.errors.push(error),
        }
    }

    /// What is left, and why.
    fn left(&self, traces: Traces, failed: Failed) -> Vec<L2Error> {
        let error =
            |path: &str, what: &str| L2Error::new(ErrorKind::Busy, what).with_path(self.directory.full(path));
        let mut left = traces.failures;
        let came = traces.object_paths.iter().chain(&traces.aside_paths);
        let came = came.filter(|path| !failed.paths.contains(*path));
        let what = "it is stored again and again; end whoever stores for this model or tenant first";
        left.extend(came.map(|path| error(path, what)));
        let records = traces.side_paths.iter().filter(|path| !failed.paths.contains(*path));
        let what = "a record that names it is left, or has come again; end whoever stores for this model or tenant first";
        left.extend(records.map(|path| error(path, what)));
        let what = "it has the name of the model or tenant in its own, and holds what is not ours";
        left.extend(traces.directory_paths.iter().map(|path| error(path, what)));
        let what = "LMCache writes an object there, or has left it; remove it when no LMCache runs on this directory";
        left.extend(traces.unfinished.iter().map(|path| error(path, what)));
        if traces.temporaries > 0 {
            left.push(error(l2_files::TEMPORARIES, "temporaries of dead processes cannot be removed there"));
        }
        left.extend(failed.errors.into_iter().filter(|error| self.is_there(error)));
        left
    }

    /// Whether what an error is about is still there.
    fn is_there(&self, error: &L2Error) -> bool {
        let relative = error.path().and_then(|path| path.strip_prefix(self.path()).ok()?.to_str());
        let there: Option<io::Result<bool>> =
            relative.map(|relative| Ok(self.directory.stat(relative)?.is_some()));
        !matches!(there, Some(Ok(false)))
    }
}

/// What could not be removed.
#[derive(Debug, Default)]
struct Failed {
    paths: BTreeSet<String>,
    errors: Vec<L2Error>,
}

impl Failed {
    fn note(&mut self, path: &str, error: L2Error) {
        self.paths.insert(path.to_owned());
        self.errors.push(error);
    }
}

/// Whether there is something that was not tried in vain already.
fn is_worth_a_pass(traces: &Traces, failed: &Failed) -> bool {
    let mut paths = traces.object_paths.iter().chain(&traces.aside_paths).chain(&traces.side_paths);
    paths.any(|path| !failed.paths.contains(path))
}
