//! Values kept with the objects: who sees them, and when they are dropped.
#![cfg(test)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use l2_core::{Candidate, KeyScope, ObjectKey, ScanCursor};
use l2_index::{BeginDelete, Deletion, EntryState, Index, Read, Reader, Reservation, Reserve};

/// How many slots are in use, and how often any was freed.
#[derive(Debug, Default)]
struct Pool {
    in_use: AtomicU64,
    freed: AtomicU64,
}

/// Some of them, freed on drop.
#[derive(Debug)]
struct Slots {
    pool: Arc<Pool>,
    count: u64,
}

type Value = Arc<Slots>;

impl Pool {
    fn take(self: &Arc<Self>, count: u64) -> Value {
        self.in_use.fetch_add(count, Ordering::SeqCst);
        Arc::new(Slots { pool: Arc::clone(self), count })
    }

    fn in_use(&self) -> u64 {
        self.in_use.load(Ordering::SeqCst)
    }

    fn freed(&self) -> u64 {
        self.freed.load(Ordering::SeqCst)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // Time for who would be too early.
        std::thread::yield_now();
        self.pool.in_use.fetch_sub(self.count, Ordering::SeqCst);
        self.pool.freed.fetch_add(1, Ordering::SeqCst);
    }
}

fn key(number: u64) -> ObjectKey {
    KeyScope::new("org/m", 0, 0, "").unwrap().key(&number.to_le_bytes()).unwrap()
}

