//! Use from many threads.

use super::*;
use crate::{Error, Finished, Progress, Refused, TimedOut};

fn send<T: Send>() {}
fn sync<T: Sync>() {}

#[test]
fn what_may_go_to_another_thread_can() {
    send::<Transfer<Lease>>();
    send::<Transfer<SharedLease>>();
    send::<(Finished<Lease>, Refused<Lease>, TimedOut<Lease>, Part<Lease>)>();
    send::<(Nixl, Agent, Backend, Registration, Error)>();
    sync::<(Nixl, Agent, Backend, Registration, Error)>();
}

#[test]
fn a_transfer_started_on_one_thread_is_polled_and_finished_on_others() {
    let stage = Stage::new();
    let mut read = stage.read(Script { polls: 2, ..Script::default() }, 0, 4096);
    assert_eq!(read.poll(), Progress::Pending);
    let finished = std::thread::scope(|scope| scope.spawn(move || read.wait(LIMIT).unwrap()).join().unwrap());
    finished.result.unwrap();
    assert_pattern(finished.memory[0].as_slice().unwrap(), 0);
}

#[test]
fn four_threads_share_an_agent() {
    const THREADS: usize = 4;
    const EACH: usize = SIZE / THREADS;
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let stage = &stage;
            scope.spawn(move || {
                for round in 0..200 {
                    let offset = thread * EACH + (round * 977) % (EACH - 4096);
                    // Files come and go meanwhile, the same one among them.
                    let file = Arc::new(stage.file.try_clone().unwrap().into());
                    let files = stage.backend.register_files(vec![file]).unwrap();
                    let part = stage.part(offset, 4096);
                    let read = stage.backend.start_read(&stage.memory, &files, vec![part]).unwrap();
                    drop(files);
                    let read = read.wait(LIMIT).unwrap();
                    read.result.unwrap();
                    assert_pattern(read.memory[0].as_slice().unwrap(), offset);
                }
            });
        }
    });
    assert!(stage.clean());
    assert_eq!(stage.alive("registered"), 2);
}

#[test]
fn one_file_registered_and_dropped_by_many_threads_is_there_for_each_of_their_requests() {
    let stage = Stage::new();
    let file: Arc<std::os::fd::OwnedFd> = Arc::new(stage.file.try_clone().unwrap().into());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stage, file) = (&stage, &file);
            scope.spawn(move || {
                for _ in 0..200 {
                    let files = stage.backend.register_files(vec![Arc::clone(file)]).unwrap();
                    let part = stage.part(thread * 4096, 4096);
                    let read = stage.backend.start_read(&stage.memory, &files, vec![part]).unwrap();
                    drop(files);
                    read.wait(LIMIT).unwrap().result.unwrap();
                }
            });
        }
    });
    assert_eq!(stage.alive("registered"), 2);
}
