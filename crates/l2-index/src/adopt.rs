//! Entering what was found on the storage.

use l2_core::{ObjectKey, Stamp, TaskId};

use crate::answer::Adopt;
use crate::entry::{Entry, Stage, State, Why};
use crate::index::{Epoch, Index};

impl Index {
    /// Enters an object of `bytes` that was found on the storage, last used at `used`, with a pin for `owner` if there is
    /// one.
    ///
    /// `epoch` is [`Index::epoch`] of this key, taken before the storage was looked at. A store or delete that has
    /// removed the object meanwhile makes it [`Adopt::Stale`], so that what is gone is never entered. (So may one of
    /// another key; that costs a second look.)
    ///
    /// The bytes count even beyond the capacity: they are in use on the storage, whatever the capacity says.
    pub fn adopt(
        &self,
        key: &ObjectKey,
        bytes: u64,
        used: Stamp,
        owner: Option<TaskId>,
        epoch: Epoch,
    ) -> Adopt {
        let hash = key.hash64();
        let until = self.pin_end();
        let (_, mut guard) = self.shards.of(hash);
        let entries = &mut *guard;
        if let Some(slot) = entries.slab.find(key, hash)
            && let Some(entry) = entries.slab.at(slot)
        {
            let bytes = entry.bytes;
            return match (&entry.state, owner) {
                (State::Storing, _) => Adopt::Storing,
                (State::Stored(Stage::Condemned | Stage::Deleting | Stage::Doomed(_), ()), _) => {
                    Adopt::Deleting
                }
                (State::Stored(Stage::Resident, ()), None) => Adopt::Present { bytes },
                (State::Stored(Stage::Resident, ()), Some(owner)) => {
                    if entries.pin(slot, owner, until, used) {
                        Adopt::Present { bytes }
                    } else {
                        Adopt::Overflow
                    }
                }
            };
        }
        if entries.removals != epoch.0 {
            return Adopt::Stale;
        }
        // Before it is entered: of what is in the index its listeners must hear, and who gets no answer but this says nothing.
        let has_room = owner.is_none() || entries.leases.has_room();
        if !has_room || self.take_bytes(bytes, u64::MAX).is_err() {
            return Adopt::Overflow;
        }
        let Some(slot) = entries.insert(key, hash, Entry::resident(key, bytes, used, ())) else {
            self.give_bytes_back(bytes);
            return Adopt::Overflow;
        };
        entries.objects += 1;
        if let Some(entry) = entries.slab.at(slot) {
            entries.frees.note(slot, entry);
        }
        if let Some(owner) = owner {
            let pinned = entries.pin(slot, owner, until, used);
            debug_assert!(pinned, "there is room");
        }
        Adopt::Adopted
    }

    /// Enters an object of `bytes` that was found on the storage and is not to be served: it is invisible, its bytes count,
    /// and it is the first to go ([`Index::evict_again`]), unless its key is stored anew before. Answers as
    /// [`Index::adopt`].
    pub fn adopt_unwanted(&self, key: &ObjectKey, bytes: u64, epoch: Epoch) -> Adopt {
        let hash = key.hash64();
        let (_, mut guard) = self.shards.of(hash);
        let entries = &mut *guard;
        if let Some(slot) = entries.slab.find(key, hash)
            && let Some(entry) = entries.slab.at(slot)
        {
            return match entry.state {
                State::Storing => Adopt::Storing,
                State::Stored(Stage::Resident, ()) => Adopt::Present { bytes: entry.bytes },
                State::Stored(Stage::Condemned | Stage::Deleting | Stage::Doomed(_), ()) => Adopt::Deleting,
            };
        }
        if entries.removals != epoch.0 {
            return Adopt::Stale;
        }
        if self.take_bytes(bytes, u64::MAX).is_err() {
            return Adopt::Overflow;
        }
        let mut entry = Entry::resident(key, bytes, self.cold_stamp(), ());
        entry.state = State::Stored(Stage::Doomed(Why::Unwanted), ());
        let Some(slot) = entries.insert(key, hash, entry) else {
            self.give_bytes_back(bytes);
            return Adopt::Overflow;
        };
        if let Some(entry) = entries.slab.at(slot) {
            self.note_stranded(&mut entries.stranded, slot, entry);
        }
        Adopt::Adopted
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::answer::Reserve;
    use crate::leases::Leases;
    use l2_core::KeyScope;

    #[test]
    fn what_cannot_be_pinned_is_not_adopted() {
        let index = Index::new(10);
        let key = KeyScope::new("org/m", 0, 0, "").unwrap().key(&[1]).unwrap();
        let adopt = |owner| index.adopt(&key, 4, Stamp(1), owner, index.epoch(&key));
        index.shards.of(key.hash64()).1.leases = Leases::new(0);
        assert_eq!(adopt(Some(7)), Adopt::Overflow);
        assert_eq!((index.get(&key), index.used_bytes(), index.objects()), (None, 0, 0));
        assert_eq!((adopt(None), adopt(Some(7))), (Adopt::Adopted, Adopt::Overflow));
        assert_eq!((index.get(&key).map(|entry| entry.pins), index.used_bytes()), (Some(0), 4));
        index.shards.of(key.hash64()).1.leases = Leases::new(1);
        assert_eq!((adopt(Some(7)), adopt(Some(7))), (Adopt::Present { bytes: 4 }, Adopt::Overflow));
    }

    #[test]
    fn what_is_not_wanted_is_invisible_counts_and_goes_first() {
        let index = Arc::new(Index::new(10));
        let key = |number| KeyScope::new("org/m", 0, 0, "").unwrap().key(&[number]).unwrap();
        let before = index.epoch(&key(1));
        assert_eq!(index.adopt_unwanted(&key(1), 4, before), Adopt::Adopted);
        assert_eq!((index.used_bytes(), index.objects(), index.stranded()), (4, 0, 1));
        assert_eq!(index.adopt_unwanted(&key(1), 4, index.epoch(&key(1))), Adopt::Deleting);
        let stamp = index.stamps(1).next().unwrap();
        assert!(matches!(index.reserve(&key(1), 4, stamp), Reserve::Deleting));
        let freed = index.evict_again(9, |deletion| {
            deletion.finish();
            Ok(4)
        });
        assert_eq!((freed.len(), index.used_bytes(), index.stranded()), (1, 0, 0));
        assert_eq!(index.adopt_unwanted(&key(1), 4, before), Adopt::Stale);
        let Reserve::Reserved(reservation) = index.reserve(&key(2), 4, stamp) else { panic!("it fits") };
        assert_eq!(index.adopt_unwanted(&key(2), 4, index.epoch(&key(2))), Adopt::Storing);
        reservation.commit();
        let there = index.adopt_unwanted(&key(2), 5, index.epoch(&key(2)));
        assert_eq!((there, index.objects()), (Adopt::Present { bytes: 4 }, 1));
    }
}
