//! Whether one object's file is what it should be.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use l2_core::ObjectKey;
use l2_files::{Version, is_absent};
use rustix::io::Errno;
use xxhash_rust::xxh3::Xxh3;

use super::CacheDirectory;
use crate::load::is_no_file;
use crate::record::{Record, checksum_text};

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// What is wrong with an object's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has no bytes, which no object has.
    Empty,
    /// It has another length than is expected of all objects.
    Length {
        /// Its length.
        bytes: u64,
        /// What is expected.
        expected: u64,
    },
    /// What is kept beside it is of the object of another key.
    OtherKey,
    /// What is kept beside it is of another length.
    RecordLength {
        /// Its length.
        bytes: u64,
        /// What it was stored with.
        recorded: u64,
    },
    /// Its bytes are not those that were stored.
    Checksum,
    /// The device cannot read it.
    Unreadable,
}

impl Fault {
    /// A short name, stable, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Length { .. } => "length",
            Self::OtherKey => "other_key",
            Self::RecordLength { .. } => "record_length",
            Self::Checksum => "checksum",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Length { bytes, expected } => write!(f, "it has {bytes} bytes instead of {expected}"),
            Self::OtherKey => f.write_str("its record is of another key"),
            Self::RecordLength { bytes, recorded } => {
                write!(f, "it has {bytes} bytes, and was stored with {recorded}")
            }
            Self::Checksum => f.write_str("its bytes are not those that were stored"),
            Self::Unreadable => f.write_str("the device cannot read it"),
        }
    }
}

/// What is known of a file's bytes; later ones are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// Nothing is kept beside it that is understood.
    NoRecord,
    /// Its key and length.
    NoChecksum,
    /// All: they are those that were stored.
    Right,
}

/// What a look at an object came to.
#[derive(Debug)]
pub(crate) enum Look {
    /// It is not there (any more).
    Gone,
    /// It was replaced, or written to, at each of some looks.
    Changing,
    /// It stayed the same while it was read.
    Checked(Checked),
}

/// What a file was found to be.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) version: Version,
    pub(crate) verdict: Result<Known, Fault>,
}

impl Checked {
    /// Whether it is at least as good as another.
    pub(crate) fn is_as_good_as(&self, other: &Self) -> bool {
        self.verdict.as_ref().ok() >= other.verdict.as_ref().ok()
    }
}

/// Checks files one after the other, not faster than it may.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    pub(crate) cache: &'a CacheDirectory,
    /// What every object must have.
    pub(crate) expect_bytes: Option<u64>,
    pub(crate) pace: Option<Pace>,
}

impl Checker<'_> {
    /// Checks an object.
    ///
    /// # Errors
    /// When it cannot be checked, which says nothing against it.
    pub(crate) fn check(&mut self, path: &str, key: &ObjectKey) -> io::Result<Look> {
        /// How often one is looked at again that was replaced, or is being written over, meanwhile.
        const LOOKS: usize = 3;
        for _ in 0..LOOKS {
            let file = match self.cache.directory.open_to_read(path, false) {
                Ok((file, _)) => file,
                Err(error) if is_absent(&error) || is_no_file(&error) => return Ok(Look::Gone),
                Err(error) => return Err(error),
            };
            let version = Version::of(&rustix::fs::fstat(&file)?);
            let verdict = self.verdict(&file, key, version.length())?;
            let there = self.cache.look(path)?.map(|there| Version::of(&there));
            if there == Some(version) {
                return Ok(Look::Checked(Checked { version, verdict }));
            }
        }
        Ok(Look::Changing)
    }

    fn verdict(&mut self, file: &OwnedFd, key: &ObjectKey, bytes: u64) -> io::Result<Result<Known, Fault>> {
        if bytes == 0 {
            return Ok(Err(Fault::Empty));
        }
        if let Some(expected) = self.expect_bytes.filter(|expected| *expected != bytes) {
            return Ok(Err(Fault::Length { bytes, expected }));
        }
        let kept = self.cache.beside.read(&self.cache.directory, file)?;
        let Some(record) = kept.as_deref().and_then(Record::read) else { return Ok(Ok(Known::NoRecord)) };
        if !record.is_of(key) {
            return Ok(Err(Fault::OtherKey));
        }
        if record.bytes() != bytes {
            return Ok(Err(Fault::RecordLength { bytes, recorded: record.bytes() }));
        }
        let Some(checksum) = record.checksum() else { return Ok(Ok(Known::NoChecksum)) };
        match self.checksum_of(file) {
            Ok(read) if read == checksum => Ok(Ok(Known::Right)),
            Ok(_) => Ok(Err(Fault::Checksum)),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(Err(Fault::Unreadable)),
            Err(error) => Err(error),
        }
    }

    fn checksum_of(&mut self, file: &OwnedFd) -> io::Result<String> {
        let mut file = File::from(file.try_clone()?);
        let mut hasher = Xxh3::new();
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(checksum_text(hasher.digest128())),
                Ok(read) => {
                    hasher.update(buffer.get(..read).unwrap_or_default());
                    if let Some(pace) = &mut self.pace {
                        pace.pause_after(read as u64);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// How fast is read.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    since: Instant,
    done: u64,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), since: Instant::now(), done: 0 }
    }

    /// Waits until so many bytes more may have been read.
    fn pause_after(&mut self, bytes: u64) {
        self.done += bytes;
        let due = Duration::from_secs_f64(self.done as f64 / self.bytes_per_second as f64);
        thread::sleep(due.saturating_sub(self.since.elapsed()));
    }
}

/// Whether two files have the same bytes.
///
/// # Errors
/// When one of them cannot be read.
pub(crate) fn have_same_bytes(one: OwnedFd, other: OwnedFd) -> io::Result<bool> {
    let (mut one, mut other) = (File::from(one), File::from(other));
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let read = fill(&mut one, &mut left)?;
        let of_other = fill(&mut other, &mut right)?;
        if left.get(..read) != right.get(..of_other) {
            return Ok(false);
        }
        if read < PIECE {
            return Ok(true);
        }
    }
}

/// Reads as much as there is, and fits.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
