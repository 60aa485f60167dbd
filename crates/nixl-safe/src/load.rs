//! Opening NIXL's library before anything calls it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::agent::Agent;
use crate::error::{Error, ErrorKind, Tried};
use crate::find::{Candidate, LIBRARY, Surroundings};

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
    /// default, the `nixl-cu12`/`nixl-cu13` wheel of the active Python, what `cargo xtask setup` fetched.
    ///
    /// Costs about 30 ms and 22 MB of resident memory the first time, nothing later. A failure is not remembered.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryMissing`] names every place and what was wrong there; [`ErrorKind::Incompatible`] names
    /// the functions that a library lacks.
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
                    let plugins = library.parent().map(|directory| directory.join("plugins"));
                    let loaded = &*Box::leak(Box::new(Loaded { library, rule, plugins }));
                    tracing::debug!(library = %loaded.library.display(), rule, "opened NIXL");
                    *known = Some(loaded);
                    return Ok(Self { loaded });
                }
                Err(Opening::Missing(outcome)) => tried.push(Tried { rule, path, outcome }),
                Err(Opening::Final(error)) => return Err(error),
            }
        }
        Err(missing(&tried))
    }

    /// The library's file.
    pub fn library(&self) -> &Path {
        &self.loaded.library
    }

    /// The rule that led to it, such as `NIXL_LIB_DIR`.
    pub fn found_by(&self) -> &'static str {
        self.loaded.rule
    }

    /// Where NIXL looks for plugins: `NIXL_PLUGIN_DIR`, or beside its library.
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

    /// Keeps NIXL from writing its own lines to standard error, unless `NIXL_LOG_LEVEL` is set; every failure reaches
    /// the caller as an [`Error`] anyhow. Returns whether it could: the function is found by a name that is tied to
    /// NIXL's version.
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

fn missing(tried: &[Tried]) -> Error {
    let mut what = format!("{LIBRARY} was not found; install it (`pip install nixl-cu12==1.5.1`, or ");
    what.push_str(
        "`cargo xtask setup` in the nixl-l2 source), or set NIXL_LIB_DIR to its directory. Looked in: ",
    );
    for (index, place) in tried.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        // Writing to a string cannot fail.
        let _ = write!(what, "{separator}{place}");
    }
    Error::new(ErrorKind::LibraryMissing, what)
}

/// Why a library could not be opened.
enum Opening {
    /// It is not there, or does not load: try the next place.
    Missing(String),
    /// Something is open, and it is wrong: there is no way back in this process.
    Final(Error),
}

#[cfg(not(test))]
fn open(path: Option<&Path>) -> Result<PathBuf, Opening> {
    use crate::capi;
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    // The real directory, for the library finds the rest of NIXL relative to it.
    let path = match path {
        Some(path) => Some(fs::canonicalize(path).map_err(|error| Opening::Missing(error.to_string()))?),
        None => None,
    };
    let name = path.as_deref().unwrap_or(Path::new(LIBRARY));
    // SAFETY:
    // - opening runs NIXL's initialisers; the wheel's do nothing that depends on this process's state but reading
    //   environment variables. That the file is NIXL is the caller's or the installation's word: there is no way to
    //   load a library without trusting it.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| Opening::Missing(explain(&error.to_string())))?;
    let absent: Vec<_> = capi::SYMBOLS
        .iter()
        .copied()
        // SAFETY: the symbol is only looked for, not used: its type does not matter.
        .filter(|symbol| unsafe { library.get::<*const ()>(symbol.as_bytes()) }.is_err())
        .collect();
    // NIXL must stay open: it has threads and global state of its own.
    std::mem::forget(library);
    if !absent.is_empty() {
        let what =
            format!("{} lacks {}; install nixl-cu12 1.5.1 or later", name.display(), absent.join(", "));
        return Err(Opening::Final(Error::new(ErrorKind::Incompatible, what)));
    }
    // From here on the library is found by its name, so nixl-sys's stubs forward to it instead of aborting.
    if capi::is_stub() {
        let what = format!("{} does not have the name {LIBRARY} inside (its SONAME)", name.display());
        return Err(Opening::Final(Error::new(ErrorKind::Incompatible, what)));
    }
    Ok(path.or_else(|| mapped(LIBRARY)).unwrap_or_else(|| PathBuf::from(LIBRARY)))
}

#[cfg(test)]
fn open(path: Option<&Path>) -> Result<PathBuf, Opening> {
    Err(Opening::Missing(explain(&format!("{path:?} is not opened in unit tests"))))
}

/// Adds what to install to the dynamic loader's message.
fn explain(message: &str) -> String {
    if message.contains("libssl") || message.contains("libcrypto") {
        return format!("{message} (install OpenSSL 3, Debian's libssl3)");
    }
    message.to_owned()
}

/// The file that a library was mapped from.
#[cfg(not(test))]
fn mapped(library: &str) -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    // The path is the last column, and the only one with a slash; it may hold spaces.
    let path =
        maps.lines().find_map(|line| line.get(line.find('/')?..).filter(|path| path.ends_with(library)))?;
    fs::canonicalize(path).ok()
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
