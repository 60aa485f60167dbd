//! The policy that lets the least recently used go first.

use l2_core::{Candidate, Evictable};

use crate::coldest::{Coldest, Scans, Selection};
use crate::policy::{EvictionPolicy, Want};

/// The least recently used goes first; of one batch, the last key goes first.
#[derive(Debug)]
pub struct Lru {
    scans: Scans,
    coldest: Coldest<()>,
}

impl Lru {
    /// One that has chosen nothing yet.
    pub fn new() -> Self {
        Self { scans: Scans::default(), coldest: Coldest::new() }
    }
}

impl Default for Lru {
    fn default() -> Self {
        Self::new()
    }
}

impl EvictionPolicy for Lru {
    fn victims(&mut self, residents: &dyn Evictable, want: Want<'_>) -> Vec<Candidate> {
        self.coldest.heed(residents.releases());
        if !self.coldest.has_next() {
            let mut selection = Selection::of(residents);
            self.scans.scan(residents, |_, candidate| selection.offer(candidate, ()));
            self.coldest = selection.finish();
        }
        want.take(|| self.coldest.pop().map(|(candidate, ())| candidate))
    }
}

impl Want<'_> {
    /// As many as are wanted of what `next` gives.
    pub(crate) fn take(self, mut next: impl FnMut() -> Option<Candidate>) -> Vec<Candidate> {
        let (mut taken, mut bytes) = (Vec::new(), 0u64);
        while taken.len() < self.objects
            && bytes < self.bytes
            && let Some(candidate) = next()
        {
            bytes = bytes.saturating_add(candidate.bytes);
            taken.push(candidate);
        }
        taken
    }
}
