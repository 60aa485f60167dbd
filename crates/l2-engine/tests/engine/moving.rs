//! Loads and stores: the right bytes, one outcome a request, and what a request may lead to.

use std::fs::{self, OpenOptions};
use std::sync::mpsc::channel;

use super::support::*;
use l2_engine::{Class, EngineError, Move, Moved, ObjectName, Piece, Request, Storage, Stretch};
use nixl_safe::ErrorKind;
use nixl_safe::memory::{Lease, Region};

#[test]
fn what_is_stored_is_loaded_byte_for_byte_on_both_queues() {
    for config in [posix(1), uring(1), posix(3), uring(3)] {
        let bench = Bench::new(config);
        // Ten requests of eight pieces, each request one file, its pieces from back to front.
        let stores: Vec<_> = (0..10)
            .map(|request| {
                let file = bench.new_file(&format!("{request}"));
                let pieces = (0..8).rev().map(|piece| Piece {
                    memory: bench.filled(request * 8 + piece, request * 8 + piece),
                    storage: file.clone(),
                    offset: (piece * PIECE) as u64,
                });
                let (store, outcome) = store(pieces.collect());
                bench.post(Class::Store, vec![store]);
                outcome
            })
            .collect();
        for outcome in stores {
            let moved = ended(&outcome);
            moved.result.unwrap();
            assert_eq!(moved.memory.unwrap().len(), 8);
        }
        assert_eq!(bench.l1.leased_bytes(), 0);
        for request in 0..10 {
            let expected: Vec<u8> = (request * 8..request * 8 + 8).flat_map(content).collect();
            assert!(fs::read(bench.path(&format!("{request}"))).unwrap() == expected, "file {request}");
        }
        // And back, a piece of each file in one request, to other places.
        let pieces = (0..10).map(|request| Piece {
            memory: bench.lease(100 + request),
            storage: as_storage(fs::File::open(bench.path(&format!("{request}"))).unwrap()),
            offset: (request % 8 * PIECE) as u64,
        });
        let (load, outcome) = load(pieces.collect());
        bench.post(Class::Read, vec![load]);
        let moved = ended(&outcome);
        moved.result.unwrap();
        for (request, memory) in moved.memory.unwrap().iter().enumerate() {
            assert_eq!(memory.offset(), (100 + request) * PIECE, "memory comes back in order");
            assert_content(memory, request * 8 + request % 8);
        }
    }
}

#[test]
fn a_job_may_ask_for_nothing_and_for_many_moves() {
    let bench = Bench::new(posix(2));
    bench.post(Class::Read, Vec::new());
    let file = bench.file("f", 0, 20);
    let (moves, outcomes): (Vec<Move>, Vec<_>) = (0..20)
        .map(|at| {
            load(vec![Piece { memory: bench.lease(at), storage: file.clone(), offset: (at * PIECE) as u64 }])
        })
        .unzip();
    bench.post(Class::Read, moves);
    for (at, outcome) in outcomes.iter().enumerate() {
        assert_content(&ended(outcome).memory.unwrap()[0], at);
    }
}

#[test]
fn a_region_that_was_not_named_at_the_start_is_registered_when_it_is_met() {
    let bench = Bench::new(posix(2));
    let file = bench.file("f", 7, 1);
    for _ in 0..4 {
        let other = Region::allocate(PIECE).unwrap();
        let memory = other.lease(0, PIECE).unwrap();
        let (load, outcome) = load(vec![Piece { memory, storage: file.clone(), offset: 0 }]);
        bench.post(Class::Read, vec![load]);
        let moved = ended(&outcome);
        moved.result.unwrap();
        assert_content(&moved.memory.unwrap()[0], 7);
    }
}

