//! Opening NIXL's library before anything calls it.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::agent::Agent;
use crate::error::{Error, ErrorKind, Tried};
use crate::find::{Candidate, LIBRARY, Surroundings};
use crate::prerequisites::how_to_get;

/// Proof that NIXL's library is open in this process, and has all that this crate calls. Cheap to copy.
///
/// A library stays open until the process ends: NIXL's own global state would not survive a second opening.
#[derive(Debug, Clone, Copy)]
pub struct Nixl {
    loaded: &'static Loaded,
}

#[derive(Debug)]
struct Loaded {
    library: PathBuf,
    rule: &'static str,
    plugins: Option<PathBuf>,
}

/// The library of this process, once it is open.
static LOADED: Mutex<Option<&'static Loaded>> = Mutex::new(None);

impl Nixl {
    /// Opens NIXL where it is first found: `NIXL_LIB_DIR`, the dynamic loader's own search, `NIXL_PREFIX` or its
    /// default, the `nixl-cu12`/`nixl-cu13` wheel of the active Python, what `cargo xtask setup` fetched (before the wheel where
    /// `NIXL_L2_SETUP_DIR` names it: asking a Python can take a quarter of a second).
    ///
    /// Costs about 30 ms and 22 MB of resident memory the first time, nothing later. A failure is not remembered.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryMissing`] when it is nowhere, [`ErrorKind::Incompatible`] when one was opened that lacks
    /// functions, or is not NIXL; both name every place and what was wrong there (also [`Error::tried`]).
    pub fn load() -> Result<Self, Error> {
        Self::load_with(None)
    }

    /// Opens the library at `path` (the file, or its directory) and no other.
    ///
    /// # Errors
    /// As [`Nixl::load`]; also when this process has opened another one.
    pub fn load_from(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_with(Some(path.as_ref()))
    }

    fn load_with(explicit: Option<&Path>) -> Result<Self, Error> {
        // Held while the library is opened: that is once in a process, and two openings at once must not race.
        let mut known = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = *known {
            return same_library(loaded, explicit);
        }
        let mut tried = Vec::new();
        let mut kind = ErrorKind::LibraryMissing;
        for candidate in Surroundings::of_this_process(explicit).candidates() {
            let (rule, path) = match candidate {
                Candidate::Nothing { rule, why } => {
                    tried.push(Tried { rule, path: None, outcome: why });
                    continue;
                }
                Candidate::ByName { rule } => (rule, None),
                Candidate::File { rule, path } => (rule, Some(path)),
            };
            match open(path.as_deref()) {
                Ok(library) => {
                    let directory = library.parent().filter(|directory| directory.is_absolute());
                    let plugins = directory.map(|directory| directory.join("plugins"));
                    let loaded = &*Box::leak(Box::new(Loaded { library, rule, plugins }));
                    tracing::debug!(library = %loaded.library.display(), rule, "opened NIXL");
                    *known = Some(loaded);
                    return Ok(Self { loaded });
                }
                Err(Unusable { is_open, outcome }) => {
                    if is_open {
                        kind = ErrorKind::Incompatible;
                    }
                    tried.push(Tried { rule, path, outcome });
                }
            }
        }
        Err(nowhere(kind, tried))
    }

    /// The library's file.
    pub fn library(&self) -> &Path {
        &self.loaded.library
    }

