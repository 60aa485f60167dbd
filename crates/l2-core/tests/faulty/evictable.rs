//! What eviction sees of the adapter with a fault.

use std::slice::from_ref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use l2_core::testing::MemoryAdapter;
use l2_core::{
    Candidate, Evictable, Evicted, L2Adapter, ObjectKey, Releases, RoomMaker, SaltUsage, ScanCursor, Shown,
    Stamp, Usage,
};

use super::Fault::{self, *};

/// The inner adapter's, and around it what goes wrong.
#[derive(Debug)]
pub(super) struct FaultyEvictable {
    fault: Fault,
    inner: Arc<dyn Evictable>,
    adapter: Weak<MemoryAdapter>,
    /// Keys that a fault remembers: what was condemned, or what was used and should not count as that.
    remembered: Mutex<Vec<ObjectKey>>,
    /// What scans have shown, each as it was at first.
    seen: Mutex<Vec<(ObjectKey, Candidate)>>,
    /// Bytes that count though they are free.
    leaked: AtomicU64,
    /// Bytes that do not count though they are not.
    hidden: AtomicU64,
    maker: Mutex<Option<Arc<dyn RoomMaker>>>,
}

impl FaultyEvictable {
    pub(super) fn new(fault: Fault, inner: &Arc<MemoryAdapter>) -> Self {
        Self {
            fault,
            adapter: Arc::downgrade(inner),
            inner: inner.evictable(),
            remembered: Mutex::default(),
            seen: Mutex::default(),
            leaked: AtomicU64::new(0),
            hidden: AtomicU64::new(0),
            maker: Mutex::default(),
        }
    }

    pub(super) fn remember(&self, key: &ObjectKey) {
        self.remembered.lock().unwrap().push(key.clone());
    }

    pub(super) fn remembers(&self, key: &ObjectKey) -> bool {
        self.remembered.lock().unwrap().contains(key)
    }

    /// What the fault makes of the bytes in use.
    pub(super) fn spoil_bytes(&self, used: u64) -> u64 {
        used + self.leaked.load(Ordering::SeqCst) - self.hidden.load(Ordering::SeqCst)
    }

    /// Asks for room that nobody needs.
    pub(super) fn ask_for_room(&self, key: &ObjectKey) {
        let maker = self.maker.lock().unwrap().clone();
        maker.map(|maker| maker.make_room(key.scope(), 1));
    }

    /// The key of a candidate that was seen.
    fn key_of(&self, candidate: &Candidate) -> Option<ObjectKey> {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|(key, _)| key.hash64() == candidate.key_hash).map(|(key, _)| key.clone())
    }

    /// What could go now.
    fn scanned(&self) -> Vec<(ObjectKey, Candidate)> {
        let mut all = Vec::new();
        let end = self
            .inner
            .scan(ScanCursor::default(), &mut |shown, found| all.push((shown.key().unwrap(), *found)));
        assert_eq!(end, None, "the adapter in memory shows all at once");
        all
    }

    /// The object of a candidate as it is now, whatever its stamp was then.
    fn as_it_is_now(&self, candidate: &Candidate) -> Option<Candidate> {
        let now = |(_, now): &(ObjectKey, Candidate)| now.key_hash == candidate.key_hash;
        self.scanned().into_iter().find(now).map(|(_, now)| now)
    }

    /// Condemns objects whether or not they were used since.
    fn condemn_by_key(&self, victims: &[Candidate]) -> Vec<Candidate> {
        let now: Vec<Candidate> = victims.iter().filter_map(|victim| self.as_it_is_now(victim)).collect();
        self.inner.condemn(&now)
    }

    /// Condemns and evicts at once.
    fn take(&self, victim: &Candidate) -> Evicted {
        let condemned = self.inner.condemn(from_ref(victim));
        self.inner.evict(&condemned).pop().unwrap_or(Evicted::Spared)
    }

    /// What the fault makes of an eviction.
    fn spoil_eviction(&self, candidate: &Candidate, answer: Evicted) -> Evicted {
        match (self.fault, &answer) {
            (EvictsWhatIsNotCondemned, Evicted::Spared) => self.take(candidate),
            (EvictsByPlaceAlone, Evicted::Spared) => {
                // Places are not told apart here: whatever there is has taken the candidate's.
                self.scanned().first().map_or(answer, |(_, other)| self.take(other))
            }
            (EvictsWhatIsWantedAgain, Evicted::Spared) => {
                let (key, adapter) = (self.key_of(candidate).unwrap(), self.adapter.upgrade().unwrap());
                Evicted::Freed { bytes: adapter.delete(from_ref(&key)).freed_bytes() }
            }
            (EvictsAfterClose, Evicted::Failed(_)) => Evicted::Freed { bytes: candidate.bytes },
            (LeaksEvictedBytes, Evicted::Freed { bytes }) => {
                self.leaked.fetch_add(*bytes, Ordering::SeqCst);
                answer
            }
            (CountsCondemnedBytesAsFree, Evicted::Freed { bytes }) => {
                self.hidden.fetch_sub(*bytes, Ordering::SeqCst);
                answer
            }
            _ => answer,
        }
    }
}

