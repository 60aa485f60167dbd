//! The index, the model, and the tickets that are alive: each step is done to both.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use l2_core::{Clock, KeyScope, ManualClock, ObjectKey, Stamp};
use l2_index::{Deletion, Epoch, Index, PinTerms, Reader, Reservation};

use crate::model::{CAPACITY, Life, Model, Scanned};
use crate::steps::{KEYS, Step, When};

pub(crate) struct World {
    pub(crate) index: Arc<Index>,
    clock: ManualClock,
    pub(crate) keys: Vec<ObjectKey>,
    pub(crate) model: Model,
    /// Tickets, each with its key's number.
    pub(crate) reservations: Vec<(usize, Reservation)>,
    pub(crate) readers: Vec<(usize, Reader)>,
    pub(crate) deletions: Vec<(usize, Deletion)>,
    /// Each with its key's number, and how many keys had gone away by then.
    pub(crate) looks: Vec<(usize, Epoch, usize)>,
    /// Given out and not used yet.
    stamps: Vec<Stamp>,
    /// The latest given out: of uses, and of objects that were found.
    pub(crate) latest: Stamp,
    latest_cold: Stamp,
    pub(crate) candidates: Vec<Scanned>,
    /// What the last scan has shown: which entries, and when they were used last.
    pub(crate) shown: BTreeSet<(u64, Stamp)>,
    /// At the last look: the releases, and the entries that could go.
    pub(crate) released: (u64, BTreeSet<u64>),
}

/// Takes the `nth` of what there is, if there is any.
pub(crate) fn take<T>(list: &mut Vec<T>, nth: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(nth % list.len()))
}

/// Keys of two models and three salts. All but the last two are in one shard, so that they use each other's places.
fn keys() -> Vec<ObjectKey> {
    let shard = |key: &ObjectKey| key.hash64() >> 57;
    let mut keys: Vec<ObjectKey> = Vec::new();
    for at in 0..KEYS {
        let model = if at % 2 == 0 { "org/m" } else { "n" };
        let scope = KeyScope::new(model, 0, 0, ["", "a", "b"][at % 3]).unwrap();
        let fits = |key: &ObjectKey| {
            keys.first().is_none_or(|first| (shard(key) == shard(first)) == (at + 2 < KEYS))
        };
        let mut all = (0u64..).map(|number| scope.key(&number.to_le_bytes()).unwrap());
        keys.push(all.find(fits).expect("shards are few"));
    }
    keys
}