    /// The rule that led to it, such as `NIXL_LIB_DIR`.
    pub fn found_by(&self) -> &'static str {
        self.loaded.rule
    }

    /// Its version, as its package says; `None` where there is no package's word on it: NIXL's functions do not tell.
    pub fn version(&self) -> Option<String> {
        crate::version::beside(&self.loaded.library)
    }

    /// Where NIXL looks for plugins: `NIXL_PLUGIN_DIR`, or beside its library. NIXL reads the variable once, when the
    /// first plugin is asked for.
    pub fn plugin_directory(&self) -> Option<PathBuf> {
        std::env::var_os("NIXL_PLUGIN_DIR").map(PathBuf::from).or_else(|| self.loaded.plugins.clone())
    }

    /// Creates an agent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name with NUL; [`ErrorKind::Failed`] when NIXL refuses: a malformed
    /// `~/.nixl.cfg`, or `NIXL_CONFIG_FILE` naming a missing file.
    pub fn agent(&self, name: &str) -> Result<Agent, Error> {
        Agent::create(*self, name)
    }

    /// Keeps NIXL from writing its own lines to standard error, where every failure reaches the caller as an
    /// [`Error`] anyhow. Leaves it to `NIXL_LOG_LEVEL` where that is set.
    ///
    /// False if it could not: the function is found by a name that is tied to NIXL's version.
    pub fn silence(&self) -> bool {
        std::env::var_os("NIXL_LOG_LEVEL").is_some() || silence_abseil(&self.loaded.library)
    }

    /// A stand-in for the library, for unit tests.
    #[cfg(test)]
    pub(crate) fn stand_in() -> Self {
        static STAND_IN: Loaded = Loaded { library: PathBuf::new(), rule: "stand-in", plugins: None };
        Self { loaded: &STAND_IN }
    }
}

fn same_library(loaded: &'static Loaded, explicit: Option<&Path>) -> Result<Nixl, Error> {
    if let Some(explicit) = explicit {
        let wanted = if explicit.is_dir() { explicit.join(LIBRARY) } else { explicit.to_path_buf() };
        if fs::canonicalize(&wanted).ok().as_ref() != Some(&loaded.library) {
            let what = format!(
                "cannot open {}: this process has {} open, and can open only one",
                wanted.display(),
                loaded.library.display()
            );
            return Err(Error::invalid(what));
        }
    }
    Ok(Nixl { loaded })
}

fn nowhere(kind: ErrorKind, tried: Vec<Tried>) -> Error {
    let found = match kind {
        ErrorKind::Incompatible => "was found, but not one that can be used",
        _ => "was not found",
    };
    let what = format!(
        "{LIBRARY} {found}; install it (`pip install nixl-cu12==1.5.1`, or `cargo xtask setup` in the nixl-l2 source), \
         or set NIXL_LIB_DIR to its directory"
    );
    Error::nowhere(kind, what, tried)
}

/// Why a library cannot be used.
struct Unusable {
    /// It could be opened, but is not what it should be.
    is_open: bool,
    outcome: String,
}

impl Unusable {
    fn missing(outcome: String) -> Self {
        Self { is_open: false, outcome }
    }

    #[cfg(not(test))]
    fn wrong(outcome: impl Into<String>) -> Self {
        Self { is_open: true, outcome: outcome.into() }
    }
}

