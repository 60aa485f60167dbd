//! Whose turn it is: reads before stores, but no store waits for ever, and a worker that takes no stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::support::*;
use l2_engine::{Class, Engine, EngineConfig};

/// Submits a job that says what it is, and where it runs.
fn submit<T: Send + 'static>(engine: &Engine, class: Class, log: &Sender<(T, String)>, what: T) {
    let log = log.clone();
    let job = move || {
        log.send((what, thread::current().name().unwrap_or_default().to_owned())).unwrap();
        Vec::new()
    };
    engine.submit(class, Box::new(job));
}

fn next<T>(log: &Receiver<T>) -> T {
    log.recv_timeout(LIMIT).expect("it ends within a minute")
}

#[test]
fn reads_go_before_stores_that_were_there_first() {
    let bench = Bench::new(posix(1));
    let (sender, log) = channel();
    let busy = bench.busy(Class::Store);
    for number in 0..10 {
        submit(&bench.engine, Class::Store, &sender, ("store", number));
        submit(&bench.engine, Class::Read, &sender, ("read", number));
    }
    drop(busy);
    let order: Vec<_> = (0..20).map(|_| next(&log).0).collect();
    let expected: Vec<_> =
        ["read", "store"].iter().flat_map(|what| (0..10).map(move |n| (*what, n))).collect();
    assert_eq!(order, expected);
}

#[test]
fn of_several_workers_the_first_takes_no_stores() {
    for workers in [2, 4] {
        let bench = Bench::new(posix(workers));
        let (sender, log) = channel();
        // While all workers that take stores are busy with one, reads go on.
        let busy: Vec<_> = (1..workers).map(|_| bench.busy(Class::Store)).collect();
        for number in 0..20 {
            submit(&bench.engine, Class::Store, &sender, number);
        }
        let (read, reads) = channel();
        submit(&bench.engine, Class::Read, &read, 0);
        assert_eq!(next(&reads).1, "nixl-l2:io-0");
        assert!(log.try_recv().is_err(), "no store has run");
        drop(busy);
        for _ in 0..20 {
            assert_ne!(next(&log).1, "nixl-l2:io-0");
        }
    }
}

#[test]
fn the_only_worker_takes_stores() {
    let bench = Bench::new(posix(1));
    let (sender, log) = channel();
    submit(&bench.engine, Class::Store, &sender, ());
    assert_eq!(next(&log).1, "nixl-l2:io-0");
}

/// A read that is followed by another, until it is told to stop.
fn endless_reads(engine: &Arc<Engine>, stop: &Arc<AtomicBool>, count: &Arc<AtomicUsize>) {
    let (next, stop, count) = (Arc::clone(engine), Arc::clone(stop), Arc::clone(count));
    let job = move || {
        if !stop.load(Ordering::Acquire) {
            count.fetch_add(1, Ordering::AcqRel);
            endless_reads(&next, &stop, &count);
        }
        Vec::new()
    };
    engine.submit(Class::Read, Box::new(job));
}

/// A worker that is idle between jobs blocks for the next; one with moves in flight asks for it in passing.
fn assert_a_store_gets_its_turn(config: EngineConfig, in_flight: usize) {
    let bench = Bench::new(config);
    let pipes: Vec<_> = (0..in_flight).map(|at| bench.endless(Class::Read, at)).collect();
    bench.settle();
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let busy = bench.busy(Class::Read);
    let (sender, stored) = channel();
    let at = Arc::clone(&count);
    let job = move || {
        sender.send(at.load(Ordering::Acquire)).unwrap();
        Vec::new()
    };
    bench.engine.submit(Class::Store, Box::new(job));
    for _ in 0..3 {
        endless_reads(&bench.engine, &stop, &count);
    }
    drop(busy);
    let reads_before = next(&stored);
    stop.store(true, Ordering::Release);
    assert!((1..=64).contains(&reads_before), "{reads_before} reads went before the store");
    bench.settle();
    drop(pipes);
}

#[test]
fn a_store_gets_its_turn_among_endless_reads() {
    assert_a_store_gets_its_turn(posix(1), 0);
}

#[test]
fn a_store_gets_its_turn_among_endless_reads_and_moves_in_flight() {
    assert_a_store_gets_its_turn(uring(1), 3);
}