/// As an adapter does when a request of many objects fails: each by itself, all from the `then` of the first.
#[test]
fn what_failed_together_is_tried_one_by_one() {
    for config in [posix(1), uring(1)] {
        let bench = Bench::new(config);
        let mut files: Vec<Storage> =
            (0..5).map(|number| bench.file(&format!("{number}"), number, 1)).collect();
        // One that can only be written.
        files[2] = as_storage(OpenOptions::new().write(true).open(bench.path("2")).unwrap());
        let pieces = files.iter().enumerate().map(|(at, file)| Piece {
            memory: bench.lease(at),
            storage: file.clone(),
            offset: 0,
        });
        let pieces: Vec<_> = pieces.collect();
        let (sender, singles) = channel();
        let then = move |together: Moved<Lease>| {
            assert!(together.result.is_err(), "one outcome for all");
            let memory = together.memory.unwrap();
            let again = memory.into_iter().zip(files).enumerate().map(|(at, (memory, storage))| {
                let sender = sender.clone();
                let then = move |alone: Moved<Lease>| {
                    sender.send((at, std::thread::current().id(), alone)).unwrap();
                    Vec::new()
                };
                Move::Load(Request::new(vec![Piece { memory, storage, offset: 0 }], then))
            });
            again.collect()
        };
        bench.post(Class::Read, vec![Move::Load(Request::new(pieces, then))]);
        let mut outcomes: Vec<_> = (0..5).map(|_| singles.recv_timeout(LIMIT).unwrap()).collect();
        outcomes.sort_by_key(|outcome| outcome.0);
        for (at, worker, alone) in outcomes {
            assert_ne!(worker, std::thread::current().id());
            assert_eq!(alone.result.is_ok(), at != 2, "{at}: {:?}", alone.result);
            let memory = alone.memory.unwrap();
            if at != 2 {
                assert_content(&memory[0], at);
            }
        }
    }
}

#[test]
fn a_read_past_the_end_is_an_error_and_never_a_success_with_old_bytes() {
    for config in [posix(1), uring(1)] {
        let bench = Bench::new(config);
        let file = bench.file("short", 0, 1);
        for offset in [1, PIECE as u64, 1 << 30] {
            let moved = ended(&bench.load(0, file.clone(), offset));
            let Err(EngineError::Nixl(error)) = &moved.result else { panic!("{offset}: {moved:?}") };
            assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
            assert_eq!(moved.memory.unwrap().len(), 1, "the memory comes back");
        }
        bench.assert_works(0);
    }
}

#[track_caller]
fn assert_malformed(bench: &Bench, pieces: Vec<Piece<Lease>>) {
    let count = pieces.len();
    let (load, outcome) = load(pieces);
    bench.post(Class::Read, vec![load]);
    let moved = ended(&outcome);
    assert!(matches!(moved.result, Err(EngineError::Malformed(_))), "{:?}", moved.result);
    assert_eq!(moved.memory.unwrap().len(), count, "the memory comes back");
}

#[test]
fn what_cannot_be_one_request_is_refused_with_its_memory() {
    let bench = Bench::new(posix(1));
    let file = bench.file("f", 0, 4);
    assert_malformed(&bench, Vec::new());

    let other = Region::allocate(PIECE).unwrap();
    let of_two_regions = [bench.lease(0), other.lease(0, PIECE).unwrap()];
    let pieces = of_two_regions.map(|memory| Piece { memory, storage: file.clone(), offset: 0 });
    assert_malformed(&bench, pieces.into());

    let object = Storage::Objects(vec![ObjectName { name: "object".to_owned(), length: PIECE as u64 }]);
    let of_two_kinds = [(0, file.clone()), (1, object)];
    let pieces = of_two_kinds.map(|(at, storage)| Piece { memory: bench.lease(at), storage, offset: 0 });
    assert_malformed(&bench, pieces.into());

    let short = Storage::Objects(vec![ObjectName { name: "object".to_owned(), length: 1 }]);
    assert_malformed(&bench, vec![Piece { memory: bench.lease(0), storage: short, offset: 0 }]);

    let no_pool = Storage::Pool(vec![Stretch { file: 0, offset: 0, length: PIECE as u64 }]);
    assert_malformed(&bench, vec![Piece { memory: bench.lease(0), storage: no_pool, offset: 0 }]);

    assert_eq!(bench.l1.leased_bytes(), 0);
    bench.assert_works(0);
}
