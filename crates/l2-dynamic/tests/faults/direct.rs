//! Direct I/O: what it cannot take is refused with the reason, and what does not have it says so.

use std::time::Duration;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{fill, key, keys};
use l2_core::{ErrorKind, L2Error, LoadItem, StoreItem, Stored};

use crate::cache::{Cache, close, must_load_of, store_of};
use crate::child::{self, Root};

const RAMFS: &str = "mkdir -p \"$DIR\" && mount -t ramfs none \"$DIR\"";

/// With direct I/O, where the file system of the tests has it; said aloud where not.
fn direct(test: &str) -> Option<Cache> {
    let cache = Cache::fresh().direct();
    match cache.try_open() {
        Ok(_) => Some(cache),
        Err(error) => {
            child::skipped(test, &error.to_string());
            None
        }
    }
}

#[track_caller]
fn assert_refused(host: &Host, error: &L2Error, reason: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    for part in [reason, "use_direct_io"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(host.adapter.usage().used_bytes, 0);
}

#[test]
fn an_unaligned_length_or_address_is_refused_with_the_reason_and_nothing_is_made() {
    let Some(cache) = direct("an_unaligned_length_or_address_is_refused") else { return };
    let host = cache.host(20);
    for bytes in [1, 511, 513, 4095, 5000] {
        let error = store_of(&host, &key(0), bytes).unwrap_err();
        assert_refused(&host, &error, &format!("not {bytes}"));
        assert_eq!(error.key(), Some(&key(0)));
        let load = host.load_items(vec![host.blank_of(&key(0), bytes)]);
        assert_refused(&host, load.outcomes[0].result.as_ref().unwrap_err(), &format!("not {bytes}"));
    }
    // Of a good length, at an odd address.
    let mut lease = host.l1.lease(1, 4096).unwrap();
    fill(&key(0), lease.as_mut_slice().unwrap());
    let report = host.store_items(vec![StoreItem { key: key(0), memory: lease.freeze() }]);
    assert_refused(&host, report.outcomes[0].result.as_ref().unwrap_err(), "aligned to");
    drop(report);
    let item = LoadItem { key: key(0), memory: host.l1.lease(1, 4096).unwrap() };
    let report = host.load_items(vec![item]);
    assert_refused(&host, report.outcomes[0].result.as_ref().unwrap_err(), "aligned to");
    drop(report);
    assert!(cache.files().is_empty(), "{:?}", cache.files());

    // A bad one in a batch takes no other with it.
    let mut batch: Vec<_> = keys(5).iter().map(|key| host.item(key)).collect();
    batch[2] = host.item_of(&key(2), 5000);
    let stored: Vec<_> =
        host.store_items(batch).outcomes.iter().map(|outcome| outcome.result.is_ok()).collect();
    assert_eq!(stored, [true, true, false, true, true]);
    host.must_load(&[key(0), key(1), key(3), key(4)]);
    host.must_miss(&[key(2)]);
    assert_eq!(cache.objects().len(), 4);
}

#[test]
fn what_was_stored_buffered_is_loaded_direct_and_the_other_way_round() {
    let Some(direct) = direct("what_was_stored_buffered_is_loaded_direct") else { return };
    let mut buffered = direct.clone();
    buffered.config.use_direct_io = false;
    let large = [(key(90), 3u64 << 20)];
    let host = direct.host(1000);
    host.must_store(&keys(10));
    store_of(&host, &large[0].0, 3 << 20).unwrap();
    close(host);
    let host = buffered.host(1000);
    host.must_load(&keys(10));
    must_load_of(&host, &large);
    // An odd length, that direct I/O could not have written.
    store_of(&host, &key(50), 5000).unwrap();
    let more: Vec<_> = (20..30).map(key).collect();
    host.must_store(&more);
    close(host);
    let host = direct.host(1000);
    host.must_load(&more);
    must_load_of(&host, &large);
    assert_eq!(host.present(&key(50)), Some(5000));
    let load = host.load_items(vec![host.blank_of(&key(50), 5000)]);
    assert_eq!(load.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_file_system_without_direct_io_is_unsupported() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "direct::a_file_system_without_direct_io_is_unsupported";
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), RAMFS);
    };
    let error = Cache::at(&directory).direct().try_open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(error.path(), Some(&*directory), "{error}");
    assert!(error.to_string().contains("use_direct_io"), "{error}");
    assert!(Cache::at(&directory).files().is_empty());
    // Without, it is as good as any.
    let host = Cache::at(&directory).host(10);
    host.must_store(&keys(10));
    host.must_load(&keys(10));
}

/// Nothing is done within a nanosecond: whatever the disk has not finished at the first look is parked.
#[test]
fn what_is_not_done_in_time_is_told_and_its_memory_comes_free_by_itself() {
    for uring in [false, true] {
        let Some(cache) = direct("what_is_not_done_in_time_is_told") else { return };
        let cache = cache.objects_of(4 << 20);
        let mut hasty = if uring { cache.clone().uring() } else { cache.clone() };
        hasty.config.engine.io_timeout = Duration::from_nanos(1);
        let host = hasty.host(8);
        let report = host.store(&keys(8));
        let late: Vec<_> = report.failures().map(|(at, error)| (at, error.kind())).collect();
        assert!(late.iter().all(|(_, kind)| *kind == ErrorKind::TimedOut), "{report:?}");
        assert!(!late.is_empty(), "no disk writes 4 MiB that fast");
        // Of those that waited behind the first, some may not have been tried: they have theirs back.
        let tried = late.iter().filter(|(at, _)| report.outcomes[*at].memory.is_none()).count();
        assert!(tried > 0, "NIXL may still read the memory of what it was given");
        drop(report);
        let late: Vec<_> = late.into_iter().map(|(at, _)| key(at as u64)).collect();
        host.must_miss(&late);
        // Their keys are free: nobody is told that somebody stores them.
        let mut left = late.clone();
        for key in &late {
            match store_of(&host, key, 4 << 20) {
                Ok(stored) => {
                    assert!(matches!(stored, Stored::Written { .. }), "{stored:?}");
                    left.retain(|other| other != key);
                }
                Err(error) => {
                    let kinds = [ErrorKind::TimedOut, ErrorKind::Full, ErrorKind::Unavailable];
                    assert!(kinds.contains(&error.kind()), "{error}");
                }
            }
        }
        let late = left;
        host.eventually("the parked stores end", || host.adapter.status().parked_transfers == 0);
        // What NIXL still wrote took room until then.
        let left = (8 - late.len() as u64) * (4 << 20);
        host.eventually("their bytes are free", || host.adapter.usage().used_bytes == left);
        host.must_use(8 - late.len());
        host.eventually("their memory is free", || host.l1.leased_bytes() == 0);
        assert!(host.adapter.status().healthy);
        close(host);
        // What was given up has left nothing, and can be stored.
        assert_eq!(cache.objects().len(), 8 - late.len());
        let host = cache.host(8);
        host.must_store(&late);
        close(host);

        let host = hasty.host(8);
        let report = host.load(&keys(8));
        let kinds: Vec<_> = report.failures().map(|(_, error)| error.kind()).collect();
        assert!(kinds.iter().all(|kind| *kind == ErrorKind::TimedOut), "{report:?}");
        drop(report);
        host.eventually("the parked loads end", || host.l1.leased_bytes() == 0);
        assert_eq!(host.adapter.status().healed_objects, 0, "being late says nothing against a file");
        close(host);
        cache.host(8).must_load(&keys(8));
    }
}
