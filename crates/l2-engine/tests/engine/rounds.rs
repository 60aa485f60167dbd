//! Requests of more than NIXL takes at once: they go in rounds, with one outcome, and own everything until the end.

use std::io::Write;
use std::sync::Arc;

use super::support::*;
use l2_engine::{Class, Keep, Move, Piece, Request};

/// The queue has 64 places.
#[test]
fn a_request_of_more_than_the_queue_goes_in_rounds() {
    for config in [posix(1), uring(1)] {
        let bench = Bench::new(config);
        let file = bench.new_file("f");
        let pieces = (0..200).map(|at| Piece {
            memory: bench.filled(at, at),
            storage: file.clone(),
            offset: (at * PIECE) as u64,
        });
        let (all, outcome) = store(pieces.collect());
        bench.post(Class::Store, vec![all]);
        let moved = ended(&outcome);
        moved.result.unwrap();
        assert_eq!(moved.memory.map(|memory| memory.len()), Some(200));

        // Backwards, so that no order is right by chance.
        let pieces = (0..200).map(|at| Piece {
            memory: bench.lease(at),
            storage: file.clone(),
            offset: ((199 - at) * PIECE) as u64,
        });
        let (all, outcome) = load(pieces.collect());
        bench.post(Class::Read, vec![all]);
        let moved = ended(&outcome);
        moved.result.unwrap();
        for (at, memory) in moved.memory.unwrap().iter().enumerate() {
            assert_content(memory, 199 - at);
        }
        assert_eq!(bench.l1.leased_bytes(), 0);
    }
}

#[test]
fn a_round_that_fails_ends_the_request_with_its_memory() {
    let bench = Bench::new(posix(1));
    let file = bench.file("f", 0, 100);
    // The hundred-and-first piece is past the end of the file.
    let pieces = (0..150).map(|at| Piece {
        memory: bench.lease(at),
        storage: file.clone(),
        offset: (at * PIECE) as u64,
    });
    let (all, outcome) = load(pieces.collect());
    bench.post(Class::Read, vec![all]);
    let moved = ended(&outcome);
    assert!(moved.result.is_err());
    assert_eq!(moved.memory.map(|memory| memory.len()), Some(150));
    assert_eq!(bench.l1.leased_bytes(), 0);
    bench.assert_works(0);
}

#[test]
fn what_a_request_keeps_is_dropped_at_its_end() {
    let bench = Bench::new(posix(1));
    let kept: Keep = Arc::new("kept");
    let watch = Arc::downgrade(&kept);
    let file = bench.file("f", 0, 100);
    let pieces = (0..100).map(|at| Piece {
        memory: bench.lease(at),
        storage: file.clone(),
        offset: (at * PIECE) as u64,
    });
    let (sender, outcome) = std::sync::mpsc::channel();
    let then = move |moved| {
        sender.send(moved).unwrap();
        Vec::new()
    };
    bench.post(Class::Read, vec![Move::Load(Request::new(pieces.collect(), then).keeping(kept))]);
    ended(&outcome).result.unwrap();
    eventually("it is dropped", || watch.strong_count() == 0);
}

/// A pipe that nobody writes to keeps the read in flight.
#[test]
fn what_a_parked_request_keeps_is_kept_until_nixl_has_ended_it() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    let bench = Bench::new(config);
    let kept: Keep = Arc::new("kept");
    let watch = Arc::downgrade(&kept);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let piece = Piece { memory: bench.lease(0), storage: as_storage(reader), offset: 0 };
    let (sender, outcome) = std::sync::mpsc::channel();
    let then = move |moved| {
        sender.send(moved).unwrap();
        Vec::new()
    };
    bench.post(Class::Read, vec![Move::Load(Request::new(vec![piece], then).keeping(kept))]);
    assert!(ended(&outcome).result.is_err());
    assert_eq!(watch.strong_count(), 1, "it is in flight");
    writer.write_all(&content(0)).unwrap();
    eventually("it is dropped", || watch.strong_count() == 0);
}
