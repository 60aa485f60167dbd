//! The pool of files that an engine is started with: memory scattered over it, and gathered again.

use super::support::*;
use l2_engine::{Class, EngineError, Piece, Storage, Stretch};
use nixl_safe::memory::Lease;

const BYTES: u64 = PIECE as u64;

fn stretches(of: &[(usize, u64, u64)]) -> Storage {
    let stretch = |&(file, offset, length)| Stretch { file, offset, length };
    Storage::Pool(of.iter().map(stretch).collect())
}

fn content_of(lease: &Lease, from: usize) -> Vec<u8> {
    lease.as_slice().unwrap()[from * PIECE..(from + 1) * PIECE].to_vec()
}

#[test]
fn memory_is_scattered_over_the_files_and_gathered_from_them() {
    for config in [posix(1), uring(2)] {
        let bench = Bench::with_pool(config, 3, 4);
        let mut whole = bench.l1.lease(0, 4 * PIECE).unwrap();
        for (at, bytes) in whole.as_mut_slice().unwrap().chunks_mut(PIECE).enumerate() {
            bytes.copy_from_slice(&content(at));
        }
        // Pieces 0 and 1 to the second file, 2 to the third, 3 to the first.
        let place = stretches(&[(1, BYTES, 2 * BYTES), (2, 0, BYTES), (0, 3 * BYTES, BYTES)]);
        let (all, outcome) = store(vec![Piece { memory: whole.freeze(), storage: place.clone(), offset: 0 }]);
        bench.post(Class::Store, vec![all]);
        ended(&outcome).result.unwrap();

        let memory = bench.l1.lease(8 * PIECE, 4 * PIECE).unwrap();
        let (all, outcome) = load(vec![Piece { memory, storage: place.clone(), offset: 0 }]);
        bench.post(Class::Read, vec![all]);
        let moved = ended(&outcome);
        moved.result.unwrap();
        for at in 0..4 {
            assert_eq!(content_of(&moved.memory.as_ref().unwrap()[0], at), content(at));
        }

        // The offset is in what the stretches make together; each part is where it was put.
        let (part, outcome) =
            load(vec![Piece { memory: bench.lease(20), storage: place, offset: 2 * BYTES }]);
        bench.post(Class::Read, vec![part]);
        assert_content(&ended(&outcome).memory.unwrap()[0], 2);
        let (part, outcome) = load(vec![Piece {
            memory: bench.lease(21),
            storage: stretches(&[(1, 2 * BYTES, BYTES)]),
            offset: 0,
        }]);
        bench.post(Class::Read, vec![part]);
        assert_content(&ended(&outcome).memory.unwrap()[0], 1);
    }
}

#[test]
fn stretches_that_are_too_short_or_of_no_file_are_refused_with_the_memory() {
    let bench = Bench::with_pool(posix(1), 2, 4);
    let (all, outcome) =
        load(vec![Piece { memory: bench.lease(0), storage: stretches(&[(0, 0, BYTES - 1)]), offset: 0 }]);
    bench.post(Class::Read, vec![all]);
    let moved = ended(&outcome);
    assert!(matches!(moved.result, Err(EngineError::Malformed(_))), "{:?}", moved.result);
    let (all, outcome) =
        load(vec![Piece { memory: bench.lease(1), storage: stretches(&[(2, 0, BYTES)]), offset: 0 }]);
    bench.post(Class::Read, vec![all]);
    let moved = ended(&outcome);
    assert!(moved.result.is_err());
    assert_eq!(moved.memory.map(|memory| memory.len()), Some(1));
}

#[test]
fn an_object_in_hundreds_of_stretches_is_moved_in_rounds() {
    let bench = Bench::with_pool(posix(1), 200, 1);
    let mut whole = bench.l1.lease(0, 200 * PIECE).unwrap();
    for (at, bytes) in whole.as_mut_slice().unwrap().chunks_mut(PIECE).enumerate() {
        bytes.copy_from_slice(&content(at));
    }
    let place: Vec<(usize, u64, u64)> = (0..200).map(|file| (199 - file, 0, BYTES)).collect();
    let place = stretches(&place);
    let (all, outcome) = store(vec![Piece { memory: whole.freeze(), storage: place.clone(), offset: 0 }]);
    bench.post(Class::Store, vec![all]);
    let moved = ended(&outcome);
    moved.result.unwrap();
    drop(moved.memory);
    let mut memory = bench.l1.lease(0, 200 * PIECE).unwrap();
    memory.as_mut_slice().unwrap().fill(0);
    let (all, outcome) = load(vec![Piece { memory, storage: place, offset: 0 }]);
    bench.post(Class::Read, vec![all]);
    let moved = ended(&outcome);
    moved.result.unwrap();
    for at in 0..200 {
        assert_eq!(content_of(&moved.memory.as_ref().unwrap()[0], at), content(at), "piece {at}");
    }
}
