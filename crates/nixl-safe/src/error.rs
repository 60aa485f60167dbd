//! Errors that say what to do.

use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// NIXL's library is nowhere to be found, or does not load: install it, or say where it is.
    LibraryMissing,
    /// The library found lacks functions that this crate calls: install the version named.
    Incompatible,
    /// The plugin is not installed, or a library, driver or mount that it needs is missing: install it.
    PluginMissing,
    /// NIXL or the plugin would not take what it was given: correct it.
    InvalidInput,
    /// So many descriptors are in flight that one more would wedge the plugin's queue: wait for some to finish.
    QueueFull,
    /// The plugin reported a failure: the transfer or call did not happen, or not whole.
    Failed,
}

/// An error of NIXL or of its use; displays as one line.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    call: Option<&'static str>,
    plugin: Option<String>,
    status: Option<i32>,
    tried: Box<[Tried]>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), call: None, plugin: None, status: None, tried: Box::default() }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, what)
    }

    /// The failure of one of NIXL's functions.
    pub(crate) fn of_call(call: &'static str, status: c_int, what: impl Into<String>) -> Self {
        Self { call: Some(call), status: Some(status), ..Self::new(ErrorKind::Failed, what) }
    }

    pub(crate) fn with_plugin(mut self, plugin: &str) -> Self {
        self.plugin = Some(plugin.to_owned());
        self
    }

    /// Names the plugin's file.
    /// Adds what may help.
    pub(crate) fn advising(mut self, advice: Option<&str>) -> Self {
        if let Some(advice) = advice {
            self.what.push_str("; ");
            self.what.push_str(advice);
        }
        self
    }

    pub(crate) fn about_file(mut self, file: &Path) -> Self {
        self.what = format!("{} (its file is {})", self.what, file.display());
        self
    }

    /// No place had a library that can be used.
    pub(crate) fn nowhere(kind: ErrorKind, what: impl Into<String>, tried: Vec<Tried>) -> Self {
        Self { tried: tried.into(), ..Self::new(kind, what) }
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The C function that failed, if one did.
    pub fn call(&self) -> Option<&'static str> {
        self.call
    }

    /// The plugin it was about, such as `POSIX`.
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// NIXL's status code: -1 invalid parameter, -2 backend, -3 invalid state, -4 exception, -6 not found.
    pub fn status(&self) -> Option<i32> {
        self.status
    }

    /// Where the library was looked for, in order, when none could be used. The message lists them too.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plugin) = &self.plugin {
            write!(f, "NIXL plugin {plugin}: ")?;
        } else {
            f.write_str("NIXL: ")?;
        }
        f.write_str(&self.what)?;
        for (index, place) in self.tried.iter().enumerate() {
            write!(f, "{}{place}", if index == 0 { ". Looked in: " } else { "; " })?;
        }
        if let (Some(call), Some(status)) = (self.call, self.status) {
            write!(f, " ({call} answered {status}, {})", status_name(status))?;
        }
        Ok(())
    }
}

fn status_name(status: i32) -> &'static str {
    match status {
        -1 => "invalid parameter",
        -2 => "backend error",
        -3 => "invalid state",
        -4 => "exception",
        -5 => "no telemetry",
        -6 => "not found",
        _ => "unknown",
    }
}

/// Where NIXL was looked for, and why it is not there.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Which rule led there, such as `NIXL_LIB_DIR`.
    pub rule: &'static str,
    /// The file, where the rule led to one.
    pub path: Option<PathBuf>,
    /// What was found, or the loader's message.
    pub outcome: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} ({}): {}", self.rule, path.display(), self.outcome),
            None => write!(f, "{}: {}", self.rule, self.outcome),
        }
    }
}