/// Opens a library, for good, and makes sure that nixl-sys's stubs will find this one and all they need in it: they
/// open it by its name alone, remember the first answer for ever, and abort the process when it falls short.
#[cfg(not(test))]
fn open(path: Option<&Path>) -> Result<PathBuf, Unusable> {
    use crate::capi;
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    /// glibc's and musl's: only what is open already.
    const RTLD_NOLOAD: std::ffi::c_int = 4;

    let address = |library: &Library, symbol: &str| {
        // SAFETY: the symbol is only looked for, not used: its type does not matter.
        unsafe { library.get::<*const ()>(symbol.as_bytes()) }.ok().map(|found| found.into_raw().addr())
    };
    // The real directory, for the library finds the rest of NIXL relative to it.
    let path = match path {
        Some(path) => Some(fs::canonicalize(path).map_err(|error| Unusable::missing(error.to_string()))?),
        None => None,
    };
    let name = path.as_deref().unwrap_or(Path::new(LIBRARY));
    // SAFETY: opening runs the library's initialisers; NIXL's do nothing that depends on this process's state but
    // reading environment variables. That the file is NIXL is the caller's or the installation's word: there is no way
    // to load a library without trusting it.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| Unusable::missing(reason(&error)))?;
    let absent: Vec<_> =
        capi::SYMBOLS.iter().copied().filter(|symbol| address(&library, symbol).is_none()).collect();
    // SAFETY: nothing new is opened, so no code is run.
    let by_name = unsafe { Library::open(Some(LIBRARY), RTLD_NOLOAD | RTLD_NOW | RTLD_LOCAL) };
    let same = by_name.as_ref().is_ok_and(|other| {
        capi::SYMBOLS.iter().all(|symbol| address(&library, symbol) == address(other, symbol))
    });
    // NIXL must stay open: it has threads and global state of its own. The second handle is a count on the first.
    std::mem::forget(library);
    match absent.as_slice() {
        [] if by_name.is_err() => {
            Err(Unusable::wrong(format!("it does not have the name {LIBRARY} inside (its SONAME)")))
        }
        [] if !same => Err(Unusable::wrong("this process has another NIXL open already, by the same name")),
        // Cannot be: the library has just been found by its name. Asked so that the stubs remember it now.
        [] if capi::is_stub() => Err(Unusable::wrong("it cannot be opened by its name")),
        [] => Ok(path.or_else(|| mapped(LIBRARY)).unwrap_or_else(|| PathBuf::from(LIBRARY))),
        all if all.len() == capi::SYMBOLS.len() => Err(Unusable::wrong("it is not NIXL's library")),
        some => Err(Unusable::wrong(format!("it lacks {}; 1.5.1 has them", some.join(", ")))),
    }
}

#[cfg(test)]
fn open(path: Option<&Path>) -> Result<PathBuf, Unusable> {
    Err(Unusable::missing(format!("{path:?} is not opened in unit tests")))
}

/// The dynamic loader's own message, and how to get what is missing where that is known.
pub(crate) fn reason(error: &libloading::Error) -> String {
    // The error itself says only which call failed.
    let message = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    match how_to_get(&message) {
        Some(how) => format!("{message} ({how})"),
        None => message,
    }
}

/// The file that a library was mapped from.
#[cfg(not(test))]
fn mapped(library: &str) -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    // The path is the last column, and the only one with a slash; it may hold spaces.
    let paths = maps.lines().filter_map(|line| line.get(line.find('/')?..)).map(Path::new);
    fs::canonicalize(paths.into_iter().find(|path| path.file_name().is_some_and(|name| name == library))?)
        .ok()
}

#[cfg(not(test))]
fn silence_abseil(library: &Path) -> bool {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    /// `absl::SetMinLogLevel`, in the Abseil that NIXL 1.5 is built with.
    const SET_MIN_LOG_LEVEL: &[u8] = b"_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE";
    /// Above every severity.
    const NOTHING: std::ffi::c_int = 100;
    // SAFETY: the library is open already (the path is that of `Loaded`), so nothing new is run.
    let Ok(library) = (unsafe { Library::open(Some(library), RTLD_NOW | RTLD_LOCAL) }) else { return false };
    // SAFETY: the mangled name states the function's only argument, an enum of int, and it returns nothing.
    let function = unsafe { library.get::<unsafe extern "C" fn(std::ffi::c_int)>(SET_MIN_LOG_LEVEL) };
    let Ok(set_min_log_level) = function else { return false };
    // SAFETY: Abseil stores the level in an atomic; any int is a level.
    unsafe { set_min_log_level(NOTHING) };
    true
}

#[cfg(test)]
fn silence_abseil(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_that_lists_every_place() {
        let error = Nixl::load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LibraryMissing);
        let text = error.to_string();
        for place in ["NIXL_LIB_DIR", "dynamic loader", "prefix", "wheel", "cargo xtask setup", "pip install"]
        {
            assert!(text.contains(place), "{place} in {text}");
        }
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
