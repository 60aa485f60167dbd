//! Capacity and the counts, over restarts that change it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use l2_config::RecoverScan;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, ScanCursor, Stored};

use crate::cache::{Cache, close, counted, store_of};

#[test]
fn after_a_smaller_capacity_what_is_there_still_hits_and_stores_are_full_until_enough_is_gone() {
    for cache in [Cache::fresh(), Cache::fresh().sharded()] {
        let host = cache.host(10);
        host.must_store(&keys(10));
        close(host);

        let host = cache.host(4);
        let usage = || host.adapter.usage();
        assert_eq!(usage().capacity_bytes, 4 * 4096);
        counted(&host, &cache.objects());
        assert_eq!(usage().used_bytes, 10 * 4096, "it is on the disk, whatever the capacity");
        host.must_hit(&keys(10));
        host.adapter.unlock(&keys(10));
        host.must_load(&keys(10)[..6]);
        let error = host.store(&[key(10)]).outcomes.remove(0).result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(!cache.file(&key(10)).exists());
        // Six more must go before there is room for one.
        host.must_delete(&keys(10)[..6]);
        assert_eq!(host.store(&[key(10)]).outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
        host.must_delete(&[key(6)]);
        host.must_store(&[key(10)]);
        host.must_use(4);
        assert_eq!(cache.objects().len(), 4);
    }
}

#[test]
fn status_and_usage_add_up_through_everything() {
    let cache = Cache::fresh();
    let host = cache.host(20);
    let check = |objects: u64, pinned: u64, healed: u64| {
        let status = host.adapter.status();
        let found = (status.stored_objects, status.pinned_objects, status.healed_objects);
        assert_eq!(found, (objects, pinned, healed));
        assert_eq!((status.tasks_in_flight, status.parked_transfers, status.healthy), (0, 0, true));
        assert_eq!(status.usage, host.adapter.usage());
        assert_eq!((status.adapter, &*status.backend), ("nixl_store_dynamic", "POSIX"));
        let on_disk: u64 = cache.objects().iter().map(|(_, bytes)| bytes).sum();
        (on_disk, status.usage.used_bytes)
    };
    assert_eq!(check(0, 0, 0), (0, 0));
    host.must_store(&keys(10));
    assert_eq!(check(10, 0, 0), (40960, 40960));
    host.must_hit(&keys(4));
    assert_eq!(check(10, 4, 0), (40960, 40960));
    host.adapter.unlock(&keys(4));
    store_of(&host, &key(0), 5000).unwrap();
    assert_eq!(check(10, 0, 0), (41864, 41864));
    host.must_delete(&[key(1), key(2)]);
    assert_eq!(check(8, 0, 0), (33672, 33672));
    fs::remove_file(cache.file(&key(3))).unwrap();
    assert_eq!(check(8, 0, 0), (29576, 33672), "nobody has looked yet");
    assert!(host.load(&[key(3)]).outcomes[0].result.is_err());
    assert_eq!(check(7, 0, 1), (29576, 29576));
    let too_large = store_of(&host, &key(30), 80_000);
    assert_eq!(too_large.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(check(7, 0, 1), (29576, 29576));
}

#[test]
fn a_key_whose_file_is_there_already_is_not_written_again() {
    let cache = Cache::fresh();
    let first = cache.host(20);
    let second = cache.host(20);
    counted(&second, &[]);
    first.must_store(&keys(5));
    let inodes =
        || keys(5).iter().map(|key| fs::metadata(cache.file(key)).unwrap().ino()).collect::<Vec<_>>();
    let (written, modified) = (inodes(), fs::metadata(cache.path()).unwrap().mtime_nsec());
    // The second one's index knows nothing of them.
    for outcome in second.store(&keys(5)).outcomes {
        assert!(matches!(outcome.result, Ok(Stored::AlreadyPresent)), "{:?}", outcome.result);
    }
    assert_eq!(inodes(), written);
    assert_eq!(fs::metadata(cache.path()).unwrap().mtime_nsec(), modified, "nothing was made or removed");
    second.must_use(5);
    second.must_hit(&keys(5));
    second.must_load(&keys(5));
}

#[test]
fn a_file_of_another_length_is_replaced_whole() {
    let cache = Cache::fresh();
    let first = cache.host(20);
    let second = cache.host(20);
    counted(&second, &[]);
    store_of(&first, &key(0), 10_000).unwrap();
    second.must_store(&keys(1));
    second.must_load(&keys(1));
    second.must_use(1);
    assert_eq!(fs::metadata(cache.file(&key(0))).unwrap().len(), 4096);
    assert_eq!(cache.objects().len(), 1);
}

#[test]
fn without_a_scan_nothing_is_counted_before_it_is_asked_for_and_stores_do_not_wait() {
    let cache = Cache::fresh();
    let host = cache.host(8);
    host.must_store(&keys(4));
    close(host);
    let mut unscanned = cache.clone();
    unscanned.config.recover_scan = RecoverScan::Off;
    let host = unscanned.host(8);
    assert!(!host.adapter.status().recovering);
    host.must_store(&[key(9)]);
    host.must_use(1);
    host.must_hit(&keys(2));
    host.must_use(3);
    host.must_load(&keys(4));
    host.must_use(5);
}

#[test]
fn what_an_earlier_run_left_goes_by_its_age_before_all_that_was_used_since() {
    let cache = Cache::fresh();
    let host = cache.host(8);
    host.must_store(&keys(6));
    close(host);
    // The fourth is the oldest, then the first, and so on.
    let order = [3, 0, 5, 1, 4, 2];
    for (age, number) in (0..).zip(order) {
        let file = fs::File::options().write(true).open(cache.file(&key(number))).unwrap();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 60 * age);
        file.set_modified(changed).unwrap();
    }
    let host = cache.host(8);
    counted(&host, &cache.objects());
    host.must_store(&[key(7)]);
    host.must_load(&[key(5)]);
    let mut found = Vec::new();
    let mut next = Some(ScanCursor::default());
    let evictable = host.adapter.evictable();
    while let Some(from) = next {
        next = evictable.scan(from, &mut |shown, candidate| {
            found.push((candidate.used, shown.key().unwrap()));
        });
    }
    found.sort_by_key(|(used, _)| *used);
    let found: Vec<_> = found.into_iter().map(|(_, key)| key).collect();
    assert_eq!(found, [3, 0, 1, 4, 2, 7, 5].map(key));
}
