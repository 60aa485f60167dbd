//! One pass over an adapter: what is chosen and deleted until usage is below the watermark.

use std::fmt;
use std::sync::Arc;

use l2_core::{Evictable, Usage};

use crate::alarm::Alarm;
use crate::attached::{Attached, CHUNK, catch};
use crate::evictions::Evictions;
use crate::policy::Want;

/// A pass, between two turns.
pub(crate) struct Pass {
    attached: Arc<Attached>,
    /// Whether what could not be deleted before was tried again.
    retried: bool,
    /// How many objects to choose before usage is looked at again.
    left: usize,
    /// Whether the usage of the whole is what makes something go.
    pressed: bool,
    /// What was done so far.
    done: Evictions,
    is_over: bool,
}

impl Pass {
    pub(crate) fn new(attached: Arc<Attached>) -> Self {
        Self { attached, retried: false, left: 0, pressed: false, done: Evictions::default(), is_over: false }
    }

    /// Does a bounded piece of the work. Whether there is more to do.
    pub(crate) fn turn(&mut self) -> bool {
        let _span = tracing::debug_span!("evict").entered();
        let goes_on = self.go_on();
        self.is_over = !goes_on;
        goes_on
    }

    fn go_on(&mut self) -> bool {
        let Some(residents) = self.attached.residents() else {
            self.attached.detach();
            return false;
        };
        let residents = &*residents;
        if !self.retried {
            self.retried = true;
            self.done.add(&self.attached.evict_again(residents, CHUNK));
        }
        // What is stored while it looks counts from then on.
        let stored_bytes = self.attached.work().alarm.stored_bytes();
        // What is out of sight counts as gone here, so that stores which are quicker than deletes do not delay what has to
        // go next.
        let is_due = self.left > 0 || self.look(residents);
        let has_chosen = is_due && self.choose(residents);
        let condemned = self.attached.work().take(u64::MAX);
        let has_failed = !condemned.is_empty() && {
            self.done.add(&self.attached.evict(residents, &condemned));
            self.attached.work().has_failed()
        };
        if has_failed {
            self.attached.pardon_all(residents);
        } else if has_chosen || !condemned.is_empty() {
            return true;
        }
        if is_due || has_failed {
            self.end_stuck(residents, stored_bytes);
            return false;
        }
        self.end(residents)
    }

    /// Takes what is due out of sight, as much as is not too far ahead of what deletes it. Whether there was anything.
    fn choose(&mut self, residents: &dyn Evictable) -> bool {
        /// Most objects that are out of sight and not yet deleted: until then they could be of use.
        const AHEAD: usize = 4096;
        let mut has_chosen = false;
        loop {
            let ahead = self.attached.work().condemned();
            let objects = self.left.min(AHEAD.saturating_sub(ahead));
            if objects == 0 {
                return has_chosen;
            }
            let want = Want { objects, bytes: u64::MAX, pressed: self.pressed, asker: None };
            let more = self.attached.choose(residents, || Some(want));
            if more == 0 {
                self.left = 0;
                return has_chosen;
            }
            // A policy that has limits of its own counts what is out of sight, too: it is asked again when that is gone.
            self.left = if self.pressed { self.left.saturating_sub(more) } else { 0 };
            has_chosen = true;
        }
    }

    /// Looks at the usage. Whether anything has to go.
    fn look(&mut self, residents: &dyn Evictable) -> bool {
        let watermark = self.attached.watermark();
        let (condemned_bytes, going) = {
            let work = self.attached.work();
            (work.condemned_bytes(), work.going_bytes())
        };
        let is_over = watermark.room(usage_without(residents, going)).is_none();
        // A policy counts what is out of sight, too: it is asked when that is gone.
        let is_due = is_over || condemned_bytes == 0 && self.policys_room(residents).is_none();
        if is_due {
            self.pressed = is_over;
            self.left = watermark.round(residents.objects());
        }
        is_due
    }

    fn policys_room(&self, residents: &dyn Evictable) -> Option<u64> {
        self.attached.ask(residents, |policy| policy.room(residents)).unwrap_or(Some(u64::MAX))
    }

    /// Nothing has to go: ends the pass, unless that has changed since. Whether it has.
    fn end(&mut self, residents: &dyn Evictable) -> bool {
        let stored_bytes = self.attached.work().alarm.stored_bytes();
        let room = self.attached.watermark().room(usage_without(residents, 0));
        let (Some(room), Some(policys)) = (room, self.policys_room(residents)) else { return true };
        self.log();
        self.set_alarm(|alarm| alarm.set_below(stored_bytes, room.min(policys)));
        false
    }

    /// Nothing could be chosen, as of when `stored_bytes` was read.
    fn end_stuck(&self, residents: &dyn Evictable, stored_bytes: u64) {
        self.log();
        let capacity = residents.usage().capacity_bytes;
        self.set_alarm(|alarm| alarm.set_stuck(stored_bytes, capacity));
    }

    /// Sets what wakes the next pass. So much may have been stored meanwhile, or somebody may have asked, that it is due.
    fn set_alarm(&self, set: impl FnOnce(&mut Alarm)) {
        let rings = {
            let mut work = self.attached.work();
            set(&mut work.alarm);
            work.alarm.ring()
        };
        if rings {
            self.attached.send_pass();
        }
    }

    fn log(&self) {
        let Evictions { objects, bytes, spared, failed } = self.done;
        tracing::debug!(objects, bytes, spared, failed, "an eviction pass ended");
    }
}

fn usage_without(residents: &dyn Evictable, condemned_bytes: u64) -> Usage {
    let usage = residents.usage();
    Usage { used_bytes: usage.used_bytes.saturating_sub(condemned_bytes), ..usage }
}

impl Drop for Pass {
    /// One that panicked, or was not done when the controller ended: what was to go can be looked up again, and the next
    /// store begins another. The policy is not asked: it may panic again.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Some(residents) = self.attached.residents() {
            // It may be the adapter that panics, and this is a drop.
            catch(|| self.attached.pardon_all(&*residents));
        }
        let mut work = self.attached.work();
        let stored_bytes = work.alarm.stored_bytes();
        work.alarm.set_stuck(stored_bytes, 0);
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("left", &self.left).field("done", &self.done).finish()
    }
}

#[cfg(test)]
mod tests;
