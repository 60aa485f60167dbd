//! Pinning: lookups and unlocks, a batch at a time.

use std::time::Duration;

use l2_core::{ObjectKey, Stamp, TaskId};

use crate::answer::Pin;
use crate::entry::{Stage, State, Why};
use crate::index::Index;
use crate::leases::FOREVER;
use crate::shards::{Entries, SHARDS};
use crate::windows::Hashed;

impl<V> Index<V> {
    /// Adds a pin of `owner` to each of these keys that is stored, and notes the use; an answer for each, in order. While
    /// it has pins an object is not deleted.
    pub fn pin_batch(&self, keys: &[ObjectKey], owner: TaskId) -> Vec<Pin> {
        let mut answers = vec![Pin::Absent; keys.len()];
        let (until, stamps) = (self.pin_end(), self.stamps.batch(keys.len()));
        self.shards.visit(keys, |_, entries, hashed| {
            if let Some(key) = keys.get(hashed.at)
                && let Some(answer) = answers.get_mut(hashed.at)
            {
                *answer = entries.look_up(key, hashed, owner, until, stamps.stamp(hashed.at));
            }
        });
        answers
    }

    /// Takes a pin from each of these keys: one of `owner`'s, or of whoever has the oldest. How many there were to take. A
    /// pin whose time is over is not there to be taken, so that it never stands for one that is not.
    pub fn unpin_batch(&self, keys: &[ObjectKey], owner: Option<TaskId>) -> usize {
        let mut taken = 0;
        let now = self.pins.clock.now();
        self.shards.visit(keys, |_, entries, hashed| {
            let found = keys.get(hashed.at).and_then(|key| entries.find(key, hashed));
            taken += usize::from(found.is_some_and(|slot| entries.unpin(slot, owner, now)));
        });
        taken
    }

    /// Ends every pin whose time is over. Nobody needs to call it: those who would delete look for themselves.
    pub fn expire_pins(&self) {
        let now = self.pins.clock.now();
        (0..SHARDS).for_each(|shard| self.shards.expire(shard, now));
    }

    /// When a pin ends that is taken now.
    pub(crate) fn pin_end(&self) -> Duration {
        match self.pins.time_to_live {
            None => FOREVER,
            Some(time) => self.pins.clock.now().saturating_add(time),
        }
    }
}

impl<V> Entries<V> {
    fn look_up(
        &mut self,
        key: &ObjectKey,
        hashed: Hashed,
        owner: TaskId,
        until: Duration,
        used: Stamp,
    ) -> Pin {
        let Some(slot) = self.find(key, hashed) else { return Pin::Absent };
        let Some(entry) = self.slab.at(slot) else { return Pin::Absent };
        let bytes = entry.bytes;
        match entry.state {
            State::Storing => Pin::Storing,
            State::Stored(Stage::Doomed(Why::Unwanted), _) => Pin::Unwanted,
            State::Stored(Stage::Condemned | Stage::Deleting | Stage::Doomed(Why::Failed), _) => {
                Pin::Deleting
            }
            State::Stored(Stage::Resident, _) => {
                if self.pin(slot, owner, until, used) {
                    Pin::Hit { bytes }
                } else {
                    Pin::Overflow
                }
            }
        }
    }

    /// Adds a pin to a Resident entry, and notes the use. `false` when there are too many pins.
    pub(crate) fn pin(&mut self, slot: u32, owner: TaskId, until: Duration, used: Stamp) -> bool {
        let Some(entry) = self.slab.at_mut(slot) else { return false };
        let was_pinned = entry.leases.is_some();
        let (was_free, bytes) = (!was_pinned && entry.readers == 0, entry.bytes);
        if !self.leases.add(&mut entry.leases, slot, owner, until) {
            return false;
        }
        self.pinned += u64::from(!was_pinned);
        entry.touch(used);
        if was_free {
            self.frees.subtract(slot, bytes);
        }
        true
    }

    fn unpin(&mut self, slot: u32, owner: Option<TaskId>, now: Duration) -> bool {
        self.expire(slot, now);
        let Some(entry) = self.slab.at_mut(slot) else { return false };
        let taken = match owner {
            Some(owner) => self.leases.take_of(&mut entry.leases, owner),
            None => self.leases.take_oldest(&mut entry.leases),
        };
        if taken && entry.leases.is_none() {
            self.pinned -= 1;
            self.frees.note(slot, entry);
        }
        taken
    }
}
