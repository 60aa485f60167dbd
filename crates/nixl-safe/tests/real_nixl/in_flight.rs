//! Transfers dropped, or left, while the kernel still has them: a read from an empty pipe lasts until it is written to.

use std::io::{PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::support::*;
use nixl_safe::memory::Lease;
use nixl_safe::{Part, Progress, Registration, Transfer};

const LENGTH: usize = 4096;

/// A transfer that goes on until `LENGTH` bytes are written to the pipe. Only io_uring waits for a pipe.
fn endless(bench: &Bench, offset: usize) -> (Transfer<Lease>, Registration, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let pipe = bench.backend.register_files(vec![Arc::new(OwnedFd::from(reader))]).unwrap();
    let part = Part { offset: 0, ..bench.part(0, offset, LENGTH) };
    let mut transfer = bench.backend.start_read(&bench.memory, &pipe, vec![part]).unwrap();
    assert_eq!(transfer.poll(), Progress::Pending);
    (transfer, pipe, writer)
}

#[test]
fn a_transfer_dropped_in_flight_keeps_its_memory_and_harms_no_other() {
    let Some(bench) = uring().map(Bench::new) else { return };
    let (transfer, pipe, mut writer) = endless(&bench, 0);
    drop((transfer, pipe));
    assert_eq!(bench.backend.parked_transfers(), 1);
    assert_eq!(bench.backend.in_flight(), 1);
    assert!(bench.region.lease(0, 1).is_err(), "nobody else gets the memory");
    for round in 1..50 {
        bench.assert_works(round * LENGTH, LENGTH);
    }
    assert_eq!(bench.backend.parked_transfers(), 1);

    writer.write_all(&[7; LENGTH]).unwrap();
    eventually("the parked transfer ends", || bench.clean());
    // The kernel did write, and to memory that was still kept for it.
    assert!(bench.region.lease(0, LENGTH).unwrap().as_slice().unwrap().iter().all(|&byte| byte == 7));
}

#[test]
fn a_transfer_past_its_time_limit_is_given_back_and_can_still_be_finished() {
    let Some(bench) = uring().map(Bench::new) else { return };
    let (transfer, _pipe, mut writer) = endless(&bench, 0);
    let timed_out = transfer.wait(Duration::from_millis(20)).unwrap_err();
    bench.assert_works(LENGTH, LENGTH);
    writer.write_all(&[7; LENGTH]).unwrap();
    let read = finished(timed_out.0);
    read.result.unwrap();
    assert!(read.memory[0].as_slice().unwrap().iter().all(|&byte| byte == 7));
}

#[test]
fn a_pipe_that_is_closed_ends_the_parked_transfer_with_an_error() {
    let Some(bench) = uring().map(Bench::new) else { return };
    let (transfer, pipe, writer) = endless(&bench, 0);
    drop((transfer, pipe, writer));
    eventually("the parked transfer ends", || bench.clean());
    bench.assert_works(0, LENGTH);
}

#[test]
fn many_parked_transfers_leave_the_rest_of_the_queue_usable() {
    let Some(bench) = uring().map(Bench::new) else { return };
    let writers: Vec<_> = (0..63)
        .map(|index| {
            let (transfer, pipe, writer) = endless(&bench, index * LENGTH);
            drop((transfer, pipe));
            writer
        })
        .collect();
    assert_eq!(bench.backend.parked_transfers(), 63);
    for _ in 0..5 {
        bench.assert_works(63 * LENGTH, LENGTH);
    }
    for mut writer in writers {
        writer.write_all(&[7; LENGTH]).unwrap();
    }
    eventually("the parked transfers end", || bench.clean());
}

/// Large direct reads are in flight when they are dropped, or just ended: either must be harmless.
#[test]
fn large_transfers_dropped_at_once_harm_no_other_on_both_queues() {
    for queue in queues() {
        let Some(bench) = Bench::with_file(queue, open_direct) else { return };
        for round in 0..20 {
            let whole = bench.read(&bench.files, 0, SIZE / 2);
            drop(whole);
            bench.assert_works(SIZE / 2 + (round % 8) * LENGTH, LENGTH);
            eventually("the dropped read ends", || bench.clean());
        }
    }
}

/// Agent, backend, registrations, region and transfer, dropped in each of their orders.
#[test]
fn everything_may_be_dropped_in_any_order_with_a_transfer_in_flight() {
    let orders = (0..5)
        .flat_map(|first| (0..5).flat_map(move |second| (0..5).map(move |third| [first, second, third])));
    for order in orders.filter(|[a, b, c]| a != b && b != c && a != c) {
        let Some(bench) = uring().map(Bench::new) else { return };
        let (transfer, pipe, mut writer) = endless(&bench, 0);
        let Bench { backend, region, memory, files, .. } = bench;
        let watch = region.clone();
        let mut things: Vec<Option<Box<dyn std::any::Any>>> = vec![
            Some(Box::new(backend)),
            Some(Box::new(region)),
            Some(Box::new(memory)),
            Some(Box::new((files, pipe))),
            Some(Box::new(transfer)),
        ];
        order.iter().for_each(|&index| drop(things[index].take()));
        drop(things);
        assert_eq!(watch.leased_bytes(), LENGTH, "{order:?}");
        writer.write_all(&[7; LENGTH]).unwrap();
        eventually("the transfer ends", || watch.leased_bytes() == 0);
        assert!(
            watch.lease(0, LENGTH).unwrap().as_slice().unwrap().iter().all(|&byte| byte == 7),
            "{order:?}"
        );
    }
}

#[test]
fn a_process_may_end_with_transfers_in_flight_and_parked() {
    if in_child() {
        let Some(bench) = uring().map(Bench::new) else { return };
        let (transfer, pipe, writer) = endless(&bench, 0);
        drop((transfer, pipe));
        let (left, _pipe, other_writer) = endless(&bench, LENGTH);
        // Still there when the process ends.
        std::mem::forget((bench, left, writer, other_writer));
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let library = nixl().library().parent().unwrap().to_owned();
    for _ in 0..5 {
        let test = "in_flight::a_process_may_end_with_transfers_in_flight_and_parked";
        let mut child = again(&std::env::current_exe().unwrap(), test, home.path());
        // What is left on purpose is not a leak to be reported.
        child.env("NIXL_LIB_DIR", &library).env("ASAN_OPTIONS", "detect_leaks=0");
        assert_passed(&child.output().unwrap());
    }
}
