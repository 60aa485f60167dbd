//! What the index should be: one map, counted from scratch each time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use l2_core::{Candidate, Stamp, TaskId};
use l2_index::{Adopt, EntryState, EntryView, Pin};

pub(crate) const CAPACITY: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Storing,
    Resident,
    Condemned,
    Deleting,
    Doomed,
    /// Doomed, for what is on the storage was not to be served.
    Unwanted,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    owner: TaskId,
    /// `None`: never.
    until: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    /// Which entry it is among all there ever were.
    pub(crate) serial: u64,
    pub(crate) life: Life,
    pub(crate) bytes: u64,
    /// The oldest first.
    leases: VecDeque<Lease>,
    readers: u16,
    pub(crate) used: Stamp,
    reused: bool,
}

/// What the answers of the index come to that bring a ticket, or may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A ticket for so many bytes.
    Ticket {
        bytes: u64,
    },
    Present {
        bytes: u64,
    },
    Absent,
    Storing,
    Deleting,
    InUse,
    Full {
        needed: u64,
        used: u64,
        capacity: u64,
    },
}

/// One that was scanned: which entry it was then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanned {
    pub(crate) key: usize,
    pub(crate) serial: u64,
    pub(crate) candidate: Candidate,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) entries: BTreeMap<usize, Entry>,
    /// Keys that went away since the start, in order.
    pub(crate) removed: Vec<usize>,
    pub(crate) expired: u64,
    serials: u64,
    now: Duration,
    time_to_live: Option<Duration>,
}

impl Entry {
    pub(crate) fn view(&self) -> EntryView {
        EntryView {
            state: match self.life {
                Life::Storing => EntryState::Storing,
                Life::Resident => EntryState::Resident,
                Life::Condemned | Life::Deleting | Life::Doomed | Life::Unwanted => EntryState::Deleting,
            },
            bytes: self.bytes,
            pins: u32::try_from(self.leases.len()).unwrap(),
            readers: self.readers,
            used: self.used,
            reused: self.reused,
        }
    }

    pub(crate) fn is_pinned(&self) -> bool {
        !self.leases.is_empty()
    }

    fn is_used(&self, now: Duration) -> bool {
        self.readers > 0 || self.leases.iter().any(|lease| !lease.has_ended(now))
    }

    fn touch(&mut self, used: Stamp) {
        self.used = self.used.max(used);
        self.reused = true;
    }
}

