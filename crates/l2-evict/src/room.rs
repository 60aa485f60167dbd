//! Making room for a store that does not fit, on the thread of that store.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use l2_core::RoomMaker;

use crate::attached::{Attached, CHUNK};
use crate::policy::Want;

/// How long a store waits for others to have deleted what they are deleting, when nothing else can go.
const LIMIT: Duration = Duration::from_secs(5);

impl RoomMaker for Attached {
    fn freed(&self) -> u64 {
        self.work().evictions.bytes
    }

    fn make_room(&self, bytes: u64) -> u64 {
        let Some(residents) = self.residents() else { return 0 };
        let before = self.work().evictions.bytes;
        let start = Instant::now();
        let mut failed = 0;
        loop {
            let freed = self.work().evictions.bytes - before;
            if freed >= bytes {
                return freed;
            }
            // First what is to go anyway.
            let condemned = self.work().take(bytes - freed);
            if !condemned.is_empty() {
                let settled = self.evict(&*residents, &condemned);
                failed += settled.failed.len();
                if failed >= CHUNK && freed == 0 && settled.gone.is_empty() {
                    // The storage fails: no use to go on, and nothing would be visible any more.
                    return 0;
                }
                continue;
            }
            // Asked when it is this call's turn: others may have freed enough by then, and who was over its quota may no
            // longer be.
            let want = || {
                let missing =
                    bytes.checked_sub(self.work().evictions.bytes - before).filter(|bytes| *bytes > 0);
                missing.map(|bytes| Want { objects: CHUNK, bytes, pressed: true })
            };
            if self.choose(&*residents, want) == 0 && !self.wait_for_others(before, start) {
                return self.work().evictions.bytes - before;
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
            if work.evictions.bytes > before || !work.is_busy() {
                return false;
            }
            work = self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
