//! Moves past their deadline: parked with their memory until NIXL lets go of it, while the worker goes on.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use super::support::*;
use l2_engine::{Class, EngineError, Move, Moved, Piece, Request};

#[test]
fn a_move_past_its_deadline_is_parked_and_freed_when_it_ends() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    let bench = Bench::new(config);
    let (outcome, mut writer) = bench.endless(Class::Read, 0);
    let moved = ended(&outcome);
    assert!(matches!(moved.result, Err(EngineError::TimedOut(limit)) if limit == SOON), "{moved:?}");
    assert!(moved.memory.is_none(), "NIXL may still write to it");
    assert_eq!(bench.engine.parked_transfers(), 1);
    assert!(bench.l1.lease(0, 1).is_err(), "nobody else gets the memory");
    for at in 1..20 {
        bench.assert_works(at);
    }
    assert_eq!(bench.engine.parked_transfers(), 1);

    writer.write_all(&content(3)).unwrap();
    eventually("the parked move ends", || bench.engine.parked_transfers() == 0);
    eventually("its memory is free", || bench.l1.leased_bytes() == 0);
    // The kernel did write, to memory that was kept for it.
    assert_content(&bench.lease(0), 3);
    assert!(bench.engine.is_healthy());
}

#[test]
fn other_moves_go_on_while_one_hangs() {
    let bench = Bench::new(uring(1));
    let (outcome, mut writer) = bench.endless(Class::Read, 0);
    for at in 1..20 {
        bench.assert_works(at);
    }
    let (store, stored) =
        store(vec![Piece { memory: bench.filled(30, 5), storage: bench.new_file("new"), offset: 0 }]);
    bench.post(Class::Store, vec![store]);
    ended(&stored).result.unwrap();
    assert!(std::fs::read(bench.path("new")).unwrap() == content(5));
    assert!(outcome.try_recv().is_err());

    writer.write_all(&content(3)).unwrap();
    let moved = ended(&outcome);
    moved.result.unwrap();
    assert_content(&moved.memory.unwrap()[0], 3);
}

/// A pipe that is full, and that nobody reads.
#[test]
fn a_store_past_its_deadline_is_parked_like_a_load() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    let bench = Bench::new(config);
    let (reader, writer) = std::io::pipe().unwrap();
    let storage = as_storage(writer);
    let outcomes: Vec<_> = (0..32)
        .map(|at| {
            let pieces = vec![Piece { memory: bench.filled(at, at), storage: storage.clone(), offset: 0 }];
            let (store, outcome) = store(pieces);
            bench.post(Class::Store, vec![store]);
            outcome
        })
        .collect();
    let moved: Vec<_> = outcomes.iter().map(ended).collect();
    let late = moved.iter().filter(|moved| matches!(moved.result, Err(EngineError::TimedOut(_)))).count();
    assert!(late > 0, "a pipe holds less than 32 pieces: {moved:?}");
    assert_eq!(moved.iter().filter(|moved| moved.memory.is_none()).count(), late);
    drop(moved);
    assert_eq!(bench.l1.leased_bytes(), late * PIECE);
    drop(reader);
    eventually("the parked moves end", || bench.engine.parked_transfers() == 0);
    eventually("their memory is free", || bench.l1.leased_bytes() == 0);
    bench.assert_works(0);
}

/// Behind a storage that does not answer, a batch ends with its first requests, not in waves of a time limit each.
#[test]
fn what_waited_while_nothing_was_answered_is_not_tried_and_what_comes_later_is() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    config.pieces_in_flight = 1;
    let bench = Bench::new(config);
    let file = bench.file("f", 0, 2);
    // Both are handed in before the first is posted; the second waits for it.
    let busy = bench.busy(Class::Read);
    let (outcome, writer) = bench.endless(Class::Read, 0);
    let pieces = (0..2).map(|at| Piece { memory: bench.lease(10 + at), storage: file.clone(), offset: 0 });
    let (waits, waited) = load(pieces.collect());
    bench.post(Class::Read, vec![waits]);
    drop(busy);
    assert!(matches!(ended(&outcome).result, Err(EngineError::TimedOut(_))));
    let moved = ended(&waited);
    assert!(matches!(moved.result, Err(EngineError::NotTried(limit)) if limit == SOON), "{moved:?}");
    assert_eq!(moved.memory.map(|memory| memory.len()), Some(2));
    bench.assert_works(20);
    drop(writer);
    eventually("the parked move ends", || bench.engine.parked_transfers() == 0);
}

