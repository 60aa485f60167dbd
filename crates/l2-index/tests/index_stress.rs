//! Many threads at once, with a storage that notices when a ticket did not protect it.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use l2_core::{KeyScope, ObjectKey};
use l2_index::{Adopt, BeginDelete, Index, Pin, Read, Reserve};

const THREADS: u64 = 8;
const STEPS: u64 = 40_000;
const KEYS: usize = 48;
const CAPACITY: u64 = 1500;

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
}

/// One object's storage: 0 when free, else the length of the object there; odd while it is written.
struct Storage(AtomicU64);

struct World {
    index: Arc<Index>,
    keys: Vec<ObjectKey>,
    storage: Vec<Storage>,
}

impl World {
    fn look(&self, at: usize) -> u64 {
        self.storage[at].0.load(Ordering::SeqCst)
    }

    /// Only for who holds the ticket: nobody else may have changed it since.
    #[track_caller]
    fn change(&self, at: usize, from: u64, to: u64) {
        let found = self.storage[at].0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        assert_eq!(found, Ok(from), "somebody else used the storage");
    }

    fn store(&self, at: usize, random: &mut Random) {
        let bytes = 2 + 2 * random.below(40);
        if let Reserve::Reserved(reservation) = self.index.reserve(&self.keys[at], bytes) {
            self.change(at, 0, 1);
            std::thread::yield_now();
            if random.below(8) == 0 {
                self.change(at, 1, 0);
                drop(reservation);
            } else {
                self.change(at, 1, bytes);
                reservation.commit();
            }
        }
    }

    fn look_up(&self, at: usize) {
        if let Pin::Hit { bytes } = self.index.pin(&self.keys[at]) {
            self.is_there_while_pinned(at, bytes);
        }
    }

    /// As a lookup does that found nothing in the index.
    fn look_up_on_storage(&self, at: usize) {
        let epoch = self.index.epoch(&self.keys[at]);
        let found = self.look(at);
        if found == 0 || found == 1 {
            return;
        }
        std::thread::yield_now();
        match self.index.adopt(&self.keys[at], found, 1, epoch) {
            Adopt::Adopted => self.is_there_while_pinned(at, found),
            Adopt::Present { bytes } => self.is_there_while_pinned(at, bytes),
            Adopt::Storing | Adopt::Deleting | Adopt::Stale => {}
            Adopt::Overflow => panic!("nothing is that large"),
        }
    }

    #[track_caller]
    fn is_there_while_pinned(&self, at: usize, bytes: u64) {
        assert_eq!(self.look(at), bytes, "a hit is whole");
        std::thread::yield_now();
        assert_eq!(self.look(at), bytes, "what is pinned stays");
        assert!(self.index.unpin(&self.keys[at]), "nobody else takes this pin");
    }

    fn load(&self, at: usize, heal: bool) {
        let Read::Started(reader) = self.index.read(&self.keys[at]) else { return };
        assert_eq!(self.look(at), reader.bytes(), "what is read is whole");
        std::thread::yield_now();
        assert_eq!(self.look(at), reader.bytes(), "what is read stays");
        if heal && let Some(deletion) = reader.heal() {
            self.change(at, deletion.bytes(), 0);
            deletion.finish();
        }
    }

    fn delete(&self, at: usize, random: &mut Random) {
        if let BeginDelete::Started(deletion) = self.index.begin_delete(&self.keys[at]) {
            assert_eq!(self.look(at), deletion.bytes());
            std::thread::yield_now();
            if random.below(8) == 0 {
                deletion.fail();
            } else {
                self.change(at, deletion.bytes(), 0);
                deletion.finish();
            }
        }
    }

    /// `heals`: whether loads find objects to be wrong, which takes the pins of others away.
    fn work(&self, seed: u64, heals: bool) {
        let mut random = Random(seed);
        for _ in 0..STEPS {
            let at = usize::try_from(random.below(KEYS as u64)).unwrap();
            match random.below(8) {
                0 | 1 => self.store(at, &mut random),
                2 if !heals => self.look_up(at),
                3 if !heals => self.look_up_on_storage(at),
                2..=5 => self.load(at, heals && random.below(4) == 0),
                _ => self.delete(at, &mut random),
            }
            assert!(self.index.used_bytes() <= CAPACITY);
        }
    }
}

fn threads_add_up(first_seed: u64, heals: bool) {
    let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
    let world = World {
        index: Arc::new(Index::new(CAPACITY)),
        keys: (0..KEYS).map(|at| scope.key(&at.to_le_bytes()).unwrap()).collect(),
        storage: (0..KEYS).map(|_| Storage(AtomicU64::new(0))).collect(),
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || world.work(first_seed + thread, heals));
        }
    });
    let stored: u64 = (0..KEYS).map(|at| world.look(at)).sum();
    assert_eq!(world.index.used_bytes(), stored, "the index counts what is stored");
    let sum: u64 = world.index.entries().iter().map(|(_, view)| view.bytes).sum();
    assert_eq!(sum, stored);
    assert_eq!(world.index.pinned_objects(), 0);
    let mut random = Random(first_seed);
    for at in 0..KEYS {
        // Some deletions fail.
        while world.look(at) != 0 {
            world.delete(at, &mut random);
        }
    }
    assert_eq!((world.index.used_bytes(), world.index.objects()), (0, 0));
    assert_eq!(world.index.entries(), []);
}

#[test]
fn threads_that_store_look_up_load_and_delete_never_touch_storage_that_is_not_theirs() {
    threads_add_up(1, false);
}

#[test]
fn threads_that_find_objects_to_be_wrong_never_free_what_others_read() {
    threads_add_up(1000, true);
}
