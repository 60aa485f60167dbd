//! A panic in an adapter's code loses its own request, and nothing else.

use std::sync::mpsc::channel;

use super::support::*;
use l2_engine::{Class, Move, Piece, Request};

#[test]
fn a_job_that_panics_loses_only_itself() {
    for workers in [1, 3] {
        let bench = Bench::new(posix(workers));
        for round in 0..10 {
            // What the job held is dropped, which is how an adapter hears of it.
            let (held, dropped) = channel::<()>();
            let memory = bench.lease(0);
            let job = move || {
                let _held = (memory, held);
                panic!("on purpose, round {round}");
            };
            bench.engine.submit(Class::Read, Box::new(job));
            assert!(dropped.recv_timeout(LIMIT).is_err());
            bench.assert_works(1);
        }
        assert!(bench.engine.is_healthy());
        eventually("the leases are free", || bench.l1.leased_bytes() == 0);
    }
}

#[test]
fn an_end_that_panics_loses_only_itself() {
    for config in [posix(1), uring(1), posix(3)] {
        let bench = Bench::new(config);
        let file = bench.file("f", 0, 8);
        for round in 0..10 {
            let (held, dropped) = channel::<()>();
            let piece = Piece { memory: bench.lease(0), storage: file.clone(), offset: 0 };
            let then = move |moved| {
                let _held = (moved, held);
                panic!("on purpose, round {round}");
            };
            // A neighbour from the same job.
            let neighbour = Piece { memory: bench.lease(1), storage: file.clone(), offset: PIECE as u64 };
            let (neighbour, outcome) = load(vec![neighbour]);
            bench.post(Class::Read, vec![Move::Load(Request::new(vec![piece], then)), neighbour]);
            assert!(dropped.recv_timeout(LIMIT).is_err());
            let moved = ended(&outcome);
            moved.result.unwrap();
            assert_content(&moved.memory.unwrap()[0], 1);
        }
        bench.assert_works(2);
        assert!(bench.engine.is_healthy());
        eventually("the leases are free", || bench.l1.leased_bytes() == 0);
    }
}
