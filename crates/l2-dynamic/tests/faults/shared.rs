//! Two adapters, and two processes, on one directory: no wrong byte, and no object lost but those that were deleted.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use l2_core::testing::Host;
use l2_core::testing::fixtures::{Seeded, key, keys};
use l2_core::{Deleted, ErrorKind, ObjectKey, Stored};

use crate::cache::{Cache, close, counted, must_load_of};
use crate::child;

const SEED: &str = "L2_DYNAMIC_TEST_SEED";

#[test]
fn what_one_stores_the_other_finds_and_what_one_deletes_the_other_misses() {
    for cache in [Cache::fresh(), Cache::fresh().sharded().uring()] {
        let (one, other) = (cache.host(20), cache.host(20));
        counted(&other, &[]);
        one.must_store(&keys(6));
        other.must_hit(&keys(6));
        other.must_load(&keys(6));
        // Its pins are its own: it learns by loading that another process has deleted them.
        one.must_delete(&keys(3));
        assert_eq!(other.load(&keys(6)).bitmap(), [false, false, false, true, true, true]);
        other.must_miss(&keys(3));
        other.must_use(3);
        other.must_store(&keys(3));
        one.must_load(&keys(6));
        assert_eq!(cache.objects().len(), 6);
    }
}

#[test]
fn the_same_keys_stored_by_both_at_once_are_all_there() {
    for cache in [Cache::fresh(), Cache::fresh().sharded().uring()] {
        let hosts = [cache.host(400), cache.host(400)];
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            for host in &hosts {
                scope.spawn(|| {
                    for round in 0..8 {
                        let batch: Vec<_> = (round * 40..(round + 1) * 40).map(key).collect();
                        together.wait();
                        for outcome in host.store(&batch).outcomes {
                            let stored = outcome.result.unwrap();
                            assert!(matches!(stored, Stored::Written { .. } | Stored::AlreadyPresent));
                        }
                        host.must_load(&batch);
                    }
                });
            }
        });
        for host in &hosts {
            host.must_use(320);
            host.must_load(&keys(320));
        }
        assert_eq!(cache.objects().len(), 320);
    }
}

/// Stores, loads, looks up and deletes the same few keys as everybody else. What was loaded is checked by the host.
fn mix(host: &Host, seed: u64, steps: usize) {
    let mut seeded = Seeded::new(seed);
    for _ in 0..steps {
        let batch: Vec<ObjectKey> = (0..1 + seeded.below(6)).map(|_| key(seeded.next_u64() % 16)).collect();
        match seeded.below(4) {
            0 | 1 => {
                for outcome in host.store(&batch).outcomes {
                    // A key is busy while another thread of this adapter deletes it.
                    let refused = outcome.result.err().filter(|error| error.kind() != ErrorKind::Busy);
                    assert!(refused.is_none(), "{refused:?}");
                }
            }
            2 => {
                for outcome in host.load(&batch).outcomes {
                    let failed = outcome.result.err().filter(|error| !error.is_miss());
                    assert!(failed.is_none(), "{failed:?}");
                }
            }
            _ => {
                for answer in host.delete(&batch).answers {
                    assert!(!matches!(answer, Deleted::Failed(_)), "{answer:?}");
                }
            }
        }
        let looked = host.lookup(&batch);
        let hits: Vec<_> = looked.hits().map(|(key, _)| key.clone()).collect();
        host.adapter.unlock(&hits);
    }
}

/// After everybody has stopped: each key can be had by all, and the disk holds what is counted.
#[track_caller]
fn assert_all_can_be_had(cache: &Cache, hosts: &[&Host]) {
    for host in hosts {
        // A load first: that is how one learns what another has deleted.
        drop(host.load(&keys(16)));
        for outcome in host.store(&keys(16)).outcomes {
            outcome.result.unwrap();
        }
    }
    for host in hosts {
        host.must_load(&keys(16));
        host.must_use(16);
    }
    assert_eq!(cache.objects().len(), 16);
}

#[test]
fn two_adapters_mix_everything_on_the_same_keys() {
    for cache in [Cache::fresh(), Cache::fresh().sharded().uring()] {
        let hosts = [cache.host(100), cache.host(100)];
        std::thread::scope(|scope| {
            for (number, host) in hosts.iter().chain(&hosts).enumerate() {
                scope.spawn(move || mix(host, number as u64, 150));
            }
        });
        assert_all_can_be_had(&cache, &[&hosts[0], &hosts[1]]);
    }
}