impl Evictable for FaultyEvictable {
    fn usage(&self) -> Usage {
        let usage = self.inner.usage();
        Usage { used_bytes: self.spoil_bytes(usage.used_bytes), ..usage }
    }

    fn objects(&self) -> u64 {
        self.inner.objects()
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        self.inner.usage_by_salt()
    }

    fn releases(&self) -> Releases {
        let Releases { count, oldest } = self.inner.releases();
        match self.fault {
            CountsNoReleases => Releases { count: 0, oldest },
            ForgetsReleasesOfOldObjects => Releases { count, oldest: Stamp(u64::MAX) },
            _ => Releases { count, oldest },
        }
    }

    fn scan(&self, _: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        let mut found = self.scanned();
        let mut seen = self.seen.lock().unwrap();
        let before = seen.clone();
        let of = |list: &[(ObjectKey, Candidate)], key: &ObjectKey| {
            list.iter().find(|(other, _)| other == key).map(|(_, candidate)| *candidate)
        };
        seen.extend(found.iter().filter(|(key, _)| of(&before, key).is_none()).cloned());
        match self.fault {
            ShowsWhatIsPinned => {
                let pinned: Vec<_> =
                    before.into_iter().filter(|(key, _)| of(&found, key).is_none()).collect();
                found.extend(pinned);
            }
            ShowsObjectsTwice => found.extend(found.clone()),
            HitsAreNoUse | LoadsAreNoUse => {
                for (key, candidate) in found.iter_mut().filter(|(key, _)| self.remembers(key)) {
                    *candidate = of(&before, key).unwrap_or(*candidate);
                }
            }
            NothingIsReused => found.iter_mut().for_each(|(_, candidate)| candidate.reused = false),
            _ => {}
        }
        drop(seen);
        for (key, candidate) in &found {
            visit(Shown { scope: key.scope(), chunk_hash: key.chunk_hash() }, candidate);
        }
        None
    }

    fn list(&self, from: ScanCursor) -> (Vec<(ObjectKey, u64)>, Option<ScanCursor>) {
        match self.fault {
            ListsWhatCouldGoAlone => {
                let found = self.scanned();
                (found.into_iter().map(|(key, candidate)| (key, candidate.bytes)).collect(), None)
            }
            _ => self.inner.list(from),
        }
    }

    fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate> {
        let condemned = match self.fault {
            CondemnsWhatWasUsed | HitsAreNoUse | LoadsAreNoUse => self.condemn_by_key(victims),
            CondemnsWhatIsPinned => {
                let seen = self.seen.lock().unwrap().clone();
                let adapter = self.adapter.upgrade().unwrap();
                seen.iter().for_each(|(key, _)| (0..10).for_each(|_| adapter.unlock(from_ref(key))));
                self.condemn_by_key(&seen.into_iter().map(|(_, seen)| seen).collect::<Vec<_>>())
            }
            EvictsAfterClose => {
                let condemned = self.inner.condemn(victims);
                if condemned.is_empty() { victims.to_vec() } else { condemned }
            }
            _ => self.inner.condemn(victims),
        };
        match self.fault {
            HitsWhatIsCondemned | CannotDeleteWhatIsCondemned => {
                condemned.iter().filter_map(|gone| self.key_of(gone)).for_each(|key| self.remember(&key));
            }
            CountsCondemnedBytesAsFree => {
                let bytes: u64 = condemned.iter().map(|gone| gone.bytes).sum();
                self.hidden.fetch_add(bytes, Ordering::SeqCst);
            }
            _ => {}
        }
        condemned
    }

    fn pardon(&self, condemned: &[Candidate]) {
        if self.fault != NeverPardons {
            self.inner.pardon(condemned);
        }
    }

    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        let answers = condemned.iter().zip(self.inner.evict(condemned));
        answers.map(|(candidate, answer)| self.spoil_eviction(candidate, answer)).collect()
    }

    fn mark_reused(&self, keys: &[ObjectKey]) {
        if self.fault != IgnoresMarks {
            self.inner.mark_reused(keys);
        }
    }

    fn set_room_maker(&self, maker: Arc<dyn RoomMaker>) {
        *self.maker.lock().unwrap() = Some(Arc::clone(&maker));
        if self.fault != NeverAsksForRoom {
            self.inner.set_room_maker(maker);
        }
    }

    fn unset_room_maker(&self, maker: &dyn RoomMaker) {
        *self.maker.lock().unwrap() = None;
        self.inner.unset_room_maker(maker);
    }
}
