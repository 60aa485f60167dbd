//! Many threads at once, with a storage that notices when a ticket did not protect it.
#![cfg(test)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use l2_core::{Candidate, Clock, KeyScope, ManualClock, ObjectKey, ScanCursor, Stamp, TaskId};
use l2_index::{Adopt, BeginDelete, Deletion, EntryState, Index, Pin, PinTerms, Read, Reserve};

const THREADS: u64 = 8;
const STEPS: u64 = 20_000;
const KEYS: usize = 48;
const CAPACITY: u64 = 1500;
/// Objects that lie on the storage at first and that the index does not know, each of so many bytes (no store has as
/// many).
const FOUND: usize = 5;
const FOUND_BYTES: u64 = 90;
const TIME_TO_LIVE: Duration = Duration::from_secs(1);
/// What only ends a test that has failed.
const VERY_LONG: Duration = Duration::from_secs(60);

/// What may take pins away from lookups that did not give them back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Nothing,
    /// Loads find objects to be wrong.
    Heals,
    /// Their time is over, at any moment.
    PinsEnd,
}

/// Numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn pick(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    fn one_of(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }
}

/// One object's storage: 0 when free, else the length of the object there; odd while it is written.
struct Storage(AtomicU64);

struct World {
    index: Arc<Index>,
    hand: ManualClock,
    mode: Mode,
    keys: Vec<ObjectKey>,
    numbers: HashMap<ObjectKey, usize>,
    storage: Vec<Storage>,
    evicted: AtomicU64,
}

impl World {
    fn new(mode: Mode) -> Self {
        // Of two tenants.
        let scopes = ["", "a"].map(|salt| KeyScope::new("org/m", 0, 0, salt).unwrap());
        let keys: Vec<ObjectKey> =
            (0..KEYS).map(|at| scopes[at % 2].key(&at.to_le_bytes()).unwrap()).collect();
        let (clock, hand) = Clock::manual();
        let time_to_live = Some(TIME_TO_LIVE);
        Self {
            index: Arc::new(Index::with_pins(CAPACITY, PinTerms { time_to_live, clock })),
            hand,
            mode,
            numbers: keys.iter().cloned().zip(0..).collect(),
            keys,
            storage: (0..KEYS)
                .map(|at| Storage(AtomicU64::new(if at < FOUND { FOUND_BYTES } else { 0 })))
                .collect(),
            evicted: AtomicU64::new(0),
        }
    }

    fn look(&self, at: usize) -> u64 {
        self.storage[at].0.load(Ordering::SeqCst)
    }

    /// Only for who holds the ticket: nobody else may have changed it since.
    #[track_caller]
    fn change(&self, at: usize, from: u64, to: u64) {
        let found = self.storage[at].0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        assert_eq!(found, Ok(from), "somebody else used the storage");
    }

    fn now(&self) -> Stamp {
        self.index.stamps(1).next().unwrap()
    }

    fn store(&self, at: usize, random: &mut Random) {
        let bytes = 2 + 2 * random.below(40);
        match self.index.reserve(&self.keys[at], bytes, self.now()) {
            Reserve::Reserved(reservation) => {
                // What is there is one that nobody has found yet.
                self.change(at, if self.look(at) == FOUND_BYTES { FOUND_BYTES } else { 0 }, 1);
                std::thread::yield_now();
                if random.one_of(8) {
                    self.change(at, 1, 0);
                    drop(reservation);
                } else {
                    self.change(at, 1, bytes);
                    reservation.commit();
                }
            }
            Reserve::Deleting if random.one_of(4) => {
                assert!(self.index.await_deletion(&self.keys[at], VERY_LONG), "it is never over");
            }
            _ => {}
        }
    }

    /// A batch of keys, some of them twice.
    fn look_up(&self, at: usize, owner: TaskId, random: &mut Random) {
        let length = random.pick(7);
        let batch: Vec<usize> = (0..length).map(|step| (at + step * KEYS / 4) % KEYS).collect();
        let keys: Vec<ObjectKey> = batch.iter().map(|at| self.keys[*at].clone()).collect();
        let answers = self.index.pin_batch(&keys, owner);
        let hits = batch.iter().zip(answers).filter_map(|(at, answer)| match answer {
            Pin::Hit { bytes } => Some((*at, bytes)),
            Pin::Absent | Pin::Storing | Pin::Deleting | Pin::Unwanted => None,
            Pin::Overflow => panic!("so many pins are nowhere"),
        });
        let hits = Vec::from_iter(hits);
        self.are_there_while_pinned(&hits, owner);
    }

