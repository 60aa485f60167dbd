//! More in flight than NIXL's queue of 64 holds: what finds it full waits, and goes on or times out.

use std::io::{PipeWriter, Write};
use std::sync::mpsc::channel;

use super::support::*;
use l2_engine::{Class, EngineConfig, EngineError, Move, Moved, Piece, Request};
use nixl_safe::memory::Lease;

/// An engine that hands NIXL more than its queue takes.
fn too_eager() -> EngineConfig {
    let mut config = uring(1);
    config.pieces_in_flight = 1000;
    config
}

/// Fills the queue with reads of pipes, each of 16 of them.
fn fill(bench: &Bench) -> Vec<(Outcome<Lease>, Vec<PipeWriter>)> {
    let full = (0..4).map(|request| {
        let (pieces, writers) = (0..16)
            .map(|piece| {
                let (reader, writer) = std::io::pipe().unwrap();
                let memory = bench.lease(request * 16 + piece);
                (Piece { memory, storage: as_storage(reader), offset: 0 }, writer)
            })
            .unzip();
        let (load, outcome) = load(pieces);
        bench.post(Class::Read, vec![load]);
        (outcome, writers)
    });
    let full = full.collect();
    bench.settle();
    full
}

#[test]
fn what_finds_the_queue_full_goes_on_when_there_is_room() {
    let bench = Bench::new(too_eager());
    let mut full = fill(&bench);
    let (sender, log) = channel();
    let logged = |name: &'static str, at: usize| {
        let (sender, file) = (sender.clone(), bench.file(name, at, 1));
        let then = move |moved: Moved<Lease>| {
            moved.result.unwrap();
            sender.send((name, moved.memory.unwrap())).unwrap();
            Vec::new()
        };
        Move::Load(Request::new(vec![Piece { memory: bench.lease(at), storage: file, offset: 0 }], then))
    };
    // In one job: with moves that wait, a worker takes no other.
    bench.post(Class::Read, vec![logged("first", 100), logged("second", 101)]);
    let (outcome, writers) = full.remove(2);
    for mut writer in writers {
        writer.write_all(&content(9)).unwrap();
    }
    let moved = ended(&outcome);
    moved.result.unwrap();
    for memory in &moved.memory.unwrap() {
        assert_content(memory, 9);
    }
    for (name, at) in [("first", 100), ("second", 101)] {
        let (done, memory) = log.recv_timeout(LIMIT).unwrap();
        assert_eq!(done, name);
        assert_content(&memory[0], at);
    }
    for (outcome, writers) in full {
        assert!(outcome.try_recv().is_err(), "the others are still in flight");
        drop(writers);
        assert!(ended(&outcome).result.is_err(), "a pipe that is closed is a short read");
    }
    bench.assert_works(0);
    assert_eq!(bench.l1.leased_bytes(), 0);
}

/// The queue stays full of parked reads for as long as the pipes are empty.
#[test]
fn what_finds_the_queue_full_for_too_long_times_out_with_its_memory() {
    let mut config = too_eager();
    config.io_timeout = SOON;
    let bench = Bench::new(config);
    let full = fill(&bench);
    let outcome = bench.load(100, bench.file("f", 0, 1), 0);
    let moved = ended(&outcome);
    // It was handed in before the others ran out of time, and may have been looked at after.
    let late = |error: &EngineError| matches!(error, EngineError::TimedOut(limit) | EngineError::NotTried(limit) if *limit == SOON);
    assert!(moved.result.as_ref().is_err_and(late), "{moved:?}");
    assert_eq!(moved.memory.unwrap().len(), 1, "NIXL never had it");
    for (outcome, _) in &full {
        assert!(ended(outcome).memory.is_none());
    }
    assert_eq!(bench.engine.parked_transfers(), 4);
    drop(full);
    eventually("the parked moves end", || bench.engine.parked_transfers() == 0);
    bench.assert_works(0);
    eventually("all memory is free", || bench.l1.leased_bytes() == 0);
}
