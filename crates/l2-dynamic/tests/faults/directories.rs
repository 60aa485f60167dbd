//! Directories that are removed under a running adapter: what was in them misses, and stores make them again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use l2_core::testing::fixtures::{key, keys};

use crate::cache::{Cache, close};

#[test]
fn after_rm_rf_everything_misses_and_stores_make_it_again() {
    for cache in [Cache::fresh(), Cache::fresh().sharded(), Cache::fresh().sharded().uring()] {
        let host = cache.host(20);
        host.must_store(&keys(10));
        fs::remove_dir_all(cache.path()).unwrap();

        let load = host.load(&keys(10));
        assert!(
            load.outcomes.iter().all(|outcome| outcome.result.as_ref().is_err_and(|e| e.is_miss())),
            "{load:?}"
        );
        host.must_miss(&keys(12));
        host.must_use(0);
        assert!(!cache.path().exists(), "a look makes no directory");

        host.must_store(&keys(20));
        host.must_load(&keys(20));
        host.must_use(20);
        assert_eq!(cache.objects().len(), 20);
        let mode = fs::metadata(cache.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        close(host);
        cache.host(20).must_load(&keys(20));
    }
}

#[test]
fn after_rm_rf_a_store_needs_no_load_to_find_out() {
    for cache in [Cache::fresh(), Cache::fresh().sharded()] {
        let host = cache.host(20);
        host.must_store(&keys(5));
        fs::remove_dir_all(cache.path()).unwrap();
        // Of keys that the index does not know.
        let fresh: Vec<_> = (5..15).map(key).collect();
        host.must_store(&fresh);
        host.must_load(&fresh);
        // The index believes in the others until they are read.
        assert_eq!(host.load(&keys(5)).bitmap(), [false; 5]);
        host.must_store(&keys(5));
        host.must_load(&keys(15));
        host.must_use(15);
    }
}

#[test]
fn what_was_removed_with_its_directory_can_be_deleted() {
    for cache in [Cache::fresh(), Cache::fresh().sharded()] {
        let host = cache.host(20);
        host.must_store(&keys(10));
        fs::remove_dir_all(cache.path()).unwrap();
        host.must_delete(&keys(10));
        host.must_use(0);
        assert!(!cache.path().exists());
    }
}

#[test]
fn a_directory_that_somebody_made_again_is_the_one_that_counts() {
    let cache = Cache::fresh();
    let host = cache.host(20);
    host.must_store(&keys(5));
    fs::remove_dir_all(cache.path()).unwrap();
    let other = cache.host(20);
    other.must_store(&keys(3));
    // Found in the new directory: two of the five are missed.
    assert_eq!(host.load(&keys(5)).bitmap(), [true, true, true, false, false]);
    host.must_store(&[key(3), key(4)]);
    other.must_load(&keys(5));
}

#[test]
fn a_shard_that_is_removed_takes_its_objects_and_no_others() {
    let cache = Cache::fresh().sharded();
    let host = cache.host(20);
    host.must_store(&keys(20));
    let shard = cache.file(&key(7));
    let outer = shard.parent().unwrap().parent().unwrap();
    let lost = keys(20).into_iter().filter(|key| cache.file(key).starts_with(outer)).collect::<Vec<_>>();
    fs::remove_dir_all(outer).unwrap();
    let load = host.load(&keys(20));
    for (key, loaded) in keys(20).iter().zip(load.bitmap()) {
        assert_eq!(loaded, !lost.contains(key), "{key}");
    }
    drop(load);
    host.must_miss(&lost);
    host.must_store(&lost);
    host.must_load(&keys(20));
    host.must_use(20);
}

/// A file where a directory should be is in the way: an error, and the rest goes on.
#[test]
fn a_file_in_the_place_of_a_shard_fails_its_objects_alone() {
    let cache = Cache::fresh().sharded();
    let host = cache.host(20);
    let shard = cache.file(&key(7));
    let outer = shard.parent().unwrap().parent().unwrap();
    let hit = |key: &_| cache.file(key).starts_with(outer);
    fs::write(outer, "in the way").unwrap();
    let report = host.store(&keys(20));
    for (key, outcome) in keys(20).iter().zip(&report.outcomes) {
        assert_eq!(outcome.result.is_err(), hit(key), "{key}: {:?}", outcome.result);
        if let Err(error) = &outcome.result {
            assert_eq!(error.path(), Some(&*cache.file(key)), "{error}");
        }
    }
    drop(report);
    let stored = keys(20).into_iter().filter(|key| !hit(key)).collect::<Vec<_>>();
    host.must_load(&stored);
    host.must_use(stored.len());
    host.must_miss(&[key(7)]);
    assert_eq!(fs::read(outer).unwrap(), b"in the way");
}

#[test]
fn a_link_in_the_place_of_a_shard_is_not_followed() {
    let cache = Cache::fresh().sharded();
    let host = cache.host(20);
    let shard = cache.file(&key(7));
    let outer = shard.parent().unwrap().parent().unwrap();
    let outside = cache.path().parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, outer).unwrap();
    assert!(host.store(&[key(7)]).outcomes[0].result.is_err());
    assert!(host.load(&[key(7)]).outcomes[0].result.is_err());
    assert_eq!(host.present(&key(7)), None);
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
    assert_eq!(host.adapter.usage().used_bytes, 0);
}

