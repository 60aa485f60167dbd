//! Comparing every object with what is kept beside it, and setting aside what is wrong.

use std::fmt;

use l2_core::{ErrorKind, L2Error, ObjectKey};
use l2_files::Version;

use super::check::{Checker, Known, Look, Pace};
use super::{Amount, CacheDirectory, Fault};

/// How objects are verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyTerms {
    /// The length that every object must have, in bytes; any, if not given.
    pub expect_bytes: Option<u64>,
    /// How fast bytes are read, at most; as fast as it goes, if not given.
    pub bytes_per_second: Option<u64>,
}

/// An object that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadObject {
    /// Its path below the cache directory.
    pub path: String,
    /// Its key.
    pub key: ObjectKey,
    /// What is wrong.
    pub fault: Fault,
    found: Version,
}

impl fmt::Display for BadObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.path, self.fault)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Those whose bytes are the ones that were stored.
    pub right: Amount,
    /// Those that have a record of their key and length, without a checksum.
    pub no_checksum: Amount,
    /// Those that have no record, or one that is not understood: nothing is known against them.
    pub no_record: Amount,
    /// The others, in the order of their paths.
    pub bad: Vec<BadObject>,
    /// What could not be checked, also for it changed at each look.
    pub failures: Vec<L2Error>,
}

/// What became of bad objects.
#[derive(Debug, Default)]
pub struct Repaired {
    /// Each that was set aside, with its path from then on.
    pub set_aside: Vec<(BadObject, String)>,
    /// Those that were gone, or had been replaced.
    pub gone: u64,
    /// Those that could not be moved.
    pub failures: Vec<L2Error>,
}

impl CacheDirectory {
    /// Compares every object with its record, and where that has a checksum, reads it. What was checked is told to `progress`
    /// by its length in bytes. Nothing is changed.
    pub fn verify(&self, terms: &VerifyTerms, progress: &mut dyn FnMut(u64)) -> Verified {
        let mut verified = Verified::default();
        let pace = terms.bytes_per_second.map(Pace::new);
        let mut checker = Checker { cache: self, expect_bytes: terms.expect_bytes, pace };
        let mut failed = Vec::new();
        let Verified { right, no_checksum, no_record, bad, failures } = &mut verified;
        self.each_object(failures, &mut |path, key| {
            let checked = match checker.check(&path, &key) {
                Ok(Look::Checked(checked)) => checked,
                Ok(Look::Gone) => return,
                Ok(Look::Changing) => {
                    let what = "not checked, for others keep storing it meanwhile; verify again when they have ended";
                    let error = L2Error::new(ErrorKind::Busy, what);
                    return failed.push(error.with_path(self.directory.full(&path)));
                }
                Err(error) => {
                    return failed.push(self.directory.error("cannot check a file", &path, error));
                }
            };
            let bytes = checked.version.length();
            match checked.verdict {
                Ok(Known::Right) => right.add(bytes),
                Ok(Known::NoChecksum) => no_checksum.add(bytes),
                Ok(Known::NoRecord) => no_record.add(bytes),
                Err(fault) => bad.push(BadObject { path, key, fault, found: checked.version }),
            }
            progress(bytes);
        });
        failures.append(&mut failed);
        bad.sort_by(|one, other| one.path.cmp(&other.path));
        verified
    }

    /// Moves bad objects to `.nixl-l2/set-aside/N/` below the cache directory, under the paths that they had, where no lookup
    /// finds them. They keep rights, times and records, and none is moved over another. One that has been replaced since stays.
    pub fn repair(&self, bad: &[BadObject]) -> Repaired {
        let mut repaired = Repaired::default();
        for object in bad {
            match self.set_aside(&object.path, &object.found) {
                Ok(Some(aside)) => repaired.set_aside.push((object.clone(), aside)),
                Ok(None) => repaired.gone += 1,
                Err(error) => repaired.failures.push(error),
            }
        }
        repaired
    }
}
