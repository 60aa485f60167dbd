//! Single cases, by what they are about.
#![cfg(test)]

mod candidates;
mod deletions;
mod eviction;
mod listing;
mod pins;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use l2_core::{Candidate, Clock, KeyScope, ManualClock, ObjectKey, ScanCursor, TaskId};
use l2_index::{BeginDelete, Deletion, EntryView, Index, Pin, PinTerms, Read, Reader, Reservation, Reserve};

const SECOND: Duration = Duration::from_secs(1);
/// What only ends a test that has failed.
const VERY_LONG: Duration = Duration::from_secs(60);

fn key(number: u64) -> ObjectKey {
    KeyScope::new("org/m", 0, 0, "").unwrap().key(&number.to_le_bytes()).unwrap()
}

/// The first `count` keys whose entries share one shard.
fn keys_of_one_shard(count: usize) -> Vec<ObjectKey> {
    (0u64..).map(key).filter(|key| key.hash64() >> 57 == 3).take(count).collect()
}

/// An index with object 1, of 4 bytes, and a hand on its clock. Pins last 10 seconds.
fn with_one() -> (Arc<Index>, ManualClock) {
    let (clock, hand) = Clock::manual();
    let index = Arc::new(Index::with_pins(10, PinTerms { time_to_live: Some(10 * SECOND), clock }));
    stored(&index, &key(1), 4);
    (index, hand)
}

#[track_caller]
fn reserved(index: &Arc<Index>, key: &ObjectKey, bytes: u64) -> Reservation {
    match index.reserve(key, bytes, index.stamps(1).next().unwrap()) {
        Reserve::Reserved(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn stored(index: &Arc<Index>, key: &ObjectKey, bytes: u64) {
    reserved(index, key, bytes).commit();
}

fn read(index: &Arc<Index>, key: &ObjectKey) -> Read {
    index.read(key, index.stamps(1).next().unwrap())
}

#[track_caller]
fn reading(index: &Arc<Index>, key: &ObjectKey) -> Reader {
    match read(index, key) {
        Read::Started(reader) => reader,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn deleting(index: &Arc<Index>, key: &ObjectKey) -> Deletion {
    match index.begin_delete(key) {
        BeginDelete::Started(deletion) => deletion,
        other => panic!("{other:?}"),
    }
}

fn pin(index: &Index, key: &ObjectKey, owner: TaskId) -> Pin {
    let answers = index.pin_batch(std::slice::from_ref(key), owner);
    assert_eq!(answers.len(), 1);
    answers[0]
}

fn unpin(index: &Index, key: &ObjectKey, owner: impl Into<Option<TaskId>>) -> usize {
    index.unpin_batch(std::slice::from_ref(key), owner.into())
}

#[track_caller]
fn entry(index: &Index, key: &ObjectKey) -> EntryView {
    index.get(key).expect("it is in the index")
}

/// What could go, that used least recently first.
fn candidates(index: &Index) -> Vec<(ObjectKey, Candidate)> {
    let mut found = Vec::new();
    let mut next = Some(ScanCursor::default());
    while let Some(from) = next {
        next = index.scan(from, &mut |shown, candidate| found.push((shown.key().unwrap(), *candidate)));
    }
    found.sort_by_key(|(_, candidate)| candidate.used);
    found
}

/// The one object that could go.
#[track_caller]
fn candidate(index: &Index) -> Candidate {
    match &candidates(index)[..] {
        [(_, candidate)] => *candidate,
        other => panic!("{other:?}"),
    }
}
