//! Processes that are killed in the middle of stores: nothing is left of their pool.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use l2_core::testing::fixtures::{key, keys};

use crate::child::{self, Root};
use crate::pool::TMPFS;
use crate::pool::{PAGE, Pool, free_bytes, home};

const STORING: &str = "L2_STATIC_TEST_STORES";
const ON_A_DISK: &str = "killed::of_a_process_that_is_killed_while_it_stores_nothing_is_left";
const IN_MEMORY: &str = "killed::of_a_process_that_is_killed_while_it_stores_nothing_is_left_in_memory";

fn pool(directory: &Path, round: u64) -> Pool {
    Pool::at(&directory.join("l2"), 50).of(4 * PAGE).uring(round % 2 == 1)
}

/// What the child does until it is killed.
fn store_for_ever(directory: &Path, round: u64) {
    let pool = pool(directory, round);
    let host = pool.host(16 << 20);
    let mut out = std::io::stdout();
    // It ends by itself should nobody kill it.
    for number in 0..5000 {
        let batch: Vec<_> = (0..50).map(|key| host.item_of(&self::key(key), 3 * PAGE + 1)).collect();
        let stored = host.adapter.submit_store(batch);
        if number > 0 {
            writeln!(out, "stores {number}").unwrap();
        }
        host.wait(stored);
        host.delete(&keys(50));
    }
}

/// Kills a child that stores, a few times, and looks at what is left of its pool.
fn assert_killed_leaves_nothing(test: &str, directory: &Path, alone_on_the_disk: bool) {
    let free = free_bytes(directory);
    for round in 0..4 {
        let mut command = child::again(&[], test, directory);
        command.env(STORING, round.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        while told <= round {
            let line = lines.next().expect("the child stores until it is killed").unwrap();
            told += u64::from(line.starts_with("stores "));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        let pool = pool(directory, round);
        assert_eq!(pool.visible(), [""; 0], "round {round}");
        if alone_on_the_disk {
            // io_uring lets go of its files a moment after its process has ended.
            let start = Instant::now();
            while free_bytes(directory) + (64 << 10) < free {
                assert!(start.elapsed() < Duration::from_secs(30), "{} of {free}", free_bytes(directory));
                std::thread::yield_now();
            }
        }
        // The next one can have all of it, and finds nothing.
        let host = pool.host(16 << 20);
        host.must_miss(&keys(50));
        host.must_store(&keys(200));
        host.must_load(&keys(200));
    }
}

fn round() -> Option<u64> {
    std::env::var(STORING).ok().map(|round| round.parse().unwrap())
}

#[test]
fn of_a_process_that_is_killed_while_it_stores_nothing_is_left() {
    match (child::given(), round()) {
        (Some(directory), Some(round)) => store_for_ever(&directory, round),
        _ => assert_killed_leaves_nothing(ON_A_DISK, home().path(), false),
    }
}

#[test]
fn of_a_process_that_is_killed_while_it_stores_nothing_is_left_in_memory() {
    match (child::given(), round()) {
        (Some(directory), Some(round)) => store_for_ever(&directory, round),
        (Some(directory), None) => assert_killed_leaves_nothing(IN_MEMORY, &directory, true),
        _ => child::must_pass_with_a_mount(Root::Mapped, IN_MEMORY, &home().path().join("disk"), TMPFS),
    }
}
