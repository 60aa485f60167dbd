//! What is done so that a load is right or a miss: the same keys for people who weigh safety against speed.

use crate::dynamic::GIB;
use crate::error::Reported;
use crate::fields::{DURABILITY, INTEGRITY, LAYOUT_TAG, MIN_FREE_GB, MOST_TAG, RECOVER_SCAN};
use crate::reader::Reader;
use crate::value;

/// What is compared on each load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Integrity {
    /// Lengths: what was stored, what is asked for, and what the file has.
    #[default]
    Size,
    /// Lengths, and a checksum of all bytes, the key and the layout tag, which are kept beside the bytes.
    Checksum,
}

/// What a power cut may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// Whatever the kernel had not written yet.
    #[default]
    None,
    /// Nothing that was reported as stored: each file and its directory are flushed first.
    Fsync,
}

/// Whether what is in the directory is counted after a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RecoverScan {
    /// By a thread, while lookups and loads go on.
    #[default]
    Background,
    /// Not at all: an object counts once it was looked up.
    Off,
}

impl Integrity {
    /// Every choice, in the order in which it is listed for people.
    pub const ALL: &'static [Self] = &[Self::Size, Self::Checksum];

    /// The name in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Checksum => "checksum",
        }
    }

    pub(crate) fn read(top: &Reader<'_>) -> Result<Self, Reported> {
        Ok(top.choice(&INTEGRITY, Self::ALL, Self::name)?.unwrap_or_default())
    }
}

impl Durability {
    /// Every choice, in the order in which it is listed for people.
    pub const ALL: &'static [Self] = &[Self::None, Self::Fsync];

    /// The name in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fsync => "fsync",
        }
    }

    pub(crate) fn read(top: &Reader<'_>) -> Result<Self, Reported> {
        Ok(top.choice(&DURABILITY, Self::ALL, Self::name)?.unwrap_or_default())
    }
}

impl RecoverScan {
    /// Every choice, in the order in which it is listed for people.
    pub const ALL: &'static [Self] = &[Self::Background, Self::Off];

    /// The name in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Off => "off",
        }
    }

    pub(crate) fn read(top: &Reader<'_>) -> Result<Self, Reported> {
        Ok(top.choice(&RECOVER_SCAN, Self::ALL, Self::name)?.unwrap_or_default())
    }
}

pub(crate) fn read_layout_tag(top: &Reader<'_>) -> Result<Option<String>, Reported> {
    let Some(tag) = top.text(&LAYOUT_TAG)? else { return Ok(None) };
    if tag.len() > MOST_TAG {
        let problem = format!("{} bytes long, of at most {MOST_TAG}", tag.len());
        return Err(top.reject(&LAYOUT_TAG, problem, "shorten it, or give a hash of it"));
    }
    Ok(Some(tag.to_owned()))
}

/// In bytes.
pub(crate) fn read_min_free(top: &Reader<'_>) -> Result<u64, Reported> {
    let gib = top.need(&MIN_FREE_GB, top.number(&MIN_FREE_GB))?;
    value::truncated(gib * GIB as f64).ok_or_else(|| top.out_of_range(&MIN_FREE_GB, "less than 2⁶³ bytes"))
}
