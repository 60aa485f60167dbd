//! Temporaries of other processes: those of the dead are removed when an adapter opens, all else stays.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use l2_core::testing::fixtures::{key, keys};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock};

use crate::cache::{Cache, TEMPORARIES, close, everything};

#[test]
fn those_of_the_dead_are_removed_and_those_of_the_living_and_of_strangers_stay() {
    let cache = Cache::fresh();
    let place = cache.path().join(TEMPORARIES);
    fs::create_dir_all(&place).unwrap();
    // As the adapter names them: process, time, number.
    for dead in ["1-0-0", "4194303-18c2f0a7b3d4e5f6-12", "77-18c2f0a7b3d4e5f6-18446744073709551615"] {
        fs::write(place.join(dead), "half an object").unwrap();
    }
    let living = place.join("78-18c2f0a7b3d4e5f6-3");
    fs::write(&living, "half an object").unwrap();
    let lock = File::open(&living).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();

    for foreign in ["README", "1-2", "1-2-3.txt", "x-2-3", "1-2-3-4", "notes-abc-7"] {
        fs::write(place.join(foreign), "not ours").unwrap();
    }
    fs::create_dir(place.join("5-5-5")).unwrap();
    symlink("README", place.join("6-6-6")).unwrap();
    rustix::fs::mknodat(CWD, place.join("7-7-7"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for beside in ["report.tmp.csv", "1-0-0", "m_00000000_0_abcd.bin.tmp.00112233445566778899aabbccddeeff"] {
        fs::write(cache.path().join(beside), "not ours").unwrap();
    }
    let before = everything(cache.path());

    let host = cache.host(3);
    host.must_store(&keys(1));
    host.must_delete(&keys(1));
    close(host);
    let left = everything(cache.path());
    let gone: Vec<_> = before.iter().filter(|path| !left.contains(path)).map(String::as_str).collect();
    let dead = ["1-0-0", "4194303-18c2f0a7b3d4e5f6-12", "77-18c2f0a7b3d4e5f6-18446744073709551615"];
    assert_eq!(gone, dead.map(|name| format!("{TEMPORARIES}/{name}")));
    assert_eq!(left.len() + 3, before.len(), "{left:?}");

    // Its process has died since.
    drop(lock);
    close(cache.host(3));
    assert!(!living.exists());
    assert_eq!(everything(cache.path()).len() + 1, left.len());
}

#[test]
fn a_store_leaves_no_temporary_whatever_becomes_of_it() {
    for cache in [Cache::fresh(), Cache::fresh().sharded()] {
        let host = cache.host(10);
        host.must_store(&keys(5));
        // Replaced, which takes a temporary name for a moment.
        for bytes in [8192, 4096, 5] {
            let batch = keys(5).iter().map(|key| host.item_of(key, bytes)).collect();
            for outcome in host.store_items(batch).outcomes {
                outcome.result.unwrap();
            }
            assert_eq!(fs::read_dir(cache.path().join(TEMPORARIES)).unwrap().count(), 0);
        }
        // And one that cannot be published, for a directory is in the way.
        fs::create_dir_all(cache.file(&key(9))).unwrap();
        assert!(host.store(&[key(9)]).outcomes[0].result.is_err());
        assert_eq!(fs::read_dir(cache.path().join(TEMPORARIES)).unwrap().count(), 0);
        assert_eq!(cache.objects().len(), 5);
    }
}
