//! A transfer from start to finish: bytes, outcomes, time limits.

use super::*;
use crate::Progress;

#[test]
fn a_read_fills_its_memory_with_the_files_bytes() {
    let stage = Stage::new();
    let read = stage.read(Script::default(), 4096, 10_000).wait(LIMIT).unwrap();
    read.result.unwrap();
    assert_pattern(read.memory[0].as_slice().unwrap(), 4096);
    drop(read.memory);
    assert!(stage.clean());
}

#[test]
fn a_write_puts_its_memory_into_the_file() {
    let stage = Stage::new();
    stage.file.set_len(0).unwrap();
    let bytes = patterned(&stage.region, 500, 2000);
    let kept = bytes.clone();
    let write = stage.backend.start_write(&stage.memory, &stage.files, vec![part(bytes, 7)]).unwrap();
    write.wait(LIMIT).unwrap().result.unwrap();
    let mut written = vec![0; 2000];
    stage.file.read_exact_at(&mut written, 7).unwrap();
    assert_eq!(written, kept.as_slice().unwrap());
}

#[test]
fn many_parts_of_one_request_each_find_their_place() {
    let stage = Stage::new();
    let read = stage.backend.start_read(&stage.memory, &stage.files, stage.parts(200)).unwrap();
    let read = read.wait(LIMIT).unwrap();
    read.result.unwrap();
    assert_eq!(read.memory.len(), 200);
    for (index, lease) in read.memory.iter().enumerate() {
        assert_eq!(lease.offset(), index * 16, "the memory comes back in order");
        assert_pattern(lease.as_slice().unwrap(), index * 16);
    }
}

#[test]
fn a_transfer_ends_when_nixl_says_so_and_not_before() {
    let stage = Stage::new();
    let mut read = stage.read(Script { polls: 3, ..Script::default() }, 0, 16);
    for _ in 0..3 {
        assert_eq!(read.poll(), Progress::Pending);
    }
    assert_eq!(stage.backend.in_flight(), 1);
    assert_eq!(read.poll(), Progress::Done);
    assert_eq!(read.poll(), Progress::Done, "asked again, it says the same");
    assert_eq!(stage.backend.in_flight(), 0);
    assert_eq!(stage.alive("request"), 0, "released as soon as it has ended");
    read.finish().unwrap().result.unwrap();
}

#[test]
fn a_transfer_under_way_cannot_be_finished_and_is_given_back() {
    let stage = Stage::new();
    let read = stage.read(Script::held(), 0, 16).finish().unwrap_err();
    stage.open_gate();
    read.wait(LIMIT).unwrap().result.unwrap();
}

#[test]
fn a_wait_that_runs_out_gives_the_transfer_back_and_it_can_be_waited_for_again() {
    let stage = Stage::new();
    let read = stage.read(Script::held(), 0, 16);
    let timed_out = read.wait(Duration::ZERO).unwrap_err();
    let timed_out = timed_out.0.wait(Duration::from_millis(5)).unwrap_err();
    assert_eq!(stage.region.leased_bytes(), 16, "it still owns its memory");
    stage.open_gate();
    let read = timed_out.0.wait(LIMIT).unwrap();
    read.result.unwrap();
    assert_pattern(read.memory[0].as_slice().unwrap(), 0);
}

#[test]
fn a_failed_transfer_gives_its_memory_back_with_the_error() {
    let stage = Stage::new();
    let read = stage.read(Script { end: -2, ..Script::default() }, 0, 4096).wait(LIMIT).unwrap();
    let error = read.result.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Failed);
    assert_eq!(error.call(), Some("nixl_capi_get_xfer_status"));
    assert_eq!((error.plugin(), error.status()), (Some("POSIX"), Some(-2)));
    assert_eq!(read.memory.len(), 1);
    drop(read.memory);
    assert!(stage.clean());
}

#[test]
fn a_post_that_is_done_at_once_is_a_transfer_like_any_other() {
    let stage = Stage::new();
    let read = stage.read(Script { post: 0, polls: 0, ..Script::default() }, 64, 64);
    let read = read.wait(LIMIT).unwrap();
    read.result.unwrap();
    assert_pattern(read.memory[0].as_slice().unwrap(), 64);
}
