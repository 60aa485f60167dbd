//! How much of the directory is whose.

use std::collections::BTreeMap;
use std::fmt;

use l2_core::{L2Error, ObjectKey};
use l2_files::Version;

use super::{CacheDirectory, ObjectFilter};

/// By which part of the key objects are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// The model's name.
    Model,
    /// The tenant's salt.
    Salt,
    /// The packed rank.
    Rank,
    /// The object group.
    Group,
}

impl UsageBy {
    fn of(self, key: &ObjectKey) -> UsageOf {
        match self {
            Self::Model => UsageOf::Text(key.model_name().to_owned()),
            Self::Salt => UsageOf::Text(key.cache_salt().to_owned()),
            Self::Rank => UsageOf::Number(key.kv_rank()),
            Self::Group => UsageOf::Number(key.object_group_id()),
        }
    }
}

/// What the objects have in common that are added up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageOf {
    /// A model or salt.
    Text(String),
    /// A rank or group.
    Number(u64),
}

impl fmt::Display for UsageOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.escape_debug().fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// What some objects take up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub objects: u64,
    /// The sum of their lengths, as a capacity counts them.
    pub bytes: u64,
    /// What the file system has reserved for them, in bytes.
    pub disk_bytes: u64,
}

impl Share {
    fn add(&mut self, bytes: u64, disk_bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.disk_bytes = self.disk_bytes.saturating_add(disk_bytes);
    }
}

/// How much of a directory is whose.
#[derive(Debug, Default)]
pub struct DirectoryUsage {
    /// For each value; nothing when it was not asked by which.
    pub shares: BTreeMap<UsageOf, Share>,
    /// Of all objects.
    pub total: Share,
    /// The parts of the directory that could not be read.
    pub failures: Vec<L2Error>,
}

impl CacheDirectory {
    /// Adds the objects up that are meant, in all and by a part of their keys.
    pub fn usage(&self, filter: &ObjectFilter, by: Option<UsageBy>) -> DirectoryUsage {
        let mut usage = DirectoryUsage::default();
        let (shares, total) = (&mut usage.shares, &mut usage.total);
        self.each_file(&mut usage.failures, &mut |_, key, stat| {
            if filter.matches(&key) {
                let bytes = Version::of(&stat).length();
                let disk_bytes = disk_bytes(&stat);
                total.add(bytes, disk_bytes);
                if let Some(by) = by {
                    shares.entry(by.of(&key)).or_default().add(bytes, disk_bytes);
                }
            }
        });
        usage
    }
}

/// What a file takes on the disk.
pub(crate) fn disk_bytes(stat: &rustix::fs::Stat) -> u64 {
    const BLOCK: u64 = 512;
    u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(BLOCK)
}
