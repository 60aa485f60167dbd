//! Limits, tickets that outlive the index, and readers that find an object to be wrong.

use l2_index::{Adopt, BeginDelete, EntryState, Pin};

use super::*;

fn adopt(index: &Index, number: u64, bytes: u64) -> Adopt {
    index.adopt(&key(number), bytes, index.cold_stamp(), None, index.epoch(&key(number)))
}

fn reserve(index: &Arc<Index>, number: u64, bytes: u64) -> Reserve {
    index.reserve(&key(number), bytes, index.stamps(1).next().unwrap())
}

#[test]
fn the_capacity_can_be_used_to_the_last_byte_and_no_further() {
    let index = Arc::new(Index::new(10));
    let first = reserved(&index, &key(1), 6);
    assert!(matches!(reserve(&index, 2, 5), Reserve::Full { needed: 5, used: 6, capacity: 10 }));
    stored(&index, &key(2), 4);
    assert_eq!((index.used_bytes(), index.capacity_bytes()), (10, 10));
    drop(first);
    assert_eq!((index.used_bytes(), index.objects()), (4, 1));
    assert!(matches!(reserve(&index, 3, u64::MAX), Reserve::Full { used: 4, .. }), "it wrapped");
    assert_eq!((index.used_bytes(), index.get(&key(3))), (4, None));
}

#[test]
fn what_is_found_on_the_storage_counts_beyond_the_capacity_and_stops_stores() {
    let index = Arc::new(Index::new(10));
    assert_eq!(adopt(&index, 1, 30), Adopt::Adopted);
    let sums = index.snapshot();
    assert_eq!((sums.used_bytes, sums.objects, sums.pinned_objects), (30, 1, 0));
    assert!(matches!(reserve(&index, 2, 0), Reserve::Full { needed: 0, used: 30, .. }));
    deleting(&index, &key(1)).finish();
    stored(&index, &key(2), 10);
}

#[test]
fn bytes_that_would_overflow_are_refused_and_change_nothing() {
    let index = Arc::new(Index::new(u64::MAX));
    stored(&index, &key(1), 1);
    assert_eq!(adopt(&index, 2, u64::MAX), Adopt::Overflow);
    assert!(matches!(reserve(&index, 2, u64::MAX), Reserve::Full { needed: u64::MAX, used: 1, .. }));
    assert_eq!((index.used_bytes(), index.get(&key(2)), index.objects()), (1, None, 1));
    assert_eq!(adopt(&index, 2, u64::MAX - 1), Adopt::Adopted);
    assert_eq!(index.used_bytes(), u64::MAX);
    assert_eq!(adopt(&index, 3, 1), Adopt::Overflow);
    assert_eq!(adopt(&index, 3, 0), Adopt::Adopted);
    let salts = index.usage_by_salt();
    assert_eq!((salts[0].bytes, salts[0].objects), (u64::MAX, 3));
    deleting(&index, &key(2)).finish();
    assert_eq!((index.used_bytes(), index.usage_by_salt()[0].bytes), (1, 1));
}

#[test]
fn one_reader_too_many_is_refused_and_changes_nothing() {
    let (index, _) = with_one();
    let mut readers: Vec<Reader> = (0..u16::MAX).map(|_| reading(&index, &key(1))).collect();
    let before = entry(&index, &key(1));
    assert_eq!(before.readers, u16::MAX);
    assert!(matches!(read(&index, &key(1)), Read::Overflow));
    assert_eq!(entry(&index, &key(1)), before);
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    readers.pop();
    readers.push(reading(&index, &key(1)));
    drop(readers);
    assert_eq!(entry(&index, &key(1)).readers, 0);
    deleting(&index, &key(1)).finish();
}

#[test]
fn a_look_at_the_storage_from_before_a_delete_or_a_failed_store_is_stale() {
    let (index, _) = with_one();
    let adopt = |epoch| index.adopt(&key(1), 1, index.cold_stamp(), Some(7), epoch);
    let before = index.epoch(&key(1));
    let deletion = deleting(&index, &key(1));
    assert_eq!(adopt(before), Adopt::Deleting);
    deletion.finish();
    assert_eq!(adopt(before), Adopt::Stale);

    let before = index.epoch(&key(1));
    let reservation = reserved(&index, &key(1), 1);
    assert_eq!(adopt(before), Adopt::Storing);
    drop(reservation);
    assert_eq!(adopt(before), Adopt::Stale);
    assert_eq!((index.get(&key(1)), index.used_bytes()), (None, 0));
    assert_eq!(adopt(index.epoch(&key(1))), Adopt::Adopted);
}

#[test]
fn tickets_may_outlive_everything_else_and_be_dropped_on_any_thread() {
    let index = Arc::new(Index::new(100));
    stored(&index, &key(1), 1);
    stored(&index, &key(2), 2);
    let tickets = (reserved(&index, &key(3), 3), reading(&index, &key(1)), deleting(&index, &key(2)));
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
    let (index, _) = with_one();
    let reader = reading(&index, &key(1));
    assert_eq!(unpin(&index, &key(1), None), 0, "there is no pin to take");
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    drop(reader);
    deleting(&index, &key(1)).finish();
}

#[test]
fn a_wrong_object_is_out_of_sight_at_once_and_deleted_by_the_last_to_read_it() {
    let (index, _) = with_one();
    for owner in 0..3 {
        assert_eq!(pin(&index, &key(1), owner), Pin::Hit { bytes: 4 });
    }
    let [first, second, third] = [(); 3].map(|()| reading(&index, &key(1)));
    assert!(first.heal().is_none(), "two others still read it");
    let sums = index.snapshot();
    assert_eq!((sums.objects, sums.pinned_objects, sums.used_bytes), (0, 0, 4));
    assert_eq!(pin(&index, &key(1), 7), Pin::Deleting, "it was found wrong");
    assert!(index.reconsider(&key(1)).is_none(), "while others read it");
    assert!(matches!(read(&index, &key(1)), Read::Deleting));
    assert!(matches!(reserve(&index, 1, 4), Reserve::Deleting));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Deleting));
    drop(second);
    let deletion = third.heal().expect("nobody else reads it");
    assert_eq!((deletion.bytes(), deletion.key()), (4, &key(1)));
    assert_eq!(unpin(&index, &key(1), None), 0, "its pins went with it");
    deletion.finish();
    assert_eq!(index.used_bytes(), 0);
    stored(&index, &key(1), 5);
}

#[test]
fn a_wrong_object_whose_last_reader_does_not_heal_it_waits_for_the_next_delete() {
    let (index, _) = with_one();
    let (bad, good) = (reading(&index, &key(1)), reading(&index, &key(1)));
    assert!(bad.heal().is_none());
    drop(good);
    assert_eq!(entry(&index, &key(1)).state, EntryState::Deleting);
    deleting(&index, &key(1)).finish();
    assert_eq!(index.get(&key(1)), None);
}

#[test]
fn bytes_that_are_still_in_use_count_without_their_key() {
    let (index, _) = with_one();
    let Reserve::Reserved(reservation) = reserve(&index, 2, 5) else { panic!("it fits") };
    let bytes = reservation.into_bytes();
    assert_eq!((index.get(&key(2)), index.used_bytes(), index.objects()), (None, 9, 1));
    let Reserve::Reserved(again) = reserve(&index, 2, 1) else { panic!("the key is free") };
    drop((bytes, again));
    assert_eq!(index.used_bytes(), 4);
}
