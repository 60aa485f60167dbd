//! Many threads: with an agent each, and sharing one.

use std::sync::Arc;

use super::support::*;
use nixl_safe::Part;
use nixl_safe::memory::Region;

const THREADS: usize = 4;
const ROUNDS: usize = 100;
const EACH: usize = 16 << 10;

/// Writes a file of its own and reads it back, over and over: opened, registered and closed each time.
fn work(bench: &Bench, thread: usize) {
    let path = bench.path.with_extension(thread.to_string());
    let mine = thread * 2 * EACH;
    for round in 0..ROUNDS {
        let seed = thread * ROUNDS + round;
        let files = register(&bench.backend, open(&path));
        let mut lease = bench.region.lease(mine, EACH).unwrap();
        let bytes = lease.as_mut_slice().unwrap();
        bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = pattern(seed, index));
        let part = Part { memory: lease.freeze(), index: 0, offset: 0 };
        let write = bench.backend.start_write(&bench.memory, &files, vec![part]).unwrap();
        drop(files);
        finished(write).result.unwrap();

        let files = register(&bench.backend, open(&path));
        let part = Part { offset: 0, ..bench.part(0, mine + EACH, EACH) };
        let read = finished(bench.backend.start_read(&bench.memory, &files, vec![part]).unwrap());
        read.result.unwrap();
        assert_pattern(read.memory[0].as_slice().unwrap(), seed, 0);
    }
}

#[test]
fn four_threads_with_an_agent_each_get_their_own_bytes() {
    for queue in queues() {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || work(&Bench::new(queue), thread));
            }
        });
    }
}

#[test]
fn four_threads_on_one_agent_get_their_own_bytes() {
    for queue in queues() {
        let bench = Bench::new(queue);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let bench = &bench;
                scope.spawn(move || work(bench, thread));
            }
        });
        assert!(bench.clean());
    }
}

/// NIXL would answer a request with any registration of the file, and free it under that request's post.
#[test]
fn threads_that_register_and_drop_one_file_never_end_each_others_registration() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let file = Arc::new(open(&bench.path).into());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (bench, file) = (&bench, &file);
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        let files = bench.backend.register_files(vec![Arc::clone(file)]).unwrap();
                        let read = bench.read(&files, thread * EACH, EACH);
                        drop(files);
                        let read = finished(read);
                        read.result.unwrap();
                        assert_pattern(read.memory[0].as_slice().unwrap(), 0, thread * EACH);
                    }
                });
            }
        });
    }
}

#[test]
fn agents_come_and_go_on_many_threads() {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..30 {
                    let backend = posix(uring().unwrap_or(DEFAULT));
                    let region = Region::allocate(4096).unwrap();
                    let _memory = backend.register_memory(&region).unwrap();
                    backend.query_files(&["/"]).unwrap();
                    nixl().agent("other").unwrap().plugin("POSIX").unwrap();
                }
            });
        }
    });
}
