//! Closing: what is in flight is ended or parked, what was not begun is dropped, and all is told.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use super::support::*;
use l2_engine::{Class, EngineError, Move, Moved, Piece, Request};
use nixl_safe::memory::Lease;

/// Closes an engine of two workers, and runs `meanwhile` when the idle first one has ended.
fn close_and_meanwhile(bench: &Bench, meanwhile: impl FnOnce()) {
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| bench.engine.close());
        eventually("the idle worker ends", || !bench.engine.is_healthy());
        meanwhile();
        closing.join().unwrap();
    });
}

#[test]
fn closing_waits_for_what_is_in_flight() {
    let bench = Bench::new(uring(2));
    // Of the class that the first worker does not take.
    let (outcomes, writers): (Vec<_>, Vec<_>) = (0..4).map(|at| bench.endless(Class::Store, at)).unzip();
    bench.settle();
    close_and_meanwhile(&bench, || {
        for (number, mut writer) in writers.into_iter().enumerate() {
            writer.write_all(&content(number)).unwrap();
        }
    });
    for (number, outcome) in outcomes.iter().enumerate() {
        let moved = outcome.try_recv().expect("closing gives every move its outcome");
        moved.result.unwrap();
        assert_content(&moved.memory.unwrap()[0], number);
    }
    assert_eq!(bench.l1.leased_bytes(), 0);
}

#[test]
fn what_a_job_asks_for_after_the_engine_began_to_close_is_refused_with_its_memory() {
    let bench = Bench::new(posix(2));
    let piece = Piece { memory: bench.lease(0), storage: bench.file("f", 0, 1), offset: 0 };
    let (load, outcome) = load(vec![piece]);
    let (go, may_go) = channel::<()>();
    let (begun, has_begun) = channel();
    let job = move || {
        begun.send(()).unwrap();
        let _ = may_go.recv();
        vec![load]
    };
    bench.engine.submit(Class::Store, Box::new(job));
    has_begun.recv_timeout(LIMIT).unwrap();
    close_and_meanwhile(&bench, || drop(go));
    let moved = outcome.try_recv().expect("closing gives every move its outcome");
    assert!(matches!(moved.result, Err(EngineError::Closed)), "{moved:?}");
    assert_eq!(moved.memory.unwrap().len(), 1);
}

#[test]
fn closing_parks_what_does_not_end_in_time() {
    let mut config = uring(1);
    config.drain_timeout = SOON;
    let bench = Bench::new(config);
    let (outcome, mut writer) = bench.endless(Class::Read, 0);
    bench.settle();
    bench.engine.close();
    let moved = outcome.try_recv().expect("closing gives every move its outcome");
    assert!(matches!(moved.result, Err(EngineError::TimedOut(limit)) if limit == SOON), "{moved:?}");
    assert!(moved.memory.is_none());
    // Agent, backend and registrations are kept for it, though the engine is gone. (What a thread has asked of an
    // io_uring ends as cancelled once the thread is gone: no bytes are to be expected.)
    assert_eq!(bench.engine.parked_transfers(), 1);
    let Bench { engine, l1, .. } = bench;
    drop(engine);
    assert_eq!(l1.leased_bytes(), PIECE);
    writer.write_all(&content(3)).unwrap();
    eventually("the parked move ends", || l1.leased_bytes() == 0);
}

/// Says that it was dropped, unless it ran.
struct Unrun(Sender<()>);

impl Drop for Unrun {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[test]
fn what_was_not_begun_is_dropped_unrun() {
    let mut config = uring(1);
    config.drain_timeout = SOON;
    config.pieces_in_flight = 1;
    let bench = Bench::new(config);
    // With this in flight there is no room for another job.
    let (outcome, _writer) = bench.endless(Class::Read, 0);
    let ran = Arc::new(AtomicUsize::new(0));
    let (sender, dropped) = channel();
    for class in [Class::Read, Class::Store, Class::Read] {
        let (ran, held) = (Arc::clone(&ran), Unrun(sender.clone()));
        let job = move || {
            let _held = held;
            ran.fetch_add(1, Ordering::AcqRel);
            Vec::new()
        };
        bench.engine.submit(class, Box::new(job));
    }
    // The first job may be taken before the engine closes, or not; the others never.
    bench.engine.close();
    assert_eq!(dropped.try_iter().count(), 3, "all are gone when closing returns");
    assert_eq!(ran.load(Ordering::Acquire), 0);
    assert!(outcome.try_recv().is_ok_and(|moved| moved.memory.is_none()) || bench.l1.leased_bytes() == 0);
}

#[test]
fn what_is_submitted_after_closing_is_dropped_at_once() {
    let bench = Bench::new(posix(2));
    bench.engine.close();
    for class in [Class::Read, Class::Store] {
        let (sender, dropped) = channel();
        let held = Unrun(sender);
        let job = move || {
            let _held = held;
            panic!("it does not run");
        };
        bench.engine.submit(class, Box::new(job));
        dropped.try_recv().expect("the job is dropped");
    }
    bench.engine.close();
    assert_eq!(bench.engine.parked_transfers(), 0);
    assert_eq!(bench.engine.workers(), 2);
}

/// As a file system does whose server is gone.
#[test]
fn closing_leaves_a_job_behind_that_hangs_for_longer_than_the_storage_may() {
    let mut config = posix(1);
    config.drain_timeout = SOON;
    let bench = Bench::new(config);
    let (sender, dropped) = channel();
    let held = Unrun(sender);
    let hangs = bench.busy(Class::Read);
    let job = move || {
        let _held = held;
        Vec::new()
    };
    bench.engine.submit(Class::Read, Box::new(job));
    bench.engine.close();
    dropped.try_recv().expect("what was not begun is dropped all the same");
    drop(hangs);
}

/// Each end asks for the same again, for ever: closing comes to an end all the same.
#[test]
fn closing_ends_what_never_ends_by_itself() {
    fn again(piece: Piece<Lease>, told: Sender<()>) -> Move {
        let (storage, offset) = (piece.storage.clone(), piece.offset);
        let then = move |moved: Moved<Lease>| {
            let _ = told.send(());
            let memory = moved.memory.into_iter().flatten();
            memory
                .map(|memory| again(Piece { memory, storage: storage.clone(), offset }, told.clone()))
                .collect()
        };
        Move::Load(Request::new(vec![piece], then))
    }
    let mut config = uring(1);
    config.drain_timeout = SOON;
    let bench = Bench::new(config);
    let file = bench.file("f", 0, 1);
    let (told, ends) = channel();
    let moves = vec![again(Piece { memory: bench.lease(0), storage: file, offset: 0 }, told)];
    bench.post(Class::Read, moves);
    for _ in 0..10 {
        ends.recv_timeout(LIMIT).unwrap();
    }
    bench.engine.close();
    eventually("the memory is free", || bench.l1.leased_bytes() == 0);
}

#[test]
fn a_job_may_hold_the_engine_and_be_the_last_to_drop_it() {
    let bench = Bench::new(posix(3));
    let Bench { engine, .. } = bench;
    let last = Arc::clone(&engine);
    let (go, may_go) = channel::<()>();
    let (sender, done) = channel();
    let job = move || {
        let _ = may_go.recv();
        assert_eq!(Arc::strong_count(&last), 1);
        drop(last);
        sender.send(()).unwrap();
        Vec::new()
    };
    engine.submit(Class::Read, Box::new(job));
    drop(engine);
    drop(go);
    done.recv_timeout(LIMIT).expect("the engine closed from within");
}
