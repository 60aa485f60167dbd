//! Full disks: what was written is whole, what was not is told, and nothing is left of it.

use std::path::Path;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, ObjectKey, StoreReport, Stored};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::cache::{Cache, close, counted, store_of};
use crate::child::{self, Root};

const TMPFS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";
/// It reserves no space, so that a write fails in the middle.
const RAMFS: &str = "mkdir -p \"$DIR\" && mount -t ramfs none \"$DIR\"";

/// The keys that were written; the others must have failed as `kind`, with path, key and length.
#[track_caller]
fn written(cache: &Cache, keys: &[ObjectKey], report: &StoreReport, kind: ErrorKind) -> Vec<ObjectKey> {
    let mut written = Vec::new();
    for (key, outcome) in keys.iter().zip(&report.outcomes) {
        match &outcome.result {
            Ok(Stored::Written { .. }) => written.push(key.clone()),
            Err(error) => {
                assert_eq!(error.kind(), kind, "{error}");
                assert_eq!(error.path(), Some(&*cache.file(key)), "{error}");
                assert_eq!(error.key(), Some(key), "{error}");
                assert!(error.range().is_some(), "{error}");
            }
            other => panic!("{key}: {other:?}"),
        }
        assert!(outcome.memory.is_some(), "the lease comes back");
    }
    written
}

/// Exactly these are there: in the index, on the disk, and after a restart.
#[track_caller]
fn assert_there(cache: &Cache, host: Host, objects: &[ObjectKey], others: &[ObjectKey]) {
    host.must_use(objects.len());
    host.must_load(objects);
    host.must_miss(others);
    let mut on_disk: Vec<_> = cache.objects().into_iter().map(|(key, _)| key.to_string()).collect();
    let mut expected: Vec<_> = objects.iter().map(ToString::to_string).collect();
    on_disk.sort();
    expected.sort();
    assert_eq!(on_disk, expected);
    close(host);
    let host = cache.host(1000);
    counted(&host, &cache.objects());
    host.must_load(objects);
    host.must_miss(others);
}

fn partition(all: &[ObjectKey], written: &[ObjectKey]) -> Vec<ObjectKey> {
    all.iter().filter(|key| !written.contains(key)).cloned().collect()
}

#[test]
fn of_four_objects_two_fit_on_the_disk_and_two_are_full() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::of_four_objects_two_fit_on_the_disk_and_two_are_full";
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), TMPFS);
    };
    for (name, uring) in [("aio", false), ("uring", true)] {
        // One worker that stores: two that reserve at once could each take what the other needs.
        let cache = Cache::at(&directory.join(name)).objects_of(3 << 20).workers(2);
        let cache = if uring { cache.uring() } else { cache };
        let host = cache.host(4);
        let report = host.store(&keys(4));
        let there = written(&cache, &keys(4), &report, ErrorKind::Full);
        assert_eq!(there.len(), 2);
        let text = report.failures().next().unwrap().1.to_string();
        assert!(text.contains("No space left"), "{text}");
        drop(report);
        let missing = partition(&keys(4), &there);
        // Room again, when something goes.
        host.must_delete(&there[..1]);
        host.must_store(&missing[..1]);
        let there = vec![there[1].clone(), missing[0].clone()];
        assert_there(&cache, host, &there, &partition(&keys(4), &there));
        std::fs::remove_dir_all(cache.path()).unwrap();
    }
}

#[test]
fn small_objects_of_one_request_fill_the_disk_to_the_last() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::small_objects_of_one_request_fill_the_disk_to_the_last";
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), TMPFS);
    };
    let cache = Cache::at(&directory).objects_of(64 << 10).sharded();
    let host = cache.host(300);
    let report = host.store(&keys(300));
    let there = written(&cache, &keys(300), &report, ErrorKind::Full);
    drop(report);
    // 8 MiB are 128 objects, less what workers that reserved at once took from each other.
    assert!((64..=128).contains(&there.len()), "{} fit", there.len());
    assert_there(&cache, host, &there, &partition(&keys(300), &there));
}

#[test]
fn a_disk_with_room_but_without_inodes_is_full() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::a_disk_with_room_but_without_inodes_is_full";
        let few = TMPFS.replace("size=8m", "size=8m,nr_inodes=20");
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), &few);
    };
    let cache = Cache::at(&directory);
    let host = cache.host(40);
    let report = host.store(&keys(40));
    let there = written(&cache, &keys(40), &report, ErrorKind::Full);
    drop(report);
    assert!((10..20).contains(&there.len()), "{} fit", there.len());
    assert_there(&cache, host, &there, &partition(&keys(40), &there));
}

