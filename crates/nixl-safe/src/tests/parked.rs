//! Transfers that are dropped in flight.

use super::*;
use crate::ErrorKind;
use crate::parking;

#[test]
fn a_transfer_dropped_in_flight_keeps_its_memory_and_its_room_until_nixl_is_done() {
    let stage = Stage::with(&[("ios_pool_size", "64")]);
    drop(stage.read(Script::held(), 0, 4096));
    assert_eq!(stage.backend.parked_transfers(), 1);
    assert_eq!(stage.backend.in_flight(), 1);
    assert_eq!(stage.region.leased_bytes(), 4096);
    assert!(stage.region.lease(4095, 1).is_err(), "nobody else gets the memory");
    let refused = stage.backend.start_read(&stage.memory, &stage.files, {
        (1..=64).map(|index| stage.part(4096 + index * 64, 16)).collect()
    });
    assert_eq!(refused.unwrap_err().error.kind(), ErrorKind::QueueFull, "nobody else gets the room");
    assert_eq!(stage.alive("request"), 1);

    stage.open_gate();
    eventually("the parked transfer ends", || stage.clean());
    assert_eq!(stage.alive("request"), 0);
    assert!(stage.region.lease(0, SIZE).is_ok());
}

#[test]
fn other_transfers_go_on_while_one_is_parked() {
    let stage = Stage::new();
    drop(stage.read(Script::held(), 0, 4096));
    for round in 1..20 {
        let read = stage.read(Script::default(), round * 4096, 4096).wait(LIMIT).unwrap();
        read.result.unwrap();
        assert_pattern(read.memory[0].as_slice().unwrap(), round * 4096);
    }
    assert_eq!(stage.backend.parked_transfers(), 1);
    stage.open_gate();
    eventually("the parked transfer ends", || stage.clean());
}

#[test]
fn parked_transfers_that_fail_are_freed_like_any_other() {
    let stage = Stage::new();
    for index in 0..10 {
        drop(stage.read(Script { end: -2, ..Script::held() }, index * 4096, 4096));
    }
    assert_eq!(stage.backend.parked_transfers(), 10);
    stage.open_gate();
    eventually("the parked transfers end", || stage.clean());
}

#[test]
fn a_timed_out_transfer_that_is_dropped_is_parked() {
    let stage = Stage::new();
    let timed_out = stage.read(Script::held(), 0, 4096).wait(Duration::ZERO).unwrap_err();
    drop(timed_out);
    assert_eq!(stage.backend.parked_transfers(), 1);
    stage.open_gate();
    eventually("the parked transfer ends", || stage.clean());
}

#[test]
fn a_parked_write_reads_its_memory_at_the_end_and_finds_it_unchanged() {
    let stage = Stage::new();
    stage.file.set_len(0).unwrap();
    stage.script(Script::held());
    let bytes = patterned(&stage.region, 0, 4096);
    drop(stage.backend.start_write(&stage.memory, &stage.files, vec![part(bytes, 0)]).unwrap());
    assert_eq!(stage.region.leased_bytes(), 4096, "frozen until it is written");
    stage.open_gate();
    eventually("the parked transfer ends", || stage.clean());
    let mut written = vec![0; 4096];
    stage.file.read_exact_at(&mut written, 0).unwrap();
    assert_pattern(&written, 0);
}

#[test]
fn the_thread_that_watches_ends_when_nothing_is_left_and_starts_again() {
    for _ in 0..3 {
        let stage = Stage::new();
        drop(stage.read(Script::held(), 0, 4096));
        assert!(parking::is_watched(), "a thread watches");
        stage.open_gate();
        eventually("the parked transfer ends", || stage.clean());
        // Other tests park as well; their transfers end too.
        eventually("the thread ends", || !parking::is_watched());
    }
}

#[test]
fn transfers_parked_by_many_threads_at_once_all_end() {
    let stages: Vec<_> = (0..4).map(|_| Stage::new()).collect();
    std::thread::scope(|scope| {
        for stage in &stages {
            scope.spawn(|| (0..25).for_each(|index| drop(stage.read(Script::held(), index * 4096, 4096))));
        }
    });
    for stage in &stages {
        assert_eq!(stage.backend.parked_transfers(), 25);
        stage.open_gate();
    }
    for stage in &stages {
        eventually("the parked transfers end", || stage.clean());
    }
}
