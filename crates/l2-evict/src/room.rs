//! Making room for a store that does not fit, on the thread of that store.

use std::cell::Cell;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use l2_core::{Evictable, KeyScope, RoomMaker};

use crate::attached::{Attached, CHUNK};
use crate::policy::Want;

/// How long a store waits for others to have deleted what they are deleting, when nothing else can go.
const LIMIT: Duration = Duration::from_secs(5);
/// Most objects of those that could not be deleted that are tried again at a time.
const AGAIN: usize = 4;

impl RoomMaker for Attached {
    fn freed(&self) -> u64 {
        self.freed_bytes()
    }

    fn make_room(&self, scope: &KeyScope, bytes: u64) -> u64 {
        let Some(residents) = self.residents() else { return 0 };
        let residents = &*residents;
        if !self.could_suffice(residents, bytes) {
            // All that could go would be lost for nothing.
            return 0;
        }
        let probed = Cell::new(false);
        let made = self.evict_for(residents, scope, bytes, &probed);
        if probed.get() {
            // More was chosen than was needed, to find something that can be deleted.
            self.pardon_all(residents);
        }
        made
    }
}

impl Attached {
    /// Whether so many bytes could become free, as far as one can tell.
    fn could_suffice(&self, residents: &dyn Evictable, bytes: u64) -> bool {
        let condemned = {
            let work = self.work();
            if work.is_busy() {
                return true;
            }
            work.condemned_bytes()
        };
        residents.stranded() > 0 || residents.could_go_bytes().saturating_add(condemned) >= bytes
    }

    /// Evicts until so many bytes are free or nothing more can go. Whether it took more out of sight than it needed, because
    /// deletes fail, is noted.
    fn evict_for(&self, residents: &dyn Evictable, scope: &KeyScope, bytes: u64, probed: &Cell<bool>) -> u64 {
        let (before, start) = (self.freed_bytes(), Instant::now());
        let freed = || self.freed_bytes() - before;
        // As long as what could not be deleted before now can be.
        while freed() < bytes && self.evict_again(residents, AGAIN).objects > 0 {}
        loop {
            let missing = bytes.saturating_sub(freed());
            if missing == 0 {
                return freed();
            }
            // First what is to go anyway.
            let condemned = self.work().take(missing);
            if !condemned.is_empty() {
                self.evict(residents, &condemned);
                if self.work().has_failed() {
                    return freed();
                }
                continue;
            }
            // Asked when it is this call's turn: others may have freed enough by then, and who was over its quota may no
            // longer be.
            let want = || {
                let missing = bytes.checked_sub(freed()).filter(|bytes| *bytes > 0);
                missing.map(|bytes| {
                    let probes = self.work().is_in_doubt();
                    probed.set(probed.get() || probes);
                    let bytes = if probes { u64::MAX } else { bytes };
                    Want { objects: CHUNK, bytes, pressed: true, asker: Some(scope) }
                })
            };
            if self.choose(residents, want) == 0 && !self.wait_for_others(before, start) {
                return freed();
            }
        }
    }

    /// Nothing can be chosen: waits until others have freed or condemned something. Whether there may be more.
    fn wait_for_others(&self, before: u64, start: Instant) -> bool {
        let mut work = self.work();
        loop {
            if work.condemned() > 0 {
                return true;
            }
            let Some(left) = LIMIT.checked_sub(start.elapsed()) else { return false };
            if self.freed_bytes() > before || !work.is_busy() {
                return false;
            }
            work = self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