    /// As a lookup does that found nothing in the index.
    fn look_up_on_storage(&self, at: usize, owner: TaskId) {
        let epoch = self.index.epoch(&self.keys[at]);
        let found = self.look(at);
        if found == 0 || found == 1 {
            return;
        }
        std::thread::yield_now();
        match self.index.adopt(&self.keys[at], found, self.index.cold_stamp(), Some(owner), epoch) {
            Adopt::Adopted => self.are_there_while_pinned(&[(at, found)], owner),
            Adopt::Present { bytes } => self.are_there_while_pinned(&[(at, bytes)], owner),
            Adopt::Storing | Adopt::Deleting | Adopt::Stale => {}
            Adopt::Overflow => panic!("nothing is that large"),
        }
    }

    /// Of pins that may go before they are given back nothing can be said.
    #[track_caller]
    fn are_there_while_pinned(&self, hits: &[(usize, u64)], owner: TaskId) {
        let are_safe = self.mode == Mode::Nothing;
        if self.mode == Mode::PinsEnd && owner.is_multiple_of(16) {
            self.hand.advance(TIME_TO_LIVE);
            self.index.expire_pins();
        }
        for when in ["a hit is whole", "what is pinned stays"] {
            for (at, bytes) in hits.iter().filter(|_| are_safe) {
                assert_eq!(self.look(*at), *bytes, "{when}");
            }
            std::thread::yield_now();
        }
        let keys = Vec::from_iter(hits.iter().map(|(at, _)| self.keys[*at].clone()));
        let taken = self.index.unpin_batch(&keys, Some(owner));
        assert!(taken == hits.len() || !are_safe, "somebody else took a pin");
        assert_eq!(self.index.unpin_batch(&keys, Some(owner)), 0, "each is given back once");
    }

    fn load(&self, at: usize, heals: bool) {
        let Read::Started(reader) = self.index.read(&self.keys[at], self.now()) else { return };
        assert_eq!(self.look(at), reader.bytes(), "what is read is whole");
        std::thread::yield_now();
        assert_eq!(self.look(at), reader.bytes(), "what is read stays");
        if heals && let Some(deletion) = reader.heal() {
            self.change(at, deletion.bytes(), 0);
            deletion.finish();
        }
    }

    fn delete(&self, at: usize, random: &mut Random) {
        if let BeginDelete::Started(deletion) = self.index.begin_delete(&self.keys[at]) {
            self.free(at, deletion, random);
        }
    }

    /// Tries again what failed, whoever it was that tried.
    fn evict_again(&self, random: &mut Random) {
        let most = random.pick(5);
        let answers = self.index.evict_again(most, |deletion| {
            let bytes = deletion.bytes();
            self.free(self.numbers[deletion.key()], deletion, random);
            Ok(bytes)
        });
        assert!(answers.len() <= most);
    }

    fn free(&self, at: usize, deletion: Deletion, random: &mut Random) {
        assert_eq!(self.look(at), deletion.bytes(), "it is whole until it is freed");
        std::thread::yield_now();
        if random.one_of(8) {
            deletion.fail();
        } else {
            self.change(at, deletion.bytes(), 0);
            deletion.finish();
        }
    }

    /// Some that were seen a while ago, then some that were seen now.
    fn evict(&self, stale: &mut Vec<Candidate>, random: &mut Random) {
        let mut seen = Vec::new();
        let mut next = Some(ScanCursor::default());
        while let Some(from) = next {
            next = self.index.scan(from, &mut |shown, candidate| {
                assert_eq!(candidate.key_hash, shown.key().unwrap().hash64());
                seen.push(*candidate);
            });
        }
        std::thread::yield_now();
        seen.sort_by_key(|candidate| candidate.used);
        seen.truncate(8);
        let victims: Vec<Candidate> = stale.drain(..).chain(seen.iter().copied().take(4)).collect();
        *stale = seen;
        // Those that are spared are tried below all the same: others may have condemned them.
        let condemned = self.index.condemn_all(&victims);
        std::thread::yield_now();
        if random.one_of(4) {
            for chosen in &condemned {
                self.index.pardon(chosen);
            }
        }
        for victim in &victims {
            if let Some(deletion) = self.index.begin_evict(victim) {
                assert_eq!((deletion.bytes(), deletion.key().hash64()), (victim.bytes, victim.key_hash));
                self.evicted.fetch_add(1, Ordering::Relaxed);
                self.free(self.numbers[deletion.key()], deletion, random);
            }
        }
    }

