//! Processes that are killed in the middle of stores: what is found afterwards is whole, and nothing else is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use l2_core::ObjectKey;
use l2_core::testing::Host;
use l2_core::testing::fixtures::{Seeded, key};

use crate::cache::{Cache, TEMPORARIES, close, counted, must_load_of};
use crate::child;

const TEST: &str = "killed::what_a_killed_process_left_is_whole_and_counted";
const ROUND: &str = "L2_DYNAMIC_TEST_ROUND";
/// Objects of a batch, half of them small enough to share a request.
const BATCH: u64 = 12;
/// Keys whose objects are replaced, again and again, by ones of another length.
const CHANGING: u64 = 1 << 40;

fn cache(directory: &Path, round: u64) -> Cache {
    let cache = Cache::at(directory).objects_of(32 << 10);
    // The layout is the directory's; the queue may be another each time.
    let cache = if directory.ends_with("sharded") { cache.sharded() } else { cache };
    if round.is_multiple_of(2) { cache } else { cache.uring() }
}

fn length(host: &Host, key: u64) -> usize {
    if key.is_multiple_of(2) { host.object_bytes } else { 600 << 10 }
}

fn batch(round: u64, number: u64) -> std::ops::Range<u64> {
    let first = (round * 1000 + number) * BATCH;
    first..first + BATCH
}

/// What the child does until it is killed.
fn store_for_ever(directory: &Path, round: u64) {
    let host = cache(directory, round).host(100_000);
    let mut out = std::io::stdout();
    // It ends by itself should nobody kill it.
    for number in 0..60 {
        let items = batch(round, number).map(|number| host.item_of(&key(number), length(&host, number)));
        for outcome in host.store_items(items.collect()).outcomes {
            outcome.result.unwrap();
        }
        for changing in 0..3 {
            let bytes = 4096 * (1 + usize::try_from((number + changing) % 7).unwrap());
            let item = host.item_of(&key(CHANGING + changing), bytes);
            host.store_items(vec![item]).outcomes.remove(0).result.unwrap();
        }
        writeln!(out, "stored {number}").unwrap();
    }
}

/// Kills a child after so many batches, and gives the keys that it had told of.
fn kill_one(directory: &Path, round: u64, batches: u64) -> Vec<ObjectKey> {
    let mut command = child::again(&[], TEST, directory);
    command.env(ROUND, round.to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = 0;
    while told < batches {
        let line = lines.next().expect("the child stores until it is killed").unwrap();
        told += u64::from(line.starts_with("stored "));
    }
    // It has begun the next batch by now, or is about to.
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    (0..told).flat_map(|number| batch(round, number)).map(key).collect()
}

#[test]
fn what_a_killed_process_left_is_whole_and_counted() {
    if let Some(directory) = child::given() {
        return store_for_ever(&directory, std::env::var(ROUND).unwrap().parse().unwrap());
    }
    let mut seeded = Seeded::new(0x6b69_6c6c);
    for layout in ["flat", "sharded"] {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let directory = home.path().join(layout);
        let mut stored = Vec::new();
        for round in 0..4 {
            stored.extend(kill_one(&directory, round, 1 + seeded.next_u64() % 5));
            let cache = cache(&directory, round);
            let host = cache.host(100_000);
            // Every file is an object (this panics otherwise), and every object is counted.
            let on_disk = cache.objects();
            counted(&host, &on_disk);
            must_load_of(&host, &on_disk);
            for key in &stored {
                assert!(host.present(key).is_some(), "{key} was stored before the process was killed");
            }
            assert_eq!(std::fs::read_dir(directory.join(TEMPORARIES)).unwrap().count(), 0);
            close(host);
        }
        // A last one finds and serves all that was ever stored, and can go on.
        let host = cache(&directory, 0).host(100_000);
        for key in &stored {
            assert!(host.present(key).is_some(), "{key}");
        }
        let new = [key(CHANGING - 1)];
        host.must_store(&new);
        host.must_load(&new);
    }
}
