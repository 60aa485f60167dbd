//! The calls with answers: the index must give the model's.

use std::collections::BTreeSet;

use l2_core::{Evicted, L2Error, ScanCursor, TaskId};
use l2_index::{Adopt, BeginDelete, Pin, Read, Reserve};

use crate::model::{Answer, CAPACITY, Life, Scanned};
use crate::steps::When;
use crate::world::{World, take};

impl World {
    pub(crate) fn reserve(&mut self, key: usize, bytes: u64, when: When) {
        let used = self.stamp(when);
        let answer = match self.index.reserve(&self.keys[key], bytes, used) {
            Reserve::Storing => Answer::Storing,
            Reserve::Deleting => Answer::Deleting,
            Reserve::Present { bytes } => Answer::Present { bytes },
            Reserve::Full { needed, used, capacity } => Answer::Full { needed, used, capacity },
            Reserve::Reserved(reservation) => {
                assert!(self.index.used_bytes() <= CAPACITY, "past the capacity");
                assert_eq!(reservation.key(), &self.keys[key]);
                let bytes = reservation.bytes();
                self.reservations.push((key, reservation));
                Answer::Ticket { bytes }
            }
        };
        assert_eq!(answer, self.model.reserve(key, bytes, used));
    }

    pub(crate) fn pin(&mut self, keys: &[usize], owner: TaskId) {
        let answers = self.index.pin_batch(&self.batch(keys), owner);
        assert_eq!(answers.len(), keys.len());
        let before = self.latest;
        let (mut hits, mut last) = (BTreeSet::new(), None);
        for (key, answer) in keys.iter().zip(answers) {
            let used = self.index.get(&self.keys[*key]).map(|entry| entry.used);
            assert_eq!(answer, self.model.pin(*key, owner, used));
            if let Some(used) = used
                && matches!(answer, Pin::Hit { .. })
                && hits.insert(*key)
            {
                assert!(used > before, "later than all before");
                assert!(last.is_none_or(|last| used < last), "of a batch the last is the earliest");
                last = Some(used);
                self.latest = self.latest.max(used);
            }
        }
        // What is used from now on is used later.
        self.take_stamps(1);
    }

    pub(crate) fn unpin(&mut self, keys: &[usize], owner: Option<TaskId>) {
        let taken = self.index.unpin_batch(&self.batch(keys), owner);
        let expected = keys.iter().filter(|key| self.model.unpin(**key, owner)).count();
        assert_eq!(taken, expected);
    }

    pub(crate) fn read(&mut self, key: usize, when: When) {
        let used = self.stamp(when);
        let answer = match self.index.read(&self.keys[key], used) {
            Read::Absent => Answer::Absent,
            Read::Storing => Answer::Storing,
            Read::Deleting => Answer::Deleting,
            Read::Overflow => panic!("so many readers are nowhere"),
            Read::Started(reader) => {
                assert_eq!(reader.key(), &self.keys[key]);
                let bytes = reader.bytes();
                self.readers.push((key, reader));
                Answer::Ticket { bytes }
            }
        };
        assert_eq!(answer, self.model.read(key, used));
    }

    pub(crate) fn adopt(&mut self, nth: usize, bytes: u64, when: When, owner: Option<TaskId>) {
        let Some((key, epoch, gone)) = take(&mut self.looks, nth) else { return };
        let used = self.stamp(when);
        let answer = self.index.adopt(&self.keys[key], bytes, used, owner, epoch);
        let is_stale = answer == Adopt::Stale;
        assert_eq!(answer, self.model.adopt((key, gone), bytes, used, owner, is_stale));
    }

    pub(crate) fn begin_delete(&mut self, key: usize) {
        let answer = match self.index.begin_delete(&self.keys[key]) {
            BeginDelete::Absent => Answer::Absent,
            BeginDelete::InUse => Answer::InUse,
            BeginDelete::Storing => Answer::Storing,
            BeginDelete::Deleting => Answer::Deleting,
            BeginDelete::Started(deletion) => {
                assert_eq!(deletion.key(), &self.keys[key]);
                let bytes = deletion.bytes();
                self.deletions.push((key, deletion));
                Answer::Ticket { bytes }
            }
        };
        assert_eq!(answer, self.model.begin_delete(key));
    }

    /// What could go, each with what the model has there.
    pub(crate) fn scan(&mut self) -> Vec<Scanned> {
        self.model.expire_all();
        let mut scanned = Vec::new();
        let mut next = Some(ScanCursor::default());
        while let Some(from) = next {
            next = self.index.scan(from, &mut |shown, candidate| {
                let key = shown.key().unwrap();
                let key = self.keys.iter().position(|other| *other == key).expect("one of the keys");
                let entry = self.model.entries.get(&key).expect("it has an entry");
                scanned.push(Scanned { key, serial: entry.serial, candidate: *candidate });
            });
        }
        self.shown = scanned.iter().map(|scanned| (scanned.serial, scanned.candidate.used)).collect();
        scanned
    }

    pub(crate) fn condemn(&mut self, nth: usize) {
        let Some(scanned) = self.nth_candidate(nth) else { return };
        assert_eq!(self.index.condemn(&scanned.candidate), self.model.condemn(&scanned));
        if !self.model.is_there(&scanned) {
            // Another may have its place, of which the model knows nothing: pins of that one may have been ended.
            for (key, name) in self.keys.iter().enumerate() {
                self.model.notice_expired(key, self.index.get(name).map_or(0, |entry| entry.pins));
            }
        }
    }

    pub(crate) fn pardon(&mut self, nth: usize) {
        let Some(scanned) = self.nth_candidate(nth) else { return };
        assert_eq!(self.index.pardon(&scanned.candidate), self.model.pardon(&scanned));
    }

    pub(crate) fn begin_evict(&mut self, nth: usize) {
        let Some(scanned) = self.nth_candidate(nth) else { return };
        let answer = match self.index.begin_evict(&scanned.candidate) {
            None => Answer::Absent,
            Some(deletion) => {
                assert_eq!(deletion.key(), &self.keys[scanned.key]);
                let bytes = deletion.bytes();
                self.deletions.push((scanned.key, deletion));
                Answer::Ticket { bytes }
            }
        };
        assert_eq!(answer, self.model.begin_evict(&scanned));
    }

    pub(crate) fn evict_again(&mut self, most: usize, fails: bool) {
        let stranded = usize::try_from(self.model.stranded()).unwrap();
        let mut tried = Vec::new();
        let answers = self.index.evict_again(most, |deletion| {
            let key = self.keys.iter().position(|key| key == deletion.key()).expect("one of the keys");
            tried.push((key, deletion.bytes()));
            if fails {
                drop(deletion);
                return Err(L2Error::not_found());
            }
            let bytes = deletion.bytes();
            deletion.finish();
            Ok(bytes)
        });
        assert_eq!((tried.len(), answers.len()), (most.min(stranded), most.min(stranded)));
        assert_eq!(BTreeSet::from_iter(&tried).len(), tried.len(), "each once");
        for ((key, bytes), answer) in tried.into_iter().zip(answers) {
            match answer {
                Evicted::Freed { bytes: freed } => assert!(!fails && freed == bytes),
                other => assert!(fails && matches!(other, Evicted::Failed(_))),
            }
            assert!(self.model.is_stranded(key));
            if fails {
                self.model.becomes(key, Life::Doomed);
            } else {
                self.model.remove(key);
            }
        }
    }

    /// It stays, to be tried again.
    fn nth_candidate(&self, nth: usize) -> Option<Scanned> {
        (!self.candidates.is_empty()).then(|| self.candidates[nth % self.candidates.len()])
    }
}
