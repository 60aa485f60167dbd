//! The one process that an adapter works in, the one NIXL of that process, and its log.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use nixl_l2::Nixl;
use pyo3::prelude::*;

use crate::errors;

/// Where what the library logs goes, when this variable says which of it: standard error.
const LOG_VARIABLE: &str = "NIXL_L2_LOG";

/// The process in which NIXL was opened, or was to be; 0 before.
static OPENED_IN: AtomicU32 = AtomicU32::new(0);

/// A process, remembered so that a fork of it is told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn this() -> Self {
        Self(process::id())
    }

    pub(crate) fn is_this(self) -> bool {
        self.0 == process::id()
    }

    /// # Errors
    /// ForkedError in a child of it.
    pub(crate) fn check(self) -> PyResult<()> {
        if self.is_this() { Ok(()) } else { Err(errors::forked("the adapter")) }
    }
}

/// Opens NIXL's library, from this directory and no other, or where the environment leads, and returns its path.
///
/// Once in a process; later calls only compare. `silent` keeps NIXL from writing to standard error by itself.
#[pyfunction]
#[pyo3(signature = (directory, silent))]
pub(crate) fn load_nixl(
    py: Python<'_>,
    directory: Option<std::path::PathBuf>,
    silent: bool,
) -> PyResult<String> {
    let this = process::id();
    // Before it is opened: a fork in between has a half of it.
    match OPENED_IN.compare_exchange(0, this, Ordering::AcqRel, Ordering::Acquire) {
        Err(opened) if opened != this => return Err(errors::forked("NIXL")),
        _ => {}
    }
    let loaded = py.detach(|| match directory {
        Some(directory) => Nixl::load_from(directory),
        None => Nixl::load(),
    });
    let nixl = loaded.map_err(|error| errors::nixl(&error))?;
    if silent {
        nixl.silence();
    }
    Ok(nixl.library().display().to_string())
}

/// Writes what is logged to standard error, as much of it as the variable asks for, as `nixl_l2=debug`.
pub(crate) fn log_where_asked() {
    use tracing_subscriber::EnvFilter;
    let Ok(filter) = EnvFilter::try_from_env(LOG_VARIABLE) else { return };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It fails where the module was imported before, by another interpreter: that one's is in place.
    let _ = subscriber.try_init();
}