impl Lease {
    fn has_ended(self, now: Duration) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Model {
    pub(crate) fn new(time_to_live: Option<Duration>) -> Self {
        Self {
            entries: BTreeMap::new(),
            removed: Vec::new(),
            expired: 0,
            serials: 0,
            now: Duration::ZERO,
            time_to_live,
        }
    }

    pub(crate) fn used_bytes(&self) -> u128 {
        self.entries.values().map(|entry| u128::from(entry.bytes)).sum()
    }

    /// The keys whose objects could go now.
    pub(crate) fn free(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let resident = self.entries.iter().filter(|(_, entry)| entry.life == Life::Resident);
        resident.filter(|(_, entry)| !entry.is_used(self.now)).map(|(key, entry)| (*key, entry))
    }

    fn add(&mut self, key: usize, life: Life, bytes: u64, used: Stamp) {
        self.serials += 1;
        let (serial, leases) = (self.serials, VecDeque::new());
        let entry = Entry { serial, life, bytes, leases, readers: 0, used, reused: false };
        assert!(self.entries.insert(key, entry).is_none(), "a key has one entry");
    }

    pub(crate) fn reserve(&mut self, key: usize, bytes: u64, used: Stamp) -> Answer {
        let in_use = self.used_bytes();
        match self.entries.get_mut(&key) {
            Some(entry) => match entry.life {
                Life::Storing => Answer::Storing,
                Life::Resident => Answer::Present { bytes: entry.bytes },
                Life::Condemned if entry.bytes == bytes => {
                    entry.life = Life::Resident;
                    entry.used = entry.used.max(used);
                    Answer::Present { bytes }
                }
                Life::Condemned | Life::Deleting | Life::Doomed | Life::Unwanted => Answer::Deleting,
            },
            None if in_use + u128::from(bytes) > u128::from(CAPACITY) => {
                Answer::Full { needed: bytes, used: u64::try_from(in_use).unwrap(), capacity: CAPACITY }
            }
            None => {
                self.add(key, Life::Storing, bytes, used);
                Answer::Ticket { bytes }
            }
        }
    }

    /// Tells what became of a ticket for `key`.
    pub(crate) fn becomes(&mut self, key: usize, life: Life) {
        self.entries.get_mut(&key).expect("what has a ticket stays").life = life;
    }

    pub(crate) fn remove(&mut self, key: usize) {
        let gone = self.entries.remove(&key).expect("only what is there goes away");
        assert!(gone.leases.is_empty() && gone.readers == 0, "it was in use");
        self.removed.push(key);
    }

    /// One key of a batch; `used` is what the index says of it.
    pub(crate) fn pin(&mut self, key: usize, owner: TaskId, used: Option<Stamp>) -> Pin {
        let until = self.time_to_live.map(|time| self.now + time);
        let Some(entry) = self.entries.get_mut(&key) else { return Pin::Absent };
        match (entry.life, used) {
            (Life::Storing, _) => Pin::Storing,
            (Life::Resident, Some(used)) => {
                entry.leases.push_back(Lease { owner, until });
                entry.touch(used);
                Pin::Hit { bytes: entry.bytes }
            }
            (Life::Unwanted, _) => Pin::Unwanted,
            (life, _) => {
                assert_ne!(life, Life::Resident, "the index has no entry");
                Pin::Deleting
            }
        }
    }

    /// One key of a batch: whether a pin was taken.
    pub(crate) fn unpin(&mut self, key: usize, owner: Option<TaskId>) -> bool {
        self.expire(key);
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        let is_it = |lease: &Lease| owner.is_none_or(|owner| lease.owner == owner);
        let oldest = entry.leases.iter().position(is_it);
        oldest.and_then(|at| entry.leases.remove(at)).is_some()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Ends the pins of one key whose time is over. The oldest go first, for all last as long.
    fn expire(&mut self, key: usize) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let before = entry.leases.len();
        entry.leases.retain(|lease| !lease.has_ended(self.now));
        self.expired += (before - entry.leases.len()) as u64;
    }

    /// Ends all pins whose time is over.
    pub(crate) fn expire_all(&mut self) {
        let keys = Vec::from_iter(self.entries.keys().copied());
        keys.into_iter().for_each(|key| self.expire(key));
    }

    pub(crate) fn read(&mut self, key: usize, used: Stamp) -> Answer {
        let Some(entry) = self.entries.get_mut(&key) else { return Answer::Absent };
        match entry.life {
            Life::Storing => Answer::Storing,
            Life::Condemned | Life::Deleting | Life::Doomed | Life::Unwanted => Answer::Deleting,
            Life::Resident => {
                entry.readers += 1;
                entry.touch(used);
                Answer::Ticket { bytes: entry.bytes }
            }
        }
    }

    pub(crate) fn end_read(&mut self, key: usize) {
        self.entries.get_mut(&key).expect("what is read stays").readers -= 1;
    }

    /// A reader finds its object to be wrong: whether it is for it to delete it.
    pub(crate) fn heal(&mut self, key: usize) -> bool {
        self.expire(key);
        let entry = self.entries.get_mut(&key).expect("what is read stays");
        entry.readers -= 1;
        entry.leases.clear();
        entry.life = if entry.readers == 0 { Life::Deleting } else { Life::Doomed };
        entry.readers == 0
    }

    /// `gone`: how many keys had gone when the storage was looked at. `is_stale`: what the index says, where either may
    /// be.
    pub(crate) fn adopt(
        &mut self,
        (key, gone): (usize, usize),
        bytes: u64,
        used: Stamp,
        owner: Option<TaskId>,
        is_stale: bool,
    ) -> Adopt {
        let answer = match self.entries.get(&key) {
            Some(Entry { life: Life::Storing, .. }) => return Adopt::Storing,
            Some(Entry { life: Life::Resident, bytes, .. }) => Adopt::Present { bytes: *bytes },
            Some(_) => return Adopt::Deleting,
            None => {
                let gone_since = &self.removed[gone..];
                // That of another key may make it stale, too.
                if gone_since.contains(&key) || is_stale && !gone_since.is_empty() {
                    return Adopt::Stale;
                }
                if self.used_bytes() + u128::from(bytes) > u128::from(u64::MAX) {
                    return Adopt::Overflow;
                }
                self.add(key, Life::Resident, bytes, used);
                Adopt::Adopted
            }
        };
        if let Some(owner) = owner {
            assert!(matches!(self.pin(key, owner, Some(used)), Pin::Hit { .. }));
        }
        answer
    }

    pub(crate) fn begin_delete(&mut self, key: usize) -> Answer {
        self.expire(key);
        let now = self.now;
        let Some(entry) = self.entries.get_mut(&key) else { return Answer::Absent };
        match entry.life {
            Life::Storing => Answer::Storing,
            Life::Resident if entry.is_used(now) => Answer::InUse,
            Life::Deleting => Answer::Deleting,
            Life::Doomed | Life::Unwanted if entry.readers > 0 => Answer::Deleting,
            Life::Resident | Life::Condemned | Life::Doomed | Life::Unwanted => {
                entry.life = Life::Deleting;
                Answer::Ticket { bytes: entry.bytes }
            }
        }
    }

    /// Somebody is to look again at what was not to be served.
    pub(crate) fn reconsider(&mut self, key: usize) -> Option<u64> {
        let entry = self.entries.get_mut(&key)?;
        (entry.life == Life::Unwanted && entry.readers == 0).then(|| {
            entry.life = Life::Deleting;
            entry.bytes
        })
    }

    /// The entry that was scanned, if it is still there and was not used since.
    fn unchanged(&mut self, scanned: &Scanned) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&scanned.key)?;
        (entry.serial == scanned.serial && entry.used == scanned.candidate.used).then_some(entry)
    }

    /// Whether it is still the entry that was scanned, used since or not.
    pub(crate) fn is_there(&self, scanned: &Scanned) -> bool {
        self.entries.get(&scanned.key).is_some_and(|entry| entry.serial == scanned.serial)
    }

    pub(crate) fn condemn(&mut self, scanned: &Scanned) -> bool {
        if self.is_there(scanned) {
            self.expire(scanned.key);
        }
        let now = self.now;
        let Some(entry) = self.unchanged(scanned) else { return false };
        let goes = entry.life == Life::Resident && !entry.is_used(now);
        if goes {
            entry.life = Life::Condemned;
        }
        goes
    }

    pub(crate) fn pardon(&mut self, scanned: &Scanned) -> bool {
        let condemned = self.unchanged(scanned).filter(|entry| entry.life == Life::Condemned);
        condemned.map(|entry| entry.life = Life::Resident).is_some()
    }

    pub(crate) fn begin_evict(&mut self, scanned: &Scanned) -> Answer {
        let Some(entry) = self.unchanged(scanned) else { return Answer::Absent };
        match entry.life {
            Life::Condemned | Life::Doomed | Life::Unwanted if entry.readers == 0 => {
                entry.life = Life::Deleting;
                Answer::Ticket { bytes: entry.bytes }
            }
            _ => Answer::Absent,
        }
    }

    /// How many wait to be deleted again.
    pub(crate) fn stranded(&self) -> u64 {
        self.entries.keys().filter(|key| self.is_stranded(**key)).count() as u64
    }

    pub(crate) fn is_stranded(&self, key: usize) -> bool {
        let is_doomed = |entry: &Entry| matches!(entry.life, Life::Doomed | Life::Unwanted);
        self.entries.get(&key).is_some_and(|entry| is_doomed(entry) && entry.readers == 0)
    }

    pub(crate) fn mark_reused(&mut self, key: usize) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.reused = true;
        }
    }

    /// Takes over what the index says of the pins of one key: some whose time is over may have been ended.
    pub(crate) fn notice_expired(&mut self, key: usize, left: u32) {
        let held = self.entries.get(&key).map_or(0, |entry| entry.leases.len());
        if usize::try_from(left).unwrap() != held {
            self.expire(key);
        }
    }
}
