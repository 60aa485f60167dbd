//! The shards: parts of the index, each under a lock of its own.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use l2_core::{EntryId, ObjectKey};

use crate::ahead::Ahead;
use crate::entry::Entry;
use crate::frees::Frees;
use crate::leases::Leases;
use crate::order::{Order, Seen};
use crate::slab::Slab;
use crate::stranded::Stranded;
use crate::tenants::Tenants;
use crate::windows::{Hashed, Places, WINDOW, Window};

/// A power of two.
pub(crate) const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 4;

/// Most pins in a shard.
const MOST_LEASES: usize = u32::MAX as usize;

/// All entries, spread over locks by their keys.
pub(crate) struct Shards<V> {
    shards: Box<[Shard<V>]>,
    ahead: Ahead,
    order: Order,
}

/// On a cache line of its own (two, for processors that fetch them in pairs), so that threads on different shards do
/// not slow each other down.
#[repr(align(128))]
struct Shard<V> {
    entries: Mutex<Entries<V>>,
    /// An entry went away, or its deletion was given up.
    gone: Condvar,
}

/// The entries of one shard.
pub(crate) struct Entries<V> {
    pub(crate) slab: Slab<V>,
    pub(crate) leases: Leases,
    pub(crate) frees: Frees,
    pub(crate) tenants: Tenants,
    pub(crate) stranded: Stranded,
    /// How many are Resident.
    pub(crate) objects: u64,
    /// How many have leases.
    pub(crate) pinned: u64,
    /// Leases that ended by themselves, so far.
    pub(crate) expired: u64,
    /// Raised whenever an entry goes away.
    pub(crate) removals: u64,
    /// Threads that wait for an entry to go away.
    waiting: usize,
}

impl<V> Shards<V> {
    pub(crate) fn new() -> Self {
        let shard = |_| Shard { entries: Mutex::new(Entries::new()), gone: Condvar::new() };
        Self { shards: (0..SHARDS).map(shard).collect(), ahead: Ahead::new(), order: Order::default() }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder by SHARDS is below it")]
    fn shard(&self, shard: usize) -> &Shard<V> {
        &self.shards[shard % SHARDS]
    }

    /// The shard for keys of this hash, locked, and its number.
    pub(crate) fn of(&self, hash: u64) -> (usize, MutexGuard<'_, Entries<V>>) {
        let shard = shard_of(hash);
        (shard, self.shard(shard).lock())
    }

    /// The shard in which an entry lies, locked, and the place in it.
    pub(crate) fn holding(&self, id: EntryId) -> (MutexGuard<'_, Entries<V>>, u32) {
        let (shard, slot) = place_of(id);
        (self.shard(shard).lock(), slot)
    }

    /// All shards, each locked when it is its turn.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Entries<V>>> {
        self.shards.iter().map(Shard::lock)
    }

    /// Ends every lease of a shard whose time is over. However many these are, others come in between.
    pub(crate) fn expire(&self, shard: usize, now: Duration) {
        while self.nth(shard).is_some_and(|mut entries| entries.expire_some(now)) {}
    }

    /// The shard with this number, locked; `None` after the last.
    pub(crate) fn nth(&self, shard: usize) -> Option<MutexGuard<'_, Entries<V>>> {
        self.shards.get(shard).map(Shard::lock)
    }

    /// Visits the keys of a batch, each with its shard locked: those of one shard in their order, for a key may be there
    /// twice. What that reads is under way before: for one key after the other it would be the greater part of the time, once
    /// the index no longer fits into the processor's caches.
    pub(crate) fn visit(&self, keys: &[ObjectKey], mut visit: impl FnMut(usize, &mut Entries<V>, Hashed)) {
        if let [key] = keys {
            let hash = key.hash64();
            let (shard, mut entries) = self.of(hash);
            return visit(shard, &mut entries, Hashed { at: 0, hash, likely: None });
        }
        for (number, keys) in keys.chunks(WINDOW).enumerate() {
            let (step, mut seen) = (self.order.step(), Seen::default());
            let read_ahead = |hash, is_first| {
                if is_first || step.is_none() {
                    self.ahead.read(hash);
                }
            };
            let mut window = Window::of(keys, number * WINDOW, read_ahead);
            let mut places = Places::none();
            for (shard, group) in window.groups() {
                let entries = self.shard(shard).lock();
                self.ahead.note(shard, entries.slab.lines());
                let mut before: Option<u32> = None;
                for (number, key) in group.iter_mut().enumerate() {
                    let guess = step.zip(before).and_then(|(step, before)| step.from(before));
                    key.likely = guess.or_else(|| entries.slab.likely(key.hash));
                    if step.is_none() && number > 0 {
                        seen.add(before, key.likely);
                    }
                    places.add(key.likely.and_then(|slot| entries.slab.place(slot)));
                    before = key.likely;
                }
            }
            places.read_ahead();
            for (shard, group) in window.groups() {
                let mut entries = self.shard(shard).lock();
                // Of those that were guessed one says enough for all of its group.
                if let (true, [one, next, ..]) = (step.is_some(), &*group)
                    && let Some(key) = keys.get(next.at - number * WINDOW)
                {
                    seen.add(one.likely, entries.slab.find_near(next.likely, key, next.hash));
                }
                group.iter().for_each(|key| visit(shard, &mut entries, *key));
            }
            self.order.learn(&seen);
        }
    }

    /// Tells those who wait in [`Shards::wait_until`] to look again. Call it with the lock given back.
    pub(crate) fn announce(&self, id: EntryId) {
        self.shard(place_of(id).0).gone.notify_all();
    }

    /// Waits until `is_so` of the shard for this hash, at most for `limit`. Whether it is.
    pub(crate) fn wait_until(&self, hash: u64, limit: Duration, is_so: impl Fn(&Entries<V>) -> bool) -> bool {
        let start = Instant::now();
        let shard = self.shard(shard_of(hash));
        let mut entries = shard.lock();
        while !is_so(&entries) {
            let Some(left) = limit.checked_sub(start.elapsed()) else { return false };
            entries.waiting += 1;
            entries = shard.gone.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
            entries.waiting -= 1;
        }
        true
    }
}