/// One stores, loads and deletes; the other only loads, and finds the file gone again and again.
#[test]
fn who_only_reads_takes_no_object_from_who_stores_it() {
    let cache = Cache::fresh();
    let (writer, reader) = (cache.host(20), cache.host(20));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                drop(reader.load(&keys(4)));
            }
        });
        let stopped = Stop(&done);
        for _ in 0..1500 {
            writer.must_store(&keys(4));
            writer.must_load(&keys(4));
            writer.must_delete(&keys(4));
        }
        drop(stopped);
    });
}

/// Says that it is over, also when a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn cache(directory: &Path) -> Cache {
    Cache::at(directory).sharded()
}

#[test]
fn three_processes_mix_everything_on_the_same_keys() {
    if let Some(directory) = child::given() {
        let host = cache(&directory).host(100);
        mix(&host, std::env::var(SEED).unwrap().parse().unwrap(), 150);
        return close(host);
    }
    let home = Cache::fresh();
    let cache = cache(home.path());
    let test = "shared::three_processes_mix_everything_on_the_same_keys";
    let children = [100, 200].map(|seed| {
        let mut command = child::again(&[], test, cache.path());
        command.env(SEED, seed.to_string()).spawn().unwrap()
    });
    let host = cache.host(100);
    mix(&host, 300, 300);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_all_can_be_had(&cache, &[&host]);
    close(host);
    let host = cache.host(100);
    counted(&host, &cache.objects());
    must_load_of(&host, &cache.objects());
}

/// Without locks between processes, an adapter that is not to persist removes what others share with it.
#[test]
fn an_adapter_that_does_not_persist_leaves_misses_to_the_others_and_no_wrong_byte() {
    let cache = Cache::fresh();
    let (kept, purged) = (cache.host(20), cache.clone().persisting(false).host(20));
    kept.must_store(&keys(10));
    purged.must_hit(&keys(10));
    close(purged);
    assert_eq!(kept.load(&keys(10)).bitmap(), [false; 10]);
    kept.must_store(&keys(10));
    kept.must_load(&keys(10));
    kept.must_use(10);
}

/// As when another process found it first, and stored it anew while this one was reading.
#[test]
fn healing_removes_no_good_file_that_has_taken_the_place_of_the_wrong_one() {
    let cache = Cache::fresh().checked().objects_of(64 << 20);
    let host = cache.host(1);
    host.must_store(&[key(1)]);
    let (path, good) = (cache.file(&key(1)), cache.path().join(".good"));
    let copied = Command::new("cp").args(["-a"]).args([&path, &good]).status().unwrap();
    assert!(copied.success());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[!fs::read(&good).unwrap()[5]], 5).unwrap();
    drop(file);
    let task = host.adapter.submit_load(vec![host.blank(&key(1))]);
    let is_open = || {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|open| open == path)
    };
    host.eventually("it is being read", is_open);
    fs::rename(&good, &path).unwrap();
    let outcome = host.wait(task).outcomes.remove(0);
    assert!(outcome.result.is_err());
    drop(outcome.memory);
    host.must_load(&[key(1)]);
}

#[test]
fn what_was_not_to_be_served_is_when_another_process_has_stored_it_anew() {
    let cache = Cache::fresh();
    let host = cache.host(4);
    host.must_store(&keys(2));
    close(host);
    let checked = cache.clone().checked();
    let (one, other) = (checked.host(4), checked.host(4));
    for host in [&one, &other] {
        host.eventually("all is counted", || !host.adapter.status().recovering);
        host.must_miss(&keys(2));
        assert_eq!(host.adapter.usage().used_bytes, 2 * 4096, "they take room");
    }
    other.must_store(&keys(2));
    one.must_hit(&keys(2));
    one.must_load(&keys(2));
    assert_eq!(one.adapter.usage().used_bytes, 2 * 4096);
    one.adapter.unlock(&keys(2));
    one.must_delete(&keys(2));
    assert_eq!(one.adapter.usage().used_bytes, 0);
}
