//! Each way in which NIXL's C interface goes wrong, shown to be out of reach or to be an error.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::support::*;
use nixl_safe::memory::{Lease, Region};
use nixl_safe::{ErrorKind, Part, Refused, Registration, TransferMemory};

/// The outcome of a transfer, whether it was refused at the start or failed later: some queues see a fault at once.
fn outcome<M: TransferMemory>(
    started: Result<nixl_safe::Transfer<M>, Refused<M>>,
) -> Result<(), nixl_safe::Error> {
    match started {
        Ok(transfer) => finished(transfer).result,
        Err(refused) => {
            assert!(!refused.memory.is_empty(), "NIXL has let go of the memory");
            Err(refused.error)
        }
    }
}

#[track_caller]
fn assert_failed(bench: &Bench, result: Result<(), nixl_safe::Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.plugin()), (ErrorKind::Failed, Some("POSIX")), "{error}");
    assert!(bench.clean(), "all is given back after: {error}");
    // A queue that an error had wedged or poisoned would not do this.
    for offset in [0, 4096, 8192] {
        bench.assert_works(offset, 4096);
    }
}

#[test]
fn more_descriptors_than_the_pool_are_refused_and_the_queue_works_on() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let parts = |count| (0..count).map(|index| bench.part(0, index * 64, 64)).collect::<Vec<_>>();
        let refused = bench.backend.start_read(&bench.memory, &bench.files, parts(65)).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
        assert_eq!(refused.memory.len(), 65);
        drop(refused);
        bench.assert_works(0, 4096);
        let full = bench.backend.start_read(&bench.memory, &bench.files, parts(64)).unwrap();
        let one = bench.part(0, 8192, 64);
        let refused = bench.backend.start_read(&bench.memory, &bench.files, vec![one]).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::QueueFull, "in flight until they are seen to have ended");
        drop(refused);
        finished(full).result.unwrap();
        bench.assert_works(8192, 64);
    }
}

#[test]
fn the_queue_that_one_error_poisons_is_refused() {
    let agent = nixl().agent("test").unwrap();
    for yes in ["true", "1", "YES"] {
        let error = agent.backend("POSIX", [("use_posix_aio", yes)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    agent.backend("POSIX", [("use_posix_aio", "false")]).unwrap();
}

#[test]
fn a_file_that_is_too_short_is_an_error() {
    for queue in queues() {
        let bench = Bench::new(queue);
        for offset in [SIZE - 4095, SIZE, 10 * SIZE] {
            let part = Part { offset: offset as u64, ..bench.part(0, 0, 4096) };
            assert_failed(&bench, outcome(bench.backend.start_read(&bench.memory, &bench.files, vec![part])));
        }
    }
}

#[test]
fn the_tail_of_a_direct_file_is_an_error_when_more_is_asked_than_there_is() {
    for queue in queues() {
        let Some(bench) = Bench::with_file(queue, open_direct) else { return };
        let part = Part { offset: (SIZE - 4096) as u64, ..bench.part(0, 0, 8192) };
        assert_failed(&bench, outcome(bench.backend.start_read(&bench.memory, &bench.files, vec![part])));
    }
}

#[test]
fn a_file_opened_for_the_other_direction_is_an_error_and_its_neighbours_are_served() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let read_only = register(&bench.backend, File::open(&bench.path).unwrap());
        let write_only = OpenOptions::new().write(true).open(&bench.path).unwrap();
        let write_only = register(&bench.backend, write_only);
        let neighbours: Vec<_> = (1..8).map(|index| bench.read(&bench.files, index * 65536, 32768)).collect();
        let bytes = filled(&bench.region, 3, 0, 4096);
        let write = vec![Part { memory: bytes, index: 0, offset: 0 }];
        let write = outcome(bench.backend.start_write(&bench.memory, &read_only, write));
        let read =
            outcome(bench.backend.start_read(&bench.memory, &write_only, vec![bench.part(0, 4096, 4096)]));
        for (neighbour, index) in neighbours.into_iter().zip(1..) {
            let neighbour = finished(neighbour);
            neighbour.result.unwrap();
            assert_pattern(neighbour.memory[0].as_slice().unwrap(), 0, index * 65536);
        }
        assert_failed(&bench, write);
        assert_failed(&bench, read);
    }
}

#[test]
fn a_directory_and_a_device_that_is_full_are_errors() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let directory = register(&bench.backend, File::open(bench.path.parent().unwrap()).unwrap());
        let read = bench.backend.start_read(&bench.memory, &directory, vec![bench.part(0, 0, 4096)]);
        assert_failed(&bench, outcome(read));
        let full = register(&bench.backend, OpenOptions::new().write(true).open("/dev/full").unwrap());
        let part = Part { memory: filled(&bench.region, 3, 0, 4096), index: 0, offset: 0 };
        assert_failed(&bench, outcome(bench.backend.start_write(&bench.memory, &full, vec![part])));
    }
}

