//! What can be wrong with a stored object, and how often it was.

use std::fmt;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why an object was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    /// Its storage is gone.
    Gone,
    /// Its storage is longer or shorter than what was stored.
    Length,
    /// Something else is in its place: a link, a directory, a pipe.
    NotAFile,
    /// It may not be read.
    Forbidden,
    /// The device cannot read it, or it ends before its length.
    Unreadable,
    /// Its bytes are others than those that were stored.
    Checksum,
    /// It has no checksum or layout tag where one is asked for, or those of another key, or another tag.
    Unverified,
}

impl Damage {
    /// Every reason, in the order in which they are listed.
    pub const ALL: [Self; 7] = [
        Self::Gone,
        Self::Length,
        Self::NotAFile,
        Self::Forbidden,
        Self::Unreadable,
        Self::Checksum,
        Self::Unverified,
    ];

    /// What it is called in a status and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Length => "length",
            Self::NotAFile => "not_a_file",
            Self::Forbidden => "forbidden",
            Self::Unreadable => "unreadable",
            Self::Checksum => "checksum",
            Self::Unverified => "unverified",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many objects were dropped, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Healed([u64; Damage::ALL.len()]);

impl fmt::Debug for Healed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Damage::ALL.map(|damage| (damage.name(), self.of(damage)))).finish()
    }
}

impl Healed {
    /// For one reason.
    pub fn of(&self, damage: Damage) -> u64 {
        self.0.get(damage as usize).copied().unwrap_or_default()
    }

    /// For any.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Of two adapters.
impl Add for Healed {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
        self
    }
}

/// Counts dropped objects, from any thread.
#[derive(Debug, Default)]
pub struct Heals([AtomicU64; Damage::ALL.len()]);

impl Heals {
    /// One more.
    pub fn count(&self, damage: Damage) {
        if let Some(count) = self.0.get(damage as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub fn so_far(&self) -> Healed {
        Healed(self.0.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself_and_has_its_name() {
        let heals = Heals::default();
        for (times, damage) in Damage::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| heals.count(damage));
        }
        let healed = heals.so_far();
        for (times, damage) in (1..).zip(Damage::ALL) {
            assert_eq!(healed.of(damage), times, "{damage}");
        }
        assert_eq!(healed.total(), (1..=7).sum());
        let mut names = Damage::ALL.map(Damage::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Damage::ALL.len());
    }
}
