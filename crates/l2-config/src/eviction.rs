//! The `eviction` object: which objects go, when, and how many at once.

use std::fmt;

use crate::error::Reported;
use crate::fields::{EVICTION, EVICTION_POLICY, EVICTION_RATIO, Place, TRIGGER_WATERMARK};
use crate::reader::Reader;

/// Which objects go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvictionPolicyName {
    /// The least recently used.
    Lru,
    /// What the adaptive replacement cache gives up: it weighs recent against frequent use.
    Arc,
    /// The least recently used of the tenant that is over its quota.
    IsolatedLru,
    /// None, ever.
    Noop,
}

impl EvictionPolicyName {
    /// Every policy, in the order in which it is listed for people.
    pub const ALL: &'static [Self] = &[Self::Lru, Self::Arc, Self::IsolatedLru, Self::Noop];

    /// The name in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lru => "LRU",
            Self::Arc => "ARC",
            Self::IsolatedLru => "IsolatedLRU",
            Self::Noop => "noop",
        }
    }
}

impl fmt::Display for EvictionPolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When and how room is made.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EvictionConfig {
    /// Which objects go first.
    pub policy: EvictionPolicyName,
    /// The part of the capacity, above 0 and up to 1, from which on eviction runs.
    pub trigger_watermark: f64,
    /// The part of the stored objects, above 0 and up to 1, that goes in one pass.
    pub eviction_ratio: f64,
}

impl EvictionConfig {
    /// Where eviction begins when nothing is said: at 80 % of the capacity.
    pub const DEFAULT_TRIGGER_WATERMARK: f64 = 0.8;
    /// How much goes in one pass when nothing is said: 20 % of the stored objects.
    pub const DEFAULT_EVICTION_RATIO: f64 = 0.2;

    /// This policy, with the default watermark and ratio.
    #[must_use]
    pub const fn new(policy: EvictionPolicyName) -> Self {
        Self {
            policy,
            trigger_watermark: Self::DEFAULT_TRIGGER_WATERMARK,
            eviction_ratio: Self::DEFAULT_EVICTION_RATIO,
        }
    }

    pub(crate) fn read(top: &Reader<'_>) -> Result<Option<Self>, Reported> {
        let Some(reader) = top.object(&EVICTION, Place::Eviction)? else { return Ok(None) };
        let policy = reader.need_choice(&EVICTION_POLICY, EvictionPolicyName::ALL, EvictionPolicyName::name);
        let trigger_watermark = reader.need(&TRIGGER_WATERMARK, reader.number(&TRIGGER_WATERMARK));
        let eviction_ratio = reader.need(&EVICTION_RATIO, reader.number(&EVICTION_RATIO));
        reader.finish();
        Ok(Some(Self {
            policy: policy?,
            trigger_watermark: trigger_watermark?,
            eviction_ratio: eviction_ratio?,
        }))
    }
}
