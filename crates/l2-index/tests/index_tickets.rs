//! Single cases: limits, tickets that outlive the index, and readers that find an object to be wrong.
#![cfg(test)]

use std::sync::Arc;

use l2_core::{KeyScope, ObjectKey};
use l2_index::{Adopt, BeginDelete, Deletion, EntryState, Index, Pin, Read, Reader, Reservation, Reserve};

fn key(number: u64) -> ObjectKey {
    KeyScope::new("org/m", 0, 0, "").unwrap().key(&number.to_le_bytes()).unwrap()
}

#[track_caller]
fn reserved(index: &Arc<Index>, number: u64, bytes: u64) -> Reservation {
    match index.reserve(&key(number), bytes) {
        Reserve::Reserved(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn reading(index: &Arc<Index>, number: u64) -> Reader {
    match index.read(&key(number)) {
        Read::Started(reader) => reader,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn deleting(index: &Arc<Index>, number: u64) -> Deletion {
    match index.begin_delete(&key(number)) {
        BeginDelete::Started(deletion) => deletion,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_capacity_can_be_used_to_the_last_byte_and_no_further() {
    let index = Arc::new(Index::new(10));
    let first = reserved(&index, 1, 6);
    let Reserve::Full { needed: 5, used: 6, capacity: 10 } = index.reserve(&key(2), 5) else { panic!() };
    reserved(&index, 2, 4).commit();
    assert_eq!((index.used_bytes(), index.capacity_bytes()), (10, 10));
    drop(first);
    assert_eq!((index.used_bytes(), index.objects()), (4, 1));
    let Reserve::Full { used: 4, .. } = index.reserve(&key(3), u64::MAX) else { panic!("it wrapped") };
}

#[test]
fn what_is_found_on_the_storage_counts_beyond_the_capacity_and_stops_stores() {
    let index = Arc::new(Index::new(10));
    assert_eq!(index.adopt(&key(1), 30, 0, index.epoch(&key(1))), Adopt::Adopted);
    assert_eq!((index.used_bytes(), index.objects(), index.pinned_objects()), (30, 1, 0));
    let Reserve::Full { needed: 0, used: 30, .. } = index.reserve(&key(2), 0) else { panic!() };
    deleting(&index, 1).finish();
    reserved(&index, 2, 10).commit();
}

#[test]
fn counts_that_would_overflow_are_refused_and_change_nothing() {
    let index = Arc::new(Index::new(10));
    let epoch = index.epoch(&key(1));
    assert_eq!(index.adopt(&key(1), 1, u32::MAX, epoch), Adopt::Adopted);
    assert_eq!(index.pin(&key(1)), Pin::Overflow);
    assert_eq!(index.adopt(&key(1), 1, 1, epoch), Adopt::Overflow);
    assert!(index.unpin(&key(1)));
    assert_eq!(index.pin(&key(1)), Pin::Hit { bytes: 1 });

    assert_eq!(index.adopt(&key(2), u64::MAX, 0, index.epoch(&key(2))), Adopt::Overflow);
    assert_eq!((index.used_bytes(), index.get(&key(2))), (1, None));

    let readers: Vec<Reader> = (0..u16::MAX).map(|_| reading(&index, 1)).collect();
    assert!(matches!(index.read(&key(1)), Read::Overflow));
    drop(readers);
    assert_eq!(index.get(&key(1)).unwrap().readers, 0);
}

#[test]
fn a_look_at_the_storage_from_before_a_delete_or_a_failed_store_is_stale() {
    let index = Arc::new(Index::new(10));
    reserved(&index, 1, 1).commit();
    let before = index.epoch(&key(1));
    let deletion = deleting(&index, 1);
    assert_eq!(index.adopt(&key(1), 1, 1, before), Adopt::Deleting);
    deletion.finish();
    assert_eq!(index.adopt(&key(1), 1, 1, before), Adopt::Stale);

    let before = index.epoch(&key(1));
    drop(reserved(&index, 1, 1));
    assert_eq!(index.adopt(&key(1), 1, 1, before), Adopt::Stale);
    assert_eq!(index.get(&key(1)), None);
    assert_eq!(index.adopt(&key(1), 1, 1, index.epoch(&key(1))), Adopt::Adopted);
}

#[test]
fn tickets_may_outlive_everything_else_and_be_dropped_on_any_thread() {
    let index = Arc::new(Index::new(100));
    reserved(&index, 1, 1).commit();
    reserved(&index, 2, 2).commit();
    let tickets = (reserved(&index, 3, 3), reading(&index, 1), deleting(&index, 2));
    let weak = Arc::downgrade(&index);
    drop(index);
    let thread = std::thread::Builder::new().spawn(move || {
        let (reservation, reader, deletion) = tickets;
        drop(reader);
        let index = weak.upgrade().expect("the tickets keep the index");
        reservation.commit();
        deletion.finish();
        assert_eq!((index.used_bytes(), index.objects()), (4, 2));
        drop(index);
        weak
    });
    let weak = thread.unwrap().join().unwrap();
    assert!(weak.upgrade().is_none(), "the last ticket freed it");
}

#[test]
fn no_unpin_takes_away_the_protection_of_a_reader() {
    let index = Arc::new(Index::new(10));
    reserved(&index, 1, 1).commit();
    let reader = reading(&index, 1);
    assert!(!index.unpin(&key(1)), "there is no pin to take");
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    drop(reader);
    deleting(&index, 1).finish();
}

#[test]
fn a_wrong_object_is_out_of_sight_at_once_and_deleted_by_the_last_to_read_it() {
    let index = Arc::new(Index::new(10));
    reserved(&index, 1, 4).commit();
    for _ in 0..3 {
        assert_eq!(index.pin(&key(1)), Pin::Hit { bytes: 4 });
    }
    let (first, second, third) = (reading(&index, 1), reading(&index, 1), reading(&index, 1));
    assert!(first.heal().is_none(), "two others still read it");
    assert_eq!((index.objects(), index.pinned_objects(), index.used_bytes()), (0, 0, 4));
    assert_eq!(index.pin(&key(1)), Pin::Deleting);
    assert!(matches!(index.read(&key(1)), Read::Deleting));
    assert!(matches!(index.reserve(&key(1), 1), Reserve::Deleting));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Deleting));
    drop(second);
    let deletion = third.heal().expect("nobody else reads it");
    assert_eq!((deletion.bytes(), deletion.key()), (4, &key(1)));
    assert!(!index.unpin(&key(1)), "its pins went with it");
    deletion.finish();
    assert_eq!(index.used_bytes(), 0);
    reserved(&index, 1, 5).commit();
}

#[test]
fn a_wrong_object_whose_last_reader_does_not_heal_it_waits_for_the_next_delete() {
    let index = Arc::new(Index::new(10));
    reserved(&index, 1, 4).commit();
    let (bad, good) = (reading(&index, 1), reading(&index, 1));
    assert!(bad.heal().is_none());
    drop(good);
    assert_eq!(index.get(&key(1)).unwrap().state, EntryState::Deleting);
    deleting(&index, 1).finish();
    assert_eq!(index.get(&key(1)), None);
}

#[test]
fn a_deletion_that_failed_is_tried_again_by_the_next() {
    let index = Arc::new(Index::new(10));
    reserved(&index, 1, 4).commit();
    deleting(&index, 1).fail();
    drop(deleting(&index, 1));
    assert_eq!((index.used_bytes(), index.objects()), (4, 0));
    let last = deleting(&index, 1);
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Deleting), "one at a time");
    last.finish();
    assert_eq!(index.used_bytes(), 0);
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Absent));
}

#[test]
fn unknown_keys_are_not_remembered() {
    let index = Arc::new(Index::<()>::new(10));
    assert!(!index.unpin(&key(1)));
    assert_eq!(index.pin(&key(1)), Pin::Absent);
    assert!(matches!(index.read(&key(1)), Read::Absent));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Absent));
    assert_eq!(index.entries(), []);
    assert_eq!(format!("{index:?}"), "Index { used_bytes: 0, capacity_bytes: 10, .. }");
}

#[test]
fn entries_are_those_of_all_shards() {
    let index = Arc::new(Index::new(u64::MAX));
    for number in 0..1000 {
        reserved(&index, number, number).commit();
    }
    let mut bytes: Vec<u64> = index.entries().iter().map(|(_, view)| view.bytes).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, Vec::from_iter(0..1000));
    assert_eq!(index.objects(), 1000);
}