/// Parts before and after a bad one: what was begun of the request must have ended when its memory comes back.
#[test]
fn one_bad_part_fails_its_request_and_nothing_writes_to_the_memory_afterwards() {
    const PARTS: usize = 64;
    const EACH: usize = 16 << 10;
    for queue in queues() {
        for open in [|path: &Path| Some(open(path)), open_direct] {
            let Some(bench) = Bench::with_file(queue, open) else { return };
            for bad in [0, 1, 20, 63] {
                let write_only = OpenOptions::new().write(true).open(&bench.path).unwrap();
                let good = open(&bench.path).unwrap();
                let files = bench
                    .backend
                    .register_files(vec![Arc::new(good.into()), Arc::new(write_only.into())])
                    .unwrap();
                let parts = (0..PARTS).map(|index| bench.part(usize::from(index == bad), index * EACH, EACH));
                let parts = parts.collect();
                let mut memory = match bench.backend.start_read(&bench.memory, &files, parts) {
                    Err(refused) => refused.memory,
                    Ok(transfer) => {
                        let read = finished(transfer);
                        assert!(read.result.is_err(), "part {bad} is bad");
                        read.memory
                    }
                };
                assert_eq!(memory.len(), PARTS);
                let ours = |lease: &mut Lease| lease.as_mut_slice().unwrap().fill(0xEE);
                memory.iter_mut().for_each(ours);
                // Lets whatever is still queued be moved.
                let other = Bench::new(queue);
                (0..8).for_each(|_| other.assert_works(0, 65536));
                let region = Region::allocate(EACH).unwrap();
                let registered = bench.backend.register_memory(&region).unwrap();
                for _ in 0..8 {
                    let part = Part { memory: region.lease(0, EACH).unwrap(), index: 0, offset: 0 };
                    let read = finished(bench.backend.start_read(&registered, &files, vec![part]).unwrap());
                    read.result.unwrap();
                }
                let touched =
                    memory.iter().any(|lease| lease.as_slice().unwrap().iter().any(|&byte| byte != 0xEE));
                assert!(!touched, "NIXL wrote to memory that it had given back, after part {bad} failed");
            }
        }
    }
}

#[test]
fn what_a_transfer_uses_may_be_dropped_as_soon_as_it_has_started() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let Bench { backend, region, memory, files, .. } = bench;
        let lease = region.lease(0, SIZE).unwrap();
        let part = Part { memory: lease, index: 0, offset: 0 };
        let read = backend.start_read(&memory, &files, vec![part]).unwrap();
        drop((files, memory, backend, region));
        // The number of its file is not given to another one.
        let others: Vec<_> = (0..20).map(|_| File::open("/dev/zero").unwrap()).collect();
        let read = finished(read);
        read.result.unwrap();
        assert_pattern(read.memory[0].as_slice().unwrap(), 0, 0);
        drop(others);
    }
}

#[test]
fn a_file_registered_often_is_usable_until_its_last_registration_ends() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let file = Arc::new(open(&bench.path).into());
        let mut all: Vec<Registration> =
            (0..5).map(|_| bench.backend.register_files(vec![Arc::clone(&file); 3]).unwrap()).collect();
        while let Some(last) = all.pop() {
            let part = Part { index: 2, ..bench.part(0, 0, 4096) };
            let read = finished(bench.backend.start_read(&bench.memory, &last, vec![part]).unwrap());
            read.result.unwrap();
            assert_pattern(read.memory[0].as_slice().unwrap(), 0, 0);
        }
    }
}

/// Writes until it fails, in a place where there is less room than that.
fn write_until_full(directory: &Path) {
    for queue in queues() {
        let bench = Bench::new(queue);
        let path = directory.join("big");
        let big = register(&bench.backend, open(&path));
        let write = |offset: usize| {
            let part = Part { memory: filled(&bench.region, 3, 0, SIZE), index: 0, offset: offset as u64 };
            outcome(bench.backend.start_write(&bench.memory, &big, vec![part]))
        };
        let failed = (0..64).find_map(|round| write(round * SIZE).err());
        assert_failed(&bench, Err(failed.expect("there is less room than 64 MiB")));
        std::fs::remove_file(&path).unwrap();
    }
}

/// Where the child is to write.
const TARGET: &str = "NIXL_SAFE_TEST_TARGET";

fn child_writes_to_target() -> bool {
    let target = std::env::var_os(TARGET).map(PathBuf::from);
    target.inspect(|directory| write_until_full(directory)).is_some()
}

/// Runs the named test again under a shell, as its last command.
fn under_shell(mut shell: Command, test: &str, target: &Path) -> std::process::Output {
    shell.arg(std::env::current_exe().unwrap()).args(only(test)).env(TARGET, target);
    shell.output().unwrap()
}

#[test]
fn a_write_past_the_limit_on_file_sizes_is_an_error() {
    if child_writes_to_target() {
        return;
    }
    let directory = directory();
    let mut shell = Command::new("sh");
    // 4096 blocks of 512 or 1024 bytes, as the shell counts; the signal would end the process.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 4096 && exec \"$0\" \"$@\""]);
    let test = "hazards::a_write_past_the_limit_on_file_sizes_is_an_error";
    assert_passed(&under_shell(shell, test, directory.path()));
}

#[test]
fn a_full_file_system_is_an_error() {
    if child_writes_to_target() {
        return;
    }
    let directory = directory();
    let mut shell = Command::new("unshare");
    // A name space of its own: the file system goes with the child, and no rights are needed.
    let script =
        "mount -t tmpfs -o size=4m nixl-safe-test \"$NIXL_SAFE_TEST_TARGET\" || exit 77; exec \"$0\" \"$@\"";
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    shell.env(TARGET, directory.path());
    let test = "hazards::a_full_file_system_is_an_error";
    let usable = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    if !usable.is_ok_and(|status| status.success()) {
        skipped("no name spaces for unprivileged users here");
        return;
    }
    let output = under_shell(shell, test, directory.path());
    if output.status.code() == Some(77) {
        skipped(&format!("cannot mount here: {}", String::from_utf8_lossy(&output.stderr)));
        return;
    }
    assert_passed(&output);
}