impl World {
    pub(crate) fn new(time_to_live: Option<Duration>) -> Self {
        let (clock, hand) = Clock::manual();
        Self {
            index: Arc::new(Index::with_pins(CAPACITY, PinTerms { time_to_live, clock })),
            clock: hand,
            keys: keys(),
            model: Model::new(time_to_live),
            reservations: Vec::new(),
            readers: Vec::new(),
            deletions: Vec::new(),
            looks: Vec::new(),
            stamps: Vec::new(),
            latest: Stamp(0),
            latest_cold: Stamp(0),
            candidates: Vec::new(),
            shown: BTreeSet::new(),
            released: (0, BTreeSet::new()),
        }
    }

    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::Stamps { batch } => {
                let stamps = self.take_stamps(batch);
                self.stamps.extend(stamps);
            }
            Step::Reserve { key, bytes, when } => self.reserve(key, bytes, when),
            Step::ReserveAgain { key, when } => {
                if let Some(entry) = self.model.entries.get(&key) {
                    self.reserve(key, entry.bytes, when);
                }
            }
            Step::Commit { nth } => {
                if let Some((key, reservation)) = take(&mut self.reservations, nth) {
                    reservation.commit();
                    self.model.becomes(key, Life::Resident);
                }
            }
            Step::DropReservation { nth } => {
                if let Some((key, reservation)) = take(&mut self.reservations, nth) {
                    drop(reservation);
                    self.model.remove(key);
                }
            }
            Step::Pin { keys, owner } => self.pin(&keys, owner),
            Step::Unpin { keys, owner } => self.unpin(&keys, owner),
            Step::Pass { time } => {
                self.clock.advance(time);
                self.model.pass(time);
            }
            Step::ExpirePins => {
                self.index.expire_pins();
                self.model.expire_all();
            }
            Step::Read { key, when } => self.read(key, when),
            Step::DropReader { nth } => {
                if let Some((key, reader)) = take(&mut self.readers, nth) {
                    drop(reader);
                    self.model.end_read(key);
                }
            }
            Step::Heal { nth } => {
                if let Some((key, reader)) = take(&mut self.readers, nth) {
                    let deletion = reader.heal();
                    assert_eq!(deletion.is_some(), self.model.heal(key), "the last reader deletes");
                    self.deletions.extend(deletion.map(|deletion| (key, deletion)));
                }
            }
            Step::Look { key } => {
                self.looks.push((key, self.index.epoch(&self.keys[key]), self.model.removed.len()));
            }
            Step::Adopt { nth, bytes, when, owner } => self.adopt(nth, bytes, when, owner),
            Step::BeginDelete { key } => self.begin_delete(key),
            Step::Finish { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    deletion.finish();
                    self.model.remove(key);
                }
            }
            Step::Fail { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    deletion.fail();
                    self.model.becomes(key, Life::Doomed);
                }
            }
            Step::DropDeletion { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    drop(deletion);
                    self.model.becomes(key, Life::Doomed);
                }
            }
            Step::SetAside { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    deletion.set_aside();
                    self.model.becomes(key, Life::Unwanted);
                }
            }
            Step::Reconsider { key } => {
                let deletion = self.index.reconsider(&self.keys[key]);
                assert_eq!(deletion.as_ref().map(Deletion::bytes), self.model.reconsider(key));
                self.deletions.extend(deletion.map(|deletion| (key, deletion)));
            }
            Step::AwaitDeletion { key } => {
                let is_deleting =
                    self.model.entries.get(&key).is_some_and(|entry| entry.life == Life::Deleting);
                assert_eq!(self.index.await_deletion(&self.keys[key], Duration::ZERO), !is_deleting);
            }
            Step::Scan => self.candidates = self.scan(),
            Step::Condemn { nth } => self.condemn(nth),
            Step::Pardon { nth } => self.pardon(nth),
            Step::BeginEvict { nth } => self.begin_evict(nth),
            Step::EvictAgain { most, fails } => self.evict_again(most, fails),
            Step::MarkReused { keys } => {
                self.index.mark_reused(&self.batch(&keys));
                keys.iter().for_each(|key| self.model.mark_reused(*key));
            }
        }
    }

    pub(crate) fn batch(&self, keys: &[usize]) -> Vec<ObjectKey> {
        keys.iter().map(|key| self.keys[*key].clone()).collect()
    }

    /// Stamps for the uses of a batch: the last is the earliest, and later than all before.
    pub(crate) fn take_stamps(&mut self, batch: usize) -> Vec<Stamp> {
        let stamps = Vec::from_iter(self.index.stamps(batch));
        assert_eq!(stamps.len(), batch);
        for stamp in stamps.iter().rev() {
            assert!(*stamp > self.latest, "{stamp:?} is not after {:?}", self.latest);
            self.latest = *stamp;
        }
        stamps
    }

    pub(crate) fn stamp(&mut self, when: When) -> Stamp {
        let earlier = match when {
            When::Now => None,
            When::Cold => {
                let cold = self.index.cold_stamp();
                assert!(cold > self.latest_cold, "in the order of the calls");
                assert!(self.latest == Stamp(0) || cold < self.latest, "before every use");
                self.latest_cold = cold;
                Some(cold)
            }
            When::Earlier { nth } => take(&mut self.stamps, nth),
        };
        earlier.unwrap_or_else(|| self.take_stamps(1)[0])
    }
}
