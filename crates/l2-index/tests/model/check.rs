//! What must hold after each step, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use l2_core::{SaltUsage, Stamp};
use l2_index::{EntryView, Snapshot};

use crate::model::{CAPACITY, Entry, Life};
use crate::steps::{KEYS, Step};
use crate::world::World;

impl World {
    /// The index says what the model says. Ends no pin.
    pub(crate) fn check(&mut self) {
        let expected: Vec<Option<EntryView>> =
            (0..KEYS).map(|key| self.model.entries.get(&key).map(|entry| entry.view())).collect();
        let got: Vec<_> = self.keys.iter().map(|key| self.index.get(key)).collect();
        assert_eq!(got, expected);

        let number = |key| self.keys.iter().position(|other| *other == key).expect("one of the keys");
        let listed = Vec::from_iter(self.index.entries().map(|(key, entry)| (number(key), entry)));
        let number_listed = listed.len();
        let listed = BTreeMap::from_iter(listed);
        assert_eq!(listed.len(), number_listed, "an entry was listed twice");
        let expected = expected.into_iter().enumerate().filter_map(|(key, entry)| Some((key, entry?)));
        assert_eq!(listed, BTreeMap::from_iter(expected));
        let bytes: u128 = listed.values().map(|entry| u128::from(entry.bytes)).sum();
        assert_eq!((u128::from(self.index.used_bytes()), self.model.used_bytes()), (bytes, bytes));

        let resident = self.model.entries.iter().filter(|(_, entry)| entry.life == Life::Resident);
        let resident: BTreeMap<_, _> = resident.map(|(key, entry)| (*key, entry.bytes)).collect();
        let got: BTreeMap<_, _> = self.index.residents().map(|(key, bytes)| (number(key), bytes)).collect();
        assert_eq!(got, resident);
        assert_eq!(self.index.objects(), resident.len() as u64);
        assert_eq!(self.index.stranded(), self.model.stranded());

        self.check_salts();
    }

    fn check_salts(&self) {
        let mut expected: BTreeMap<&str, SaltUsage> = BTreeMap::new();
        for (key, entry) in &self.model.entries {
            let salt = self.keys[*key].cache_salt();
            let usage = expected.entry(salt).or_default();
            *usage = SaltUsage {
                salt: salt.to_owned(),
                bytes: usage.bytes + entry.bytes,
                objects: usage.objects + 1,
            };
        }
        let mut got = self.index.usage_by_salt();
        got.sort_by(|one, other| one.salt.cmp(&other.salt));
        assert_eq!(got, Vec::from_iter(expected.into_values()));
    }

    /// What is scanned is what could go, as it is; no two have the same place, nor the same stamp.
    pub(crate) fn check_candidates(&mut self) {
        let could_go = self.index.could_go();
        self.model.expire_all();
        let free = self.model.free().map(|(_, entry)| (1, entry.bytes));
        assert_eq!(could_go, free.fold((0, 0), |(count, sum), (one, bytes)| (count + one, sum + bytes)));
        let scanned = self.scan();
        let as_it_is = |(key, entry): (usize, &Entry)| {
            (key, entry.used, entry.bytes, entry.view().reused, self.keys[key].hash64())
        };
        let expected: BTreeSet<_> = self.model.free().map(as_it_is).collect();
        let got = scanned.iter().map(|scanned| {
            let it = scanned.candidate;
            (scanned.key, it.used, it.bytes, it.reused, it.key_hash)
        });
        assert_eq!(got.collect::<BTreeSet<_>>(), expected);
        let places: BTreeSet<u64> = scanned.iter().map(|scanned| scanned.candidate.id.0).collect();
        assert_eq!((scanned.len(), places.len()), (expected.len(), expected.len()));
        let stamps: BTreeSet<Stamp> = self.model.entries.values().map(|entry| entry.used).collect();
        assert_eq!(stamps.len(), self.model.entries.len(), "two uses share a stamp");
    }

    /// If any can go that could not at the last look, the releases have risen. For that all pins are ended whose time is
    /// over.
    pub(crate) fn check_releases(&mut self) {
        let releases = self.index.releases();
        self.model.expire_all();
        let free: BTreeSet<u64> = self.model.free().map(|(_, entry)| entry.serial).collect();
        let (before, free_before) = &self.released;
        assert!(releases.count >= *before, "they only rise");
        if !free.is_subset(free_before) {
            assert!(releases.count > *before, "some can go that could not");
        }
        for (_, entry) in
            self.model.free().filter(|(_, entry)| !self.shown.contains(&(entry.serial, entry.used)))
        {
            assert!(
                entry.used >= releases.oldest,
                "the last scan did not show it, nor is it said to be released"
            );
        }
        self.released = (releases.count, free);
    }

    /// The sums, for which too all pins are ended whose time is over.
    pub(crate) fn check_sums(&mut self) {
        let sums = self.index.snapshot();
        self.model.expire_all();
        let count =
            |keep: fn(&Entry) -> bool| self.model.entries.values().filter(|entry| keep(entry)).count() as u64;
        let expected = Snapshot {
            used_bytes: u64::try_from(self.model.used_bytes()).unwrap(),
            capacity_bytes: CAPACITY,
            objects: count(|entry| entry.life == Life::Resident),
            pinned_objects: count(Entry::is_pinned),
            expired_pins: self.model.expired,
        };
        assert_eq!(sums, expected);
    }

    /// Drops all tickets, in an order of `nth`s, gives back all pins and deletes all objects: nothing is left.
    pub(crate) fn take_down(mut self, nth: usize) {
        while !(self.reservations.is_empty() && self.readers.is_empty() && self.deletions.is_empty()) {
            self.apply(Step::DropReader { nth });
            self.apply(Step::DropDeletion { nth });
            self.apply(Step::DropReservation { nth });
            self.check();
        }
        for key in 0..KEYS {
            while self.model.entries.get(&key).is_some_and(|entry| entry.is_pinned()) {
                self.apply(Step::Unpin { keys: vec![key], owner: None });
            }
            self.apply(Step::BeginDelete { key });
            self.apply(Step::Finish { nth });
            self.check();
        }
        self.check_sums();
        self.check_candidates();
        assert!(self.model.entries.is_empty(), "something could not be deleted");
    }
}
