//! ARC, the adaptive replacement cache (Megiddo and Modha, FAST 2003), counted in bytes.
//!
//! Objects that were used once since they were stored are apart from those that were used again. Each kind gives up its
//! least recently used; which kind does, follows a target for the bytes of the first. What went is remembered for a while,
//! by hash: a store of something that went too early moves the target in favour of its kind. So a run over many keys that
//! nobody wants twice does not push out what is wanted often, and a change of what is wanted is followed.

use l2_core::{Candidate, Evictable, ObjectKey};

use crate::coldest::{Coldest, Scans, Selection};
use crate::ghosts::Ghosts;
use crate::policy::{EvictionPolicy, Want};

/// Of the objects used once and those used again, the kind goes first that has more than its share.
///
/// What went is remembered in some 80 bytes each, for as many bytes of objects as the capacity.
#[derive(Debug)]
pub struct ArcPolicy {
    scans: Scans,
    once: Kind,
    again: Kind,
    /// Bytes that the objects used once should have.
    target: u64,
    capacity: u64,
}

/// The objects used once, or those used again.
#[derive(Debug)]
struct Kind {
    coldest: Coldest<()>,
    /// Bytes of those that could go, as of the last scan, with what was stored since and without what was chosen.
    bytes: u64,
    gone: Ghosts,
}

impl Kind {
    fn new() -> Self {
        Self { coldest: Coldest::new(), bytes: 0, gone: Ghosts::new() }
    }

    fn pop(&mut self) -> Option<Candidate> {
        let (candidate, ()) = self.coldest.pop()?;
        self.bytes = self.bytes.saturating_sub(candidate.bytes);
        Some(candidate)
    }
}

impl ArcPolicy {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self { scans: Scans::default(), once: Kind::new(), again: Kind::new(), target: 0, capacity: 0 }
    }

    fn refill(&mut self, residents: &dyn Evictable) {
        self.capacity = residents.usage().capacity_bytes;
        let mut once = (Selection::of(residents), 0);
        let mut again = (Selection::of(residents), 0);
        self.scans.scan(residents, |_, candidate| {
            let (selection, bytes) = if candidate.reused { &mut again } else { &mut once };
            selection.offer(candidate, ());
            *bytes += candidate.bytes;
        });
        (self.once.coldest, self.once.bytes) = (once.0.finish(), once.1);
        (self.again.coldest, self.again.bytes) = (again.0.finish(), again.1);
    }

    /// The next to go. `None` when the kind whose turn it is has been given away, as far as it is known.
    fn next(&mut self) -> Option<Candidate> {
        // A kind of which there is nothing has no turn.
        let once_has_more = self.once.bytes > 0 && (self.once.bytes > self.target || self.again.bytes == 0);
        if once_has_more { self.once.pop() } else { self.again.pop() }
    }

    /// Remembers no more than the paper does: of objects used once, present or gone, as much as fits; of all, twice that.
    fn trim(&mut self) {
        let capacity = self.capacity;
        self.once.gone.trim(capacity.saturating_sub(self.once.bytes));
        let others = self.once.bytes.saturating_add(self.again.bytes).saturating_add(self.once.gone.bytes());
        self.again.gone.trim(capacity.saturating_mul(2).saturating_sub(others));
    }
}

impl Default for ArcPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl EvictionPolicy for ArcPolicy {
    fn victims(&mut self, residents: &dyn Evictable, want: Want<'_>) -> Vec<Candidate> {
        let releases = residents.releases();
        self.once.coldest.heed(releases);
        self.again.coldest.heed(releases);
        let victims = want.take(|| self.next());
        if !victims.is_empty() {
            return victims;
        }
        self.refill(residents);
        want.take(|| self.next())
    }

    fn stored(&mut self, residents: &dyn Evictable, objects: &[(ObjectKey, u64)]) {
        self.capacity = residents.usage().capacity_bytes;
        let mut wanted_again = Vec::new();
        for (key, bytes) in objects {
            let (once, again) = (self.once.gone.bytes(), self.again.gone.bytes());
            // The fewer are remembered of a kind, the more it says that one of them is wanted.
            let step = |hit: u64, other: u64| bytes.saturating_mul((other / hit.max(1)).max(1));
            if self.once.gone.take(key.hash64()) {
                self.target = self.target.saturating_add(step(once, again)).min(self.capacity);
            } else if self.again.gone.take(key.hash64()) {
                self.target = self.target.saturating_sub(step(again, once));
            } else {
                self.once.bytes = self.once.bytes.saturating_add(*bytes);
                continue;
            }
            self.again.bytes = self.again.bytes.saturating_add(*bytes);
            wanted_again.push(key.clone());
        }
        if !wanted_again.is_empty() {
            residents.mark_reused(&wanted_again);
        }
    }

    fn hears_stores(&self) -> bool {
        true
    }

    fn evicted(&mut self, victims: &[Candidate]) {
        for victim in victims {
            let kind = if victim.reused { &mut self.again } else { &mut self.once };
            kind.gone.add(victim.key_hash, victim.bytes);
        }
        self.trim();
    }
}

#[cfg(test)]
mod tests;
