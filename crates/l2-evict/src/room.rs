//! Making room for a store that does not fit, on the thread of that store.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use l2_core::{KeyScope, RoomMaker};

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
                    self.pardon_all(residents);
                    return freed();
                }
                continue;
            }
            // Asked when it is this call's turn: others may have freed enough by then, and who was over its quota may no
            // longer be.
            let want = || {
                let missing = bytes.checked_sub(freed()).filter(|bytes| *bytes > 0);
                missing.map(|bytes| Want { objects: CHUNK, bytes, pressed: true, asker: Some(scope) })
            };
            if self.choose(residents, want) == 0 && !self.wait_for_others(before, start) {
                return freed();
            }
        }
    }
}

impl Attached {
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
