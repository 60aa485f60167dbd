//! Which file it is, and which bytes of it, to tell whether what was found is still what is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of a file that was looked at.
    pub fn of(file: &Stat) -> Self {
        Self { device: file.st_dev, inode: file.st_ino }
    }
}

/// Which file it is, with its length and the time of the last change of its bytes: what is stored anew is another, also
/// where it gets the inode of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    identity: Identity,
    length: i64,
    /// Since 1970, as two numbers.
    changed: (i64, u64),
}

impl Version {
    /// Of a file that was looked at.
    pub fn of(file: &Stat) -> Self {
        let changed = (file.st_mtime, file.st_mtime_nsec);
        Self { identity: Identity::of(file), length: file.st_size, changed }
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        u64::try_from(self.length).unwrap_or_default()
    }

    /// When its bytes changed last, not before 1970.
    pub fn modified(&self) -> SystemTime {
        let (seconds, nanoseconds) = self.changed;
        let since = u64::try_from(seconds).map_or(Duration::ZERO, Duration::from_secs);
        UNIX_EPOCH.checked_add(since + Duration::from_nanos(nanoseconds)).unwrap_or(UNIX_EPOCH)
    }
}