#[track_caller]
fn limit_file_size(bytes: u64) {
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = Some(bytes);
    setrlimit(Resource::Fsize, limit).unwrap();
}

#[test]
fn an_object_longer_than_the_process_may_write_is_full_and_its_neighbours_are_stored() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::an_object_longer_than_the_process_may_write_is_full_and_its_neighbours_are_stored";
        return child::must_pass_without_file_size_signals(test, cache.path());
    };
    limit_file_size(2 << 20);
    for cache in [Cache::at(&directory.join("aio")), Cache::at(&directory.join("uring")).uring()] {
        let cache = cache.objects_of(1 << 20);
        let host = cache.host(10);
        host.must_store(&keys(3));
        let error = store_of(&host, &key(3), 3 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert_eq!(error.range(), Some((0, 3 << 20)), "{error}");
        assert_there(&cache, host, &keys(3), &[key(3)]);
    }
}

/// One request has one outcome for all its objects: they are tried one by one, and the bad one alone fails.
fn assert_a_failed_write_fails_alone(directory: &Path, uring: bool) {
    let cache = Cache::at(&directory.join(uring.to_string()));
    let cache = if uring { cache.uring() } else { cache };
    let host = cache.host(100);
    let mut batch: Vec<_> = keys(16).iter().map(|key| host.item(key)).collect();
    batch[5] = host.item_of(&key(5), 128 << 10);
    let report = host.store_items(batch);
    let there = written(&cache, &keys(16), &report, ErrorKind::Full);
    drop(report);
    assert_eq!(there.len(), 15);
    assert!(!there.contains(&key(5)));
    assert_there(&cache, host, &there, &[key(5)]);
}

#[test]
fn a_write_that_fails_in_the_middle_fails_alone_and_leaves_nothing() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::a_write_that_fails_in_the_middle_fails_alone_and_leaves_nothing";
        return child::must_pass_with_a_mount(
            Root::Mapped,
            test,
            cache.path(),
            &format!("{RAMFS} && {}", child::NO_FILE_SIZE_SIGNAL),
        );
    };
    limit_file_size(64 << 10);
    assert_a_failed_write_fails_alone(&directory, false);
    assert_a_failed_write_fails_alone(&directory, true);
}

#[test]
fn what_cannot_take_the_place_of_an_object_leaves_it() {
    let cache = Cache::fresh();
    let host = cache.host(4);
    host.must_store(&keys(3));
    let error = store_of(&host, &key(1), 3 * 4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    host.must_load(&keys(3));
    host.must_use(3);
    assert_eq!(host.adapter.status().stored_objects, 3);
    assert_eq!(cache.objects().len(), 3);
}

#[test]
fn stores_at_once_leave_others_what_is_to_stay_free() {
    let Some(given) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::stores_at_once_leave_others_what_is_to_stay_free";
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), &TMPFS.replace("8m", "64m"));
    };
    const LEFT: u64 = 32 << 20;
    for round in 0..10 {
        let mut cache = Cache::at(&given.join(round.to_string())).objects_of(4 << 20).workers(8);
        cache.config.min_free = LEFT;
        let host = cache.host(16);
        let report = host.store(&keys(14));
        assert!(report.failures().all(|(_, error)| error.kind() == ErrorKind::Full), "{report:?}");
        drop(report);
        let space = rustix::fs::statvfs(&given).unwrap();
        assert!(space.f_bavail * space.f_frsize >= LEFT, "round {round}");
        close(host);
        std::fs::remove_dir_all(cache.path()).unwrap();
    }
}

#[test]
fn a_directory_where_nothing_more_can_be_made_is_opened_and_read() {
    let Some(given) = child::given() else {
        let cache = Cache::fresh();
        let test = "full::a_directory_where_nothing_more_can_be_made_is_opened_and_read";
        let few = TMPFS.replace("size=8m", "size=8m,nr_inodes=20");
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), &few);
    };
    let cache = Cache::at(&given.join("l2"));
    let host = cache.host(8);
    host.must_store(&keys(2));
    close(host);
    std::fs::remove_dir(cache.path().join(".nixl-l2")).unwrap();
    let filled =
        (0..20).take_while(|number| std::fs::write(given.join(number.to_string()), b"").is_ok()).count();
    assert!(filled < 20);
    let host = cache.host(8);
    host.must_load(&keys(2));
    let error = store_of(&host, &key(7), 4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
}