impl<V> Shard<V> {
    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        // No step under the lock can panic between two changes that belong together.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entries<V> {
    fn new() -> Self {
        Self {
            slab: Slab::new(),
            leases: Leases::new(MOST_LEASES),
            frees: Frees::new(),
            tenants: Tenants::default(),
            stranded: Stranded::default(),
            objects: 0,
            pinned: 0,
            expired: 0,
            removals: 0,
            waiting: 0,
        }
    }

    /// Where the entry of a key of a batch lies.
    pub(crate) fn find(&self, key: &ObjectKey, hashed: Hashed) -> Option<u32> {
        self.slab.find_near(hashed.likely, key, hashed.hash)
    }

    /// Whether somebody waits for an entry to go away.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting > 0
    }

    /// Adds an entry under a key that has none. `None` when there are too many.
    pub(crate) fn insert(&mut self, key: &ObjectKey, hash: u64, entry: Entry<V>) -> Option<u32> {
        let bytes = entry.bytes;
        let slot = self.slab.insert(key, hash, entry)?;
        self.tenants.add(key.scope(), bytes);
        Some(slot)
    }

    /// Takes an entry out, which nobody has pinned.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Entry<V>> {
        let entry = self.slab.remove(slot)?;
        self.tenants.subtract(entry.scope(), entry.bytes);
        self.removals += 1;
        Some(entry)
    }

    /// Ends the leases of an entry whose time is over. Whether there were any.
    pub(crate) fn expire(&mut self, slot: u32, now: Duration) -> bool {
        // Almost always none of the shard has ended, and the first of its queue is at hand.
        if self.leases.first_ended(now).is_none() {
            return false;
        }
        let Some(entry) = self.slab.at_mut(slot) else { return false };
        let ended = self.leases.take_ended(&mut entry.leases, now);
        self.expired += ended;
        if ended > 0 && entry.leases.is_none() {
            self.pinned -= 1;
            self.frees.note(slot, entry);
        }
        ended > 0
    }

    /// Ends some of the leases whose time is over. Whether there may be more.
    fn expire_some(&mut self, now: Duration) -> bool {
        /// Most objects for which the lock is held on and on.
        const SOME: usize = 256;
        (0..SOME).all(|_| self.leases.first_ended(now).is_some_and(|slot| self.expire(slot, now)))
    }
}

/// Not the bits by which a slab finds its entries: all keys of a shard have these in common.
pub(crate) fn shard_of(hash: u64) -> usize {
    usize::try_from(hash >> (64 - SHARD_BITS)).unwrap_or_default()
}

/// The name of a place in a shard.
pub(crate) fn id_of(shard: usize, slot: u32) -> EntryId {
    EntryId((shard as u64) << u32::BITS | u64::from(slot))
}