#[track_caller]
fn reserved(index: &Arc<Index<Value>>, number: u64, bytes: u64) -> Reservation<Value> {
    match index.reserve(&key(number), bytes, index.cold_stamp()) {
        Reserve::Reserved(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn reading(index: &Arc<Index<Value>>, number: u64) -> Reader<Value> {
    match index.read(&key(number), index.cold_stamp()) {
        Read::Started(reader) => reader,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn deleting(index: &Arc<Index<Value>>, number: u64) -> Deletion<Value> {
    match index.begin_delete(&key(number)) {
        BeginDelete::Started(deletion) => deletion,
        other => panic!("{other:?}"),
    }
}

/// An index with object 1, of 4 slots.
fn with_one() -> (Arc<Pool>, Arc<Index<Value>>) {
    let (pool, index) = (Arc::new(Pool::default()), Arc::new(Index::new(10)));
    reserved(&index, 1, 4).commit_with(pool.take(4));
    (pool, index)
}

#[test]
fn readers_and_deletions_see_the_value_that_was_committed() {
    let (pool, index) = with_one();
    reserved(&index, 2, 2).commit_with(pool.take(2));
    assert_eq!((reading(&index, 1).value().count, reading(&index, 2).value().count), (4, 2));
    deleting(&index, 1).finish();
    reserved(&index, 1, 3).commit_with(pool.take(3));
    assert_eq!(reading(&index, 1).value().count, 3);
    assert_eq!(deleting(&index, 2).value().count, 2);
}

#[test]
fn a_value_is_dropped_once_when_its_deletion_has_finished() {
    let (pool, index) = with_one();
    drop((reading(&index, 1), reading(&index, 1)));
    let deletion = deleting(&index, 1);
    assert_eq!((pool.in_use(), pool.freed()), (4, 0));
    deletion.finish();
    assert_eq!((pool.in_use(), pool.freed()), (0, 1));
    drop(index);
    assert_eq!(pool.freed(), 1);
}

#[test]
fn a_value_is_kept_for_the_next_to_delete_when_a_deletion_fails() {
    let (pool, index) = with_one();
    deleting(&index, 1).fail();
    drop(deleting(&index, 1));
    assert_eq!(pool.freed(), 0);
    let last = deleting(&index, 1);
    assert_eq!(last.value().count, 4);
    last.finish();
    assert_eq!((pool.in_use(), pool.freed()), (0, 1));
}

/// The one object that could go.
fn candidate(index: &Index<Value>) -> Candidate {
    let (mut found, mut next) = (None, Some(ScanCursor::default()));
    while let Some(from) = next {
        next = index.scan(from, &mut |_, candidate| assert_eq!(found.replace(*candidate), None));
    }
    found.expect("one that could go")
}

#[test]
fn a_value_of_a_condemned_object_goes_with_its_eviction() {
    let (pool, index) = with_one();
    let chosen = candidate(&index);
    assert!(index.condemn(&chosen));
    assert_eq!(pool.freed(), 0);
    let deletion = index.begin_evict(&chosen).expect("it was condemned");
    assert_eq!((deletion.value().count, pool.freed()), (4, 0));
    deletion.fail();
    assert_eq!(pool.freed(), 0);
    index.begin_evict(&chosen).expect("it failed").finish();
    assert_eq!((pool.in_use(), pool.freed()), (0, 1));
}

#[test]
fn a_value_of_a_condemned_object_is_kept_with_it_by_a_store() {
    let (pool, index) = with_one();
    assert!(index.condemn(&candidate(&index)));
    let again = index.reserve(&key(1), 4, index.cold_stamp());
    assert!(matches!(again, Reserve::Present { bytes: 4 }));
    assert_eq!((reading(&index, 1).value().count, pool.freed()), (4, 0));
    deleting(&index, 1).finish();
    assert_eq!((pool.in_use(), pool.freed()), (0, 1));
}

#[test]
fn a_value_of_a_wrong_object_is_kept_until_its_deletion_finishes() {
    let (pool, index) = with_one();
    let (first, second) = (reading(&index, 1), reading(&index, 1));
    assert!(first.heal().is_none());
    assert_eq!(second.value().count, 4);
    let deletion = second.heal().expect("nobody else reads it");
    assert_eq!((deletion.value().count, pool.freed()), (4, 0));
    drop(deletion);
    assert_eq!(index.get(&key(1)).unwrap().state, EntryState::Deleting);
    assert_eq!(pool.freed(), 0);
    deleting(&index, 1).finish();
    assert_eq!((pool.in_use(), pool.freed()), (0, 1));
}

#[test]
fn a_wrong_object_that_nobody_deletes_keeps_its_value_as_long_as_the_index() {
    let (pool, index) = with_one();
    let (bad, good) = (reading(&index, 1), reading(&index, 1));
    assert!(bad.heal().is_none());
    drop(good);
    assert_eq!((pool.freed(), index.used_bytes()), (0, 4));
    drop(index);
    assert_eq!(pool.freed(), 1);
}

/// Readers of object 1, if it has an entry, and the bytes in use.
type Heard = (Option<u16>, u64);

/// It asks the index when it is dropped, which would not return if a lock were held then.
#[derive(Debug, Clone)]
struct Asks {
    index: Weak<Index<Asks>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Drop for Asks {
    fn drop(&mut self) {
        if let Some(index) = self.index.upgrade() {
            let readers = index.get(&key(1)).map(|entry| entry.readers);
            self.heard.lock().unwrap().push((readers, index.used_bytes()));
        }
    }
}

#[test]
fn clones_go_before_their_tickets_and_the_last_value_before_its_bytes_all_without_a_lock() {
    let index = Arc::new(Index::new(10));
    let heard = Arc::default();
    let value = Asks { index: Arc::downgrade(&index), heard: Arc::clone(&heard) };
    let Reserve::Reserved(reservation) = index.reserve(&key(1), 4, index.cold_stamp()) else {
        panic!("there is room")
    };
    reservation.commit_with(value);
    let hear = || std::mem::take(&mut *heard.lock().unwrap());
    let read = || match index.read(&key(1), index.cold_stamp()) {
        Read::Started(reader) => reader,
        other => panic!("{other:?}"),
    };

    drop(read());
    assert_eq!(hear(), [(Some(1), 4)]);
    let (first, second) = (read(), read());
    assert!(first.heal().is_none());
    assert_eq!(hear(), [(Some(2), 4)]);
    let deletion = second.heal().expect("nobody else reads it");
    assert_eq!(hear(), [(Some(1), 4)]);
    deletion.finish();
    assert_eq!(hear(), [(Some(0), 4), (None, 4)]);
    assert_eq!(index.used_bytes(), 0);
}

/// Slots are bytes here: who is given bytes must find as many slots, whatever others read, heal, delete and evict.
#[test]
fn whoever_is_given_bytes_finds_that_their_value_was_dropped() {
    const CAPACITY: u64 = 12;
    const STEPS: u64 = 20_000;
    let (pool, index) = (Arc::new(Pool::default()), Arc::new(Index::<Value>::new(CAPACITY)));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (pool, index) = (&pool, &index);
            scope.spawn(move || {
                for step in 0..STEPS {
                    let key = key((step * 7 + thread) % 5);
                    match (step + thread) % 5 {
                        0 | 1 => {
                            if let Reserve::Reserved(reservation) =
                                index.reserve(&key, 3 + step % 3, index.cold_stamp())
                            {
                                let value = pool.take(reservation.bytes());
                                let in_use = pool.in_use();
                                assert!(in_use <= CAPACITY, "{in_use} slots in use");
                                reservation.commit_with(value);
                            }
                        }
                        2 => {
                            if let Read::Started(reader) = index.read(&key, index.cold_stamp()) {
                                assert_eq!(reader.value().count, reader.bytes());
                                if step % 3 == 0 {
                                    reader.heal().into_iter().for_each(Deletion::finish);
                                }
                            }
                        }
                        3 => {
                            let from = ScanCursor((key.hash64() >> 57) << 32);
                            let mut found = Vec::new();
                            index.scan(from, &mut |_, candidate| found.push(*candidate));
                            for chosen in found.into_iter().filter(|chosen| index.condemn(chosen)) {
                                index.begin_evict(&chosen).into_iter().for_each(Deletion::finish);
                            }
                        }
                        _ => {
                            if let BeginDelete::Started(deletion) = index.begin_delete(&key) {
                                assert_eq!(deletion.value().count, deletion.bytes());
                                if step % 5 > 0 {
                                    deletion.finish();
                                }
                            }
                        }
                    }
                }
            });
        }
    });
    assert_eq!(pool.in_use(), index.used_bytes());
    drop(index);
    assert_eq!(pool.in_use(), 0);
}