    /// `releases`: how many this thread saw last.
    fn observe(&self, releases: &mut u64, random: &mut Random) {
        let most = CAPACITY + FOUND as u64 * FOUND_BYTES;
        assert!(self.index.used_bytes() <= most);
        match random.below(4) {
            0 => assert!(self.index.snapshot().used_bytes <= most),
            1 => assert!(self.index.entries().all(|(key, _)| self.numbers.contains_key(&key))),
            2 => assert!(self.index.usage_by_salt().len() <= 2),
            _ => {
                let before = std::mem::replace(releases, self.index.releases().count);
                assert!(*releases >= before, "they only rise");
            }
        }
    }

    fn work(&self, thread: u64, first_seed: u64) {
        let mut random = Random(first_seed + thread);
        let (mut stale, mut releases) = (Vec::new(), 0);
        let (heals, ends) = (self.mode == Mode::Heals, self.mode == Mode::PinsEnd);
        for step in 0..STEPS {
            let at = random.pick(KEYS);
            let owner = thread * STEPS + step;
            match random.below(41) {
                0..=11 => self.store(at, &mut random),
                12..=18 => self.look_up(at, owner, &mut random),
                19..=22 => self.look_up_on_storage(at, owner),
                23..=31 => self.load(at, heals && random.one_of(4)),
                32..=36 => self.delete(at, &mut random),
                37 => self.evict(&mut stale, &mut random),
                38 => self.evict_again(&mut random),
                39 if ends => self.hand.advance(TIME_TO_LIVE / 3),
                _ => self.observe(&mut releases, &mut random),
            }
        }
    }
}

fn threads_add_up(first_seed: u64, mode: Mode) {
    let world = World::new(mode);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || world.work(thread, first_seed));
        }
    });
    let index = &world.index;
    let in_index = |at: &usize| index.get(&world.keys[*at]).is_some();
    let stored: u64 = (0..KEYS).filter(in_index).map(|at| world.look(at)).sum();
    assert_eq!(index.used_bytes(), stored, "the index counts what is stored");
    let sum: u64 = index.entries().map(|(_, view)| view.bytes).sum();
    let by_salt = index.usage_by_salt();
    assert_eq!((sum, by_salt.iter().map(|salt| salt.bytes).sum::<u64>()), (stored, stored));
    assert_eq!(by_salt.iter().map(|salt| salt.objects).sum::<u64>(), index.entries().count() as u64);
    let sums = index.snapshot();
    assert_eq!((sums.pinned_objects, sums.objects), (0, index.residents().count() as u64));
    assert_eq!(sums.expired_pins > 0, mode == Mode::PinsEnd, "{} pins ended", sums.expired_pins);
    // Nobody uses anything any more.
    let residents: Vec<u64> = index.residents().map(|(_, bytes)| bytes).collect();
    assert_eq!(index.could_go(), (residents.len() as u64, residents.iter().sum()));
    let hidden = index.entries().filter(|(_, view)| view.state == EntryState::Deleting).count() as u64;
    assert!(index.stranded() <= hidden, "{} of {hidden}", index.stranded());
    assert!(world.evicted.load(Ordering::Relaxed) > 0, "nothing was ever evicted");

    let mut random = Random(first_seed);
    for at in (0..KEYS).filter(in_index) {
        // Some deletions fail.
        while in_index(&at) {
            world.delete(at, &mut random);
        }
    }
    assert_eq!((index.used_bytes(), index.objects(), index.entries().next()), (0, 0, None));
    assert_eq!((index.stranded(), index.could_go()), (0, (0, 0)));
    assert_eq!(index.usage_by_salt(), []);
}

#[test]
fn threads_that_store_look_up_load_delete_and_evict_never_touch_storage_that_is_not_theirs() {
    threads_add_up(1, Mode::Nothing);
}

#[test]
fn threads_that_find_objects_to_be_wrong_never_free_what_others_read() {
    threads_add_up(1000, Mode::Heals);
}

#[test]
fn threads_whose_pins_end_never_free_what_others_read() {
    threads_add_up(2000, Mode::PinsEnd);
}