fn place_of(id: EntryId) -> (usize, u32) {
    let slot = u32::try_from(id.0 & u64::from(u32::MAX)).unwrap_or_default();
    (usize::try_from(id.0 >> u32::BITS).unwrap_or_default(), slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Step;
    use l2_core::{KeyScope, Stamp};

    fn keys(count: u32) -> Vec<ObjectKey> {
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        (0..count).map(|number| scope.key(&number.to_le_bytes()).unwrap()).collect()
    }

    #[test]
    fn keys_spread_over_all_shards() {
        let shards = Shards::<()>::new();
        for key in keys(20_000) {
            let hash = key.hash64();
            let (shard, mut entries) = shards.of(hash);
            let slot = entries.insert(&key, hash, Entry::storing(&key, 1, Stamp(1))).unwrap();
            drop(entries);
            let (entries, place) = shards.holding(id_of(shard, slot));
            assert_eq!((place, entries.slab.find(&key, hash)), (slot, Some(slot)));
        }
        assert_eq!(shards.each().count(), SHARDS);
        let even = 20_000 / SHARDS;
        for entries in shards.each() {
            let length = entries.slab.len();
            assert!((even / 2..even * 2).contains(&length), "{length} keys in a shard");
        }
    }

    #[test]
    fn each_key_of_a_batch_is_visited_once_and_those_of_a_shard_in_order() {
        let shards = Shards::<()>::new();
        for length in [0, 1, 2, 63, 64, 65, 200] {
            let keys = keys(length);
            let mut visited = Vec::new();
            shards.visit(&keys, |shard, _, Hashed { at, hash, .. }| {
                assert_eq!((hash, shard), (keys[at].hash64(), shard_of(hash)));
                visited.push((shard, at));
            });
            for shard in 0..SHARDS {
                let of_shard = visited.iter().filter(|(of, _)| *of == shard);
                assert!(of_shard.map(|(_, at)| *at).is_sorted());
            }
            let mut visited = Vec::from_iter(visited.into_iter().map(|(_, at)| at));
            visited.sort_unstable();
            assert_eq!(visited, Vec::from_iter(0..keys.len()));
        }
    }

    #[test]
    fn the_order_of_storing_is_learned_and_unlearned_and_a_wrong_guess_finds_the_key_all_the_same() {
        let shards = Shards::<()>::new();
        let keys = keys(4096);
        for key in &keys {
            let hash = key.hash64();
            let (_, mut entries) = shards.of(hash);
            entries.insert(key, hash, Entry::storing(key, 1, Stamp(1))).unwrap();
        }
        let step_after = |keys: &[ObjectKey]| {
            let mut found = 0;
            shards.visit(keys, |_, entries, hashed| {
                let (key, slot) = (&keys[hashed.at], entries.find(&keys[hashed.at], hashed));
                assert_eq!(slot, entries.slab.find(key, hashed.hash));
                found += usize::from(slot.is_some());
            });
            shards.order.step().map(|step| (step, found))
        };
        let backwards: Vec<ObjectKey> = keys.iter().rev().cloned().collect();
        let scattered: Vec<ObjectKey> =
            (0..keys.len()).map(|at| keys[at * 1021 % keys.len()].clone()).collect();
        let all = keys.len();
        for _ in 0..2 {
            // The first two batches teach the next ones, which guess.
            assert_eq!([step_after(&keys), step_after(&keys)], [Some((Step::Up, all)); 2]);
            assert_eq!([step_after(&scattered), step_after(&scattered)], [None; 2]);
            assert_eq!([step_after(&backwards), step_after(&backwards)], [Some((Step::Down, all)); 2]);
            assert_eq!(step_after(&[]), Some((Step::Down, 0)));
        }
        // Keys that come twice, and places that are empty or have another's entry by now.
        let twice: Vec<ObjectKey> = keys.iter().flat_map(|key| [key.clone(), key.clone()]).collect();
        assert_eq!(step_after(&twice), None);
        assert_eq!(step_after(&keys), Some((Step::Up, all)));
        let gone = &keys[..all / 2];
        for key in gone {
            let (_, mut entries) = shards.of(key.hash64());
            let slot = entries.slab.find(key, key.hash64()).unwrap();
            entries.remove(slot).unwrap();
        }
        assert_eq!(step_after(gone), None);
        assert_eq!(step_after(&keys[all / 2..]), Some((Step::Up, all - all / 2)));
        for key in gone {
            let hash = key.hash64();
            let (_, mut entries) = shards.of(hash);
            entries.insert(key, hash, Entry::storing(key, 1, Stamp(1))).unwrap();
        }
        // The places that were left last are taken first.
        assert_eq!([step_after(gone), step_after(gone)], [Some((Step::Down, all / 2)); 2]);
    }

    #[test]
    fn names_of_places_are_read_back() {
        for (shard, slot) in [(0, 0), (1, 7), (SHARDS - 1, u32::MAX)] {
            assert_eq!(place_of(id_of(shard, slot)), (shard, slot));
        }
    }
}
