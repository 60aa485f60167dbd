//! The examples on POSIX: on a disk, and on a file system in memory.

use std::fs::{self, File};
use std::path::Path;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use nixl_l2::paths::{Layout, key_to_path};
use nixl_l2::{ErrorKind, ObjectKey, StoreItem};
use tempfile::TempDir;

use crate::examples::{
    DYNAMIC_POSIX, DYNAMIC_WITH_EVICTION, DYNAMIC_WITHOUT_PERSIST, STATIC_POSIX, exchanged,
};
use crate::support::{PAGE, files_in, home, host, objects_live, skipped};

const GIB: u64 = 1 << 30;

/// A place on each file system that there is.
fn homes() -> Vec<TempDir> {
    let mut homes = vec![home()];
    match tempfile::tempdir_in("/dev/shm") {
        Ok(home) => homes.push(home),
        Err(error) => skipped(&format!("no file system in memory: /dev/shm: {error}")),
    }
    homes
}

/// A file as an earlier run could have left it, which takes no room on the disk.
fn put(directory: &Path, key: &ObjectKey, bytes: u64) {
    fs::create_dir_all(directory).unwrap();
    File::create(file_of(directory, key)).unwrap().set_len(bytes).unwrap();
}

fn file_of(directory: &Path, key: &ObjectKey) -> std::path::PathBuf {
    directory.join(key_to_path(key, Layout::Flat))
}

/// Waits until all that an earlier run left is counted.
fn counted(host: &Host, objects: u64) {
    host.eventually("what is on the disk is counted", || {
        let status = host.adapter.status();
        !status.recovering && status.stored_objects == objects
    });
}

#[test]
fn the_static_pool_on_posix_has_64_slots_of_a_page_for_objects_of_one_and_of_four() {
    for home in homes() {
        let path = home.path().join("lmcache/l2");
        let host = host(&STATIC_POSIX.at(&path));
        assert_eq!(host.adapter.usage().capacity_bytes, 64 * PAGE as u64);
        let pool = host.adapter.status().pool.unwrap();
        assert_eq!((pool.slots, pool.slot_bytes, pool.free_slots), (64, PAGE as u64, 64));
        objects_live(&host, PAGE, PAGE as u64);
        objects_live(&host, 16 << 10, 16 << 10);
        host.must_store(&keys(64));
        host.must_load(&keys(64));
        let report = host.store(&[key(64)]);
        assert_eq!(report.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
        // The pool's files have no names.
        assert_eq!(files_in(&path), 0);
        host.adapter.close().unwrap();
        assert_eq!(files_in(&path), 0);
    }
}

#[test]
fn a_chunk_of_32_mib_does_not_fit_the_static_pool_on_posix_and_the_error_has_the_sum() {
    let home = home();
    let host = host(&STATIC_POSIX.at(home.path()));
    let memory = host.lease(32 << 20).freeze();
    let report = host.store_items(vec![StoreItem { key: key(1), memory }]);
    let error = report.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let text = error.to_string();
    for part in [
        "33554432 bytes",
        "262144 bytes",
        "pool_size 64 times file_size 4096",
        "set file_size to 33554432",
        "pool_size to 8192",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    host.must_store(&keys(64));
}

#[test]
fn the_dynamic_adapter_on_posix_keeps_its_files_and_finds_them_again() {
    for home in homes() {
        let path = home.path().join("lmcache/l2");
        let json = DYNAMIC_POSIX.at(&path);
        let first = host(&json);
        assert_eq!(first.adapter.usage().capacity_bytes, 10 * GIB);
        for bytes in [PAGE, 16 << 10, 5001] {
            objects_live(&first, bytes, bytes as u64);
        }
        assert_eq!(files_in(&path), 0);
        first.must_store(&keys(3));
        first.adapter.close().unwrap();
        drop(first);
        for key in keys(3) {
            assert_eq!(fs::metadata(file_of(&path, &key)).unwrap().len(), PAGE as u64);
        }
        assert_eq!(files_in(&path), 3);

        let second = host(&json);
        second.must_hit(&keys(3));
        second.must_load(&keys(3));
        second.adapter.unlock(&keys(3));
        second.must_delete(&keys(3));
        assert_eq!(files_in(&path), 0);
    }
}

#[test]
fn without_persist_the_dynamic_adapter_deletes_all_its_files_at_shutdown() {
    for home in homes() {
        let path = home.path().join("lmcache/l2");
        let json = DYNAMIC_WITHOUT_PERSIST.at(&path);
        let first = host(&json);
        objects_live(&first, 16 << 10, 16 << 10);
        first.must_store(&keys(3));
        assert_eq!(files_in(&path), 3);
        first.adapter.close().unwrap();
        assert_eq!(files_in(&path), 0);
        drop(first);
        host(&json).must_miss(&keys(3));
    }
}

#[test]
fn the_dynamic_adapter_rejects_what_would_pass_10_gib() {
    let home = home();
    for number in 0..10 {
        put(home.path(), &key(100 + number), GIB - if number == 0 { PAGE as u64 } else { 0 });
    }
    let host = host(&DYNAMIC_POSIX.at(home.path()));
    host.must_store(&[key(0)]);
    assert_eq!(host.used(), 10 * GIB);
    let report = host.store(&[key(1)]);
    let error = report.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let text = error.to_string();
    assert!(text.contains("10737418240") && text.contains("max_capacity_gb"), "{text}");
    host.must_delete(&[key(0)]);
    host.must_store(&[key(1)]);
}

/// The example is for GDS: here it has POSIX in its place.
#[test]
fn with_eviction_the_least_recently_used_tenth_goes_when_90_percent_of_50_gib_are_used() {
    let home = home();
    let watermark = 45 * GIB;
    for number in 0..45 {
        put(home.path(), &key(number), GIB - if number == 0 { PAGE as u64 } else { 0 });
    }
    let host = host(&exchanged(&DYNAMIC_WITH_EVICTION.at(home.path()), r#""GDS""#, r#""POSIX""#));
    assert_eq!(host.adapter.usage().capacity_bytes, 50 * GIB);
    counted(&host, 45);
    // What was counted last is not what was used last.
    let hot: Vec<_> = (20..25).map(key).collect();
    assert_eq!(host.lookup(&hot).prefix_hits(), 5);
    host.adapter.unlock(&hot);
    assert_eq!(host.used(), watermark - PAGE as u64, "a page below the watermark");
    assert_eq!(files_in(home.path()), 45);

    host.must_store(&[key(100)]);
    host.eventually("usage is below the watermark", || host.used() < watermark);
    counted(&host, 42);
    // Those that go are out of sight together, and are removed one by one.
    host.eventually("4 of 46, a tenth, are removed", || files_in(home.path()) == 42);
    for key in hot.iter().chain([&key(100)]) {
        assert!(host.present(key).is_some(), "{key} was used last");
    }
    host.must_load(&[key(100)]);
    host.must_delete(&[key(100)]);
}