#[test]
fn a_directory_that_was_moved_away_is_left_alone() {
    let cache = Cache::fresh();
    let host = cache.host(40);
    host.must_store(&keys(4));
    let old = cache.path().with_extension("old");
    fs::rename(cache.path(), &old).unwrap();
    fs::create_dir(cache.path()).unwrap();
    let next: Vec<_> = (10..14).map(key).collect();
    host.must_store(&next);
    assert_eq!(cache.objects().len(), 4);
    host.must_miss(&keys(4));
    host.must_load(&next);
    host.must_use(4);
    fs::remove_dir_all(cache.path()).unwrap();
    fs::rename(&old, cache.path()).unwrap();
    host.must_load(&keys(4));
}

#[test]
fn what_was_moved_away_is_kept_though_nothing_is_to_persist() {
    let cache = Cache::fresh().persisting(false);
    let host = cache.host(40);
    host.must_store(&keys(4));
    let old = cache.path().with_extension("old");
    fs::rename(cache.path(), &old).unwrap();
    close(host);
    assert_eq!(
        fs::read_dir(&old).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count(),
        4
    );
}

#[test]
fn after_rm_rf_a_full_cache_takes_stores_at_once() {
    let cache = Cache::fresh();
    let host = cache.host(4);
    host.must_store(&keys(4));
    fs::remove_dir_all(cache.path()).unwrap();
    host.must_store(&(10..14).map(key).collect::<Vec<_>>());
    host.must_use(4);
    assert_eq!(host.adapter.status().healed.of(l2_core::Damage::Gone), 4);
}

#[test]
fn a_delete_reaches_a_file_that_is_never_served() {
    let cache = Cache::fresh();
    let host = cache.host(4);
    fs::write(cache.file(&key(1)), b"").unwrap();
    host.must_miss(&[key(1)]);
    assert!(matches!(host.delete(&[key(1)]).answers[0], l2_core::Deleted::Freed { bytes: 0 }));
    assert!(!cache.file(&key(1)).exists());
    host.must_use(0);
}

#[test]
fn what_was_moved_away_with_nothing_in_its_place_is_neither_served_nor_deleted() {
    let cache = Cache::fresh();
    let host = cache.host(40);
    host.must_store(&keys(4));
    let old = cache.path().with_extension("old");
    fs::rename(cache.path(), &old).unwrap();
    assert_eq!(host.load(&keys(2)).bitmap(), [false; 2]);
    host.delete(&keys(4));
    host.must_use(0);
    assert_eq!(
        fs::read_dir(&old).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count(),
        4
    );
    host.must_store(&[key(7)]);
    assert_eq!(cache.objects().len(), 1);
}

#[test]
fn what_a_directory_holds_that_is_put_in_place_counts() {
    let cache = Cache::fresh();
    let host = cache.host(8);
    host.must_store(&keys(4));
    let old = cache.path().with_extension("old");
    fs::rename(cache.path(), &old).unwrap();
    fs::create_dir(cache.path()).unwrap();
    host.must_store(&[key(10)]);
    fs::remove_dir_all(cache.path()).unwrap();
    fs::rename(&old, cache.path()).unwrap();
    host.must_store(&[key(20)]);
    // Nobody has asked for the others.
    host.eventually("they are counted", || host.adapter.usage().used_bytes == 5 * 4096);
    assert_eq!(cache.objects().len(), 5);
}
