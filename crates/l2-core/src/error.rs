//! What went wrong: with which key, where, and what the caller should do.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::key::{InvalidKey, ObjectKey};

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing is stored under the key (any more): compute it again.
    NotFound,
    /// The bytes do not fit, and nothing more could be evicted: go on without them.
    Full,
    /// The key is being stored, deleted or used by another task: try again later, or go on without it.
    Busy,
    /// What is stored has another length than asked for: compute it again, and check that the model and its layout
    /// are those it was stored with.
    LengthMismatch,
    /// What was stored is damaged and has been dropped: compute it again.
    Corrupt,
    /// The storage did not answer in time.
    TimedOut,
    /// The storage failed again and again, and is left alone until it works: go on without it.
    Unavailable,
    /// The storage or NIXL failed; the message says how. Trying again may help.
    Io,
    /// The request itself is wrong: a length, an alignment, a key.
    InvalidInput,
    /// The configuration asks for something that this machine or this version does not have.
    Unsupported,
    /// The adapter is closed, or was closed before it came to this key.
    Closed,
    /// A fault of this library: please report it.
    Bug,
}

impl ErrorKind {
    /// A short name, stable, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Full => "full",
            Self::Busy => "busy",
            Self::LengthMismatch => "length_mismatch",
            Self::Corrupt => "corrupt",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Io => "io",
            Self::InvalidInput => "invalid_input",
            Self::Unsupported => "unsupported",
            Self::Closed => "closed",
            Self::Bug => "bug",
        }
    }
}

/// An error with what is known of it; displays as one line.
pub struct L2Error(Box<Detail>);

struct Detail {
    kind: ErrorKind,
    what: String,
    key: Option<ObjectKey>,
    path: Option<PathBuf>,
    offset: Option<u64>,
    length: Option<u64>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl L2Error {
    /// An error of this kind; `what` says what failed and what to do, in a few words.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        let what = what.into();
        Self(Box::new(Detail { kind, what, key: None, path: None, offset: None, length: None, source: None }))
    }

    /// The adapter is closed.
    pub fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the adapter closed before it served this key")
    }

    /// Nothing is stored under the key.
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "nothing is stored under this key")
    }

    /// The memory cannot be read here (it is a GPU's), and what is in it is to be compared with a checksum.
    pub fn unreadable_memory() -> Self {
        let what =
            "with \"integrity\": \"checksum\" an object has to be in memory that the processor can read";
        Self::new(ErrorKind::Unsupported, what)
    }

    /// The object has `stored` bytes, and `wanted` were asked for.
    pub fn length_mismatch(stored: u64, wanted: u64) -> Self {
        let what = format!(
            "the object has {stored} bytes and {wanted} were asked for; it may be of another model or layout"
        );
        Self::new(ErrorKind::LengthMismatch, what).with_range(0, wanted)
    }

    /// The task was not done within `limit`.
    pub fn timed_out(limit: Duration) -> Self {
        Self::new(ErrorKind::TimedOut, format!("not done within {limit:?}"))
    }

    /// Names the key.
    #[must_use]
    pub fn with_key(mut self, key: &ObjectKey) -> Self {
        self.0.key = Some(key.clone());
        self
    }

    /// Names the file or object.
    #[must_use]
    pub fn with_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// Names the bytes: `length` of them at `offset` of the storage.
    #[must_use]
    pub fn with_range(mut self, offset: u64, length: u64) -> Self {
        self.0.offset = Some(offset);
        self.0.length = Some(length);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The key, where one key is to blame.
    pub fn key(&self) -> Option<&ObjectKey> {
        self.0.key.as_ref()
    }

    /// The file or object, where one is to blame.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Offset and length in bytes, where a range is to blame.
    pub fn range(&self) -> Option<(u64, u64)> {
        self.0.offset.zip(self.0.length)
    }
}

impl fmt::Display for L2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Detail { what, key, path, offset, length, source, .. } = &*self.0;
        f.write_str(what)?;
        if let Some(path) = path {
            write!(f, ", file {path:?}")?;
        }
        if let (Some(offset), Some(length)) = (offset, length) {
            write!(f, ", {length} bytes at {offset}")?;
        }
        if let Some(key) = key {
            write!(f, ", key {key}")?;
        }
        let mut cause = source.as_deref().map(|error| error as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for L2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L2Error({}: {self})", self.0.kind.as_str())
    }
}

impl Error for L2Error {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // Its text is part of ours already, so that the one line that reaches a log says it all.
        None
    }
}

impl From<InvalidKey> for L2Error {
    fn from(error: InvalidKey) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyScope;

    #[test]
    fn an_error_is_one_line_with_all_that_is_known() {
        let key = KeyScope::new("m", 0, 0, "").unwrap().key(&[0xaa]).unwrap();
        let error = L2Error::new(ErrorKind::Io, "cannot write")
            .with_key(&key)
            .with_path("/data/x\n.bin")
            .with_range(0, 4096)
            .with_source(std::io::Error::from_raw_os_error(28));
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["cannot write", "/data/x", "4096 bytes at 0", "m[rank 0, group 0]:aa", "No space left"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