#[test]
fn an_agent_that_lets_several_requests_in_a_row_run_out_of_time_is_replaced_and_keeps_what_it_has() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    let bench = Bench::new(config);
    let mut writers = Vec::new();
    for at in 0..3 {
        assert_eq!(bench.engine.replaced_agents(), 0);
        let (outcome, writer) = bench.endless(Class::Read, at);
        assert!(matches!(ended(&outcome).result, Err(EngineError::TimedOut(_))));
        writers.push(writer);
    }
    eventually("it is replaced", || bench.engine.replaced_agents() == 1);
    bench.assert_works(20);
    assert_eq!(bench.engine.parked_transfers(), 3, "they are the old one's");
    // One that works is not replaced for what happened before.
    let (outcome, writer) = bench.endless(Class::Read, 4);
    assert!(matches!(ended(&outcome).result, Err(EngineError::TimedOut(_))));
    bench.assert_works(24);
    assert_eq!((bench.engine.replaced_agents(), bench.engine.parked_transfers()), (1, 4));
    drop((writers, writer));
    eventually("the parked moves end", || bench.engine.parked_transfers() == 0);
}

#[test]
fn agents_are_not_replaced_for_ever() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    let bench = Bench::new(config);
    let mut writers = Vec::new();
    for at in 0..24 {
        let (outcome, writer) = bench.endless(Class::Read, at);
        assert!(matches!(ended(&outcome).result, Err(EngineError::TimedOut(_))));
        writers.push(writer);
    }
    assert!((2..=5).contains(&bench.engine.replaced_agents()), "{}", bench.engine.replaced_agents());
    drop(writers);
    eventually("the parked moves end", || bench.engine.parked_transfers() == 0);
    bench.assert_works(30);
}

/// A job waits whenever the worker would take one, so that something is in flight all the time.
#[test]
fn an_agent_is_replaced_though_requests_keep_coming() {
    let mut config = uring(1);
    config.io_timeout = SOON;
    config.parameters.insert("ios_pool_size".to_owned(), "256".to_owned());
    let bench = Bench::new(config);
    let late = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for at in 0.. {
        let (reader, writer) = std::io::pipe().unwrap();
        writers.push(writer);
        let counts = Arc::clone(&late);
        let then = move |moved: Moved<_>| {
            if matches!(moved.result, Err(EngineError::TimedOut(_))) {
                counts.fetch_add(1, Ordering::AcqRel);
            }
            Vec::new()
        };
        let piece = Piece { memory: bench.lease(at), storage: as_storage(reader), offset: 0 };
        let request = Request::new(vec![piece], then);
        let (began, begins) = channel();
        let (late, engine) = (Arc::clone(&late), Arc::clone(&bench.engine));
        let job = move || {
            began.send((late.load(Ordering::Acquire), engine.replaced_agents())).unwrap();
            vec![Move::Load(request)]
        };
        bench.engine.submit(Class::Read, Box::new(job));
        let (late, replaced) = begins.recv_timeout(LIMIT).expect("the worker goes on");
        // No job is begun in between.
        assert_eq!(replaced, u64::from(late >= 3), "after {late} late requests");
        if replaced > 0 {
            break;
        }
    }
    drop(writers);
    eventually("the parked moves end", || bench.engine.parked_transfers() == 0);
    bench.assert_works(0);
}

#[test]
fn what_waits_for_a_new_agent_is_tried_with_it_if_the_old_one_ever_answered() {
    for has_answered in [true, false] {
        let mut config = uring(1);
        config.io_timeout = SOON;
        config.pieces_in_flight = 1;
        let bench = Bench::new(config);
        if has_answered {
            bench.assert_works(20);
        }
        let mut writers = Vec::new();
        for at in 0..2 {
            let (outcome, writer) = bench.endless(Class::Read, at);
            assert!(matches!(ended(&outcome).result, Err(EngineError::TimedOut(_))));
            writers.push(writer);
        }
        let file = bench.file("f", 5, 1);
        // Both are handed in before the third late one is posted; the other waits for it.
        let busy = bench.busy(Class::Read);
        let (_outcome, writer) = bench.endless(Class::Read, 2);
        let waits = bench.load(3, file, 0);
        drop(busy);
        let moved = ended(&waits);
        assert_eq!(bench.engine.replaced_agents(), 1);
        if has_answered {
            moved.result.unwrap();
            assert_content(&moved.memory.unwrap()[0], 5);
        } else {
            assert!(matches!(moved.result, Err(EngineError::NotTried(limit)) if limit == SOON), "{moved:?}");
        }
        drop((writers, writer));
        eventually("the parked moves end", || bench.engine.parked_transfers() == 0);
    }
}
