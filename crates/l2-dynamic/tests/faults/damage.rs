//! Files that are damaged behind the adapter's back: exactly that key misses, and the next store heals it.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use l2_core::ErrorKind;
use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use rustix::fs::{CWD, FileType, Mode};

use crate::cache::{Cache, close, counted};
use crate::child;

/// What is done to the file of an object.
struct Harm {
    what: &'static str,
    how: fn(&Path),
    /// Whether a store can put a file there again by itself.
    heals: bool,
}

const fn harm(what: &'static str, how: fn(&Path)) -> Harm {
    Harm { what, how, heals: true }
}

const HARMS: [Harm; 9] = [
    harm("cut", |path| set_length(path, |length| length / 2)),
    harm("cut by a byte", |path| set_length(path, |length| length - 1)),
    harm("longer", |path| set_length(path, |length| length + 1)),
    harm("emptied", |path| set_length(path, |_| 0)),
    harm("removed", |path| fs::remove_file(path).unwrap()),
    harm("a link", |path| replace(path, |path| symlink("/etc/hostname", path).unwrap())),
    harm("a link to nothing", |path| replace(path, |path| symlink("nowhere", path).unwrap())),
    harm("a pipe", |path| replace(path, make_pipe)),
    Harm {
        what: "a directory",
        how: |path| replace(path, |path| fs::create_dir(path).unwrap()),
        heals: false,
    },
];

fn set_length(path: &Path, length: fn(u64) -> u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length(file.metadata().unwrap().len())).unwrap();
}

fn replace(path: &Path, with: fn(&Path)) {
    fs::remove_file(path).unwrap();
    with(path);
}

fn make_pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// The load fails as "compute it again", alone.
#[track_caller]
fn assert_only_the_middle_of_three_fails(host: &Host, what: &str) {
    let load = host.load(&keys(3));
    assert_eq!(load.bitmap(), [true, false, true], "{what}: {load:?}");
    let error = load.outcomes[1].result.as_ref().unwrap_err();
    let kinds = [ErrorKind::NotFound, ErrorKind::Corrupt, ErrorKind::LengthMismatch];
    assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
    assert!(load.outcomes[1].memory.is_some(), "{what}: the lease comes back");
}

/// A store heals the key, once whatever no store may remove is out of the way.
#[track_caller]
fn assert_heals(cache: &Cache, host: &Host, what: &str, by_itself: bool) {
    if !by_itself {
        let report = host.store(&[key(1)]);
        let error = report.outcomes[0].result.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{what}: {error}");
        assert_eq!(error.path(), Some(&*cache.file(&key(1))), "{what}: {error}");
        host.must_use(2);
        fs::remove_dir(cache.file(&key(1))).unwrap();
    }
    host.must_store(&[key(1)]);
    host.must_load(&keys(3));
    host.must_use(3);
    assert_eq!(host.adapter.status().stored_objects, 3, "{what}");
    assert_eq!(cache.objects().len(), 3, "{what}: nothing else is left");
}

fn caches() -> [Cache; 4] {
    [
        Cache::fresh(),
        Cache::fresh().sharded().uring(),
        Cache::fresh().objects_of(1 << 20),
        Cache::fresh().checked(),
    ]
}

#[test]
fn under_a_running_adapter_exactly_that_key_misses_and_is_healed() {
    for Harm { what, how, heals } in HARMS {
        for cache in caches() {
            let host = cache.host(3);
            host.must_store(&keys(3));
            how(&cache.file(&key(1)));
            assert_only_the_middle_of_three_fails(&host, what);
            assert_eq!(host.adapter.status().healed_objects, 1, "{what}");
            host.must_miss(&[key(1)]);
            host.must_use(2);
            assert_heals(&cache, &host, what, heals);
        }
    }
}

#[test]
fn found_by_a_new_adapter_exactly_that_key_misses_and_is_healed() {
    for Harm { what, how, heals } in HARMS {
        for cache in caches() {
            let host = cache.host(3);
            host.must_store(&keys(3));
            close(host);
            how(&cache.file(&key(1)));
            // A byte more than three objects' room, for the one that is longer.
            let host = cache.host(4);
            assert_only_the_middle_of_three_fails(&host, what);
            host.must_hit(&[key(0), key(2)]);
            assert_heals(&cache, &host, what, heals);
        }
    }
}

#[test]
fn damage_between_a_lookup_and_its_load_is_a_miss_though_the_key_is_pinned() {
    for Harm { what, how, heals } in HARMS {
        let cache = Cache::fresh();
        let host = cache.host(3);
        host.must_store(&keys(3));
        host.must_hit(&keys(3));
        how(&cache.file(&key(1)));
        assert_only_the_middle_of_three_fails(&host, what);
        host.adapter.unlock(&keys(3));
        assert_eq!(host.adapter.status().pinned_objects, 0, "{what}");
        assert_heals(&cache, &host, what, heals);
    }
}

#[test]
fn what_a_link_points_to_is_neither_read_nor_removed() {
    let cache = Cache::fresh();
    let host = cache.host(3);
    host.must_store(&keys(2));
    // Of the right length, and even of the right bytes.
    let outside = cache.path().parent().unwrap().join("outside");
    fs::rename(cache.file(&key(1)), &outside).unwrap();
    symlink(&outside, cache.file(&key(1))).unwrap();
    assert_eq!(host.load(&keys(2)).bitmap(), [true, false]);
    host.must_miss(&[key(1)]);
    host.must_store(&[key(1)]);
    host.must_load(&keys(2));
    assert_eq!(fs::metadata(outside).unwrap().len(), 4096);
}

#[test]
fn deleting_an_object_whose_file_is_damaged_frees_its_bytes() {
    for Harm { what, how, heals } in HARMS {
        let cache = Cache::fresh();
        let host = cache.host(3);
        host.must_store(&keys(3));
        how(&cache.file(&key(1)));
        host.must_delete(&keys(3));
        host.must_use(0);
        assert_eq!(cache.file(&key(1)).is_dir(), !heals, "{what}");
        assert!(cache.files().is_empty(), "{what}: {:?}", cache.files());
    }
}

#[test]
fn a_file_without_rights_is_dropped_and_stored_again() {
    let Some(directory) = child::given() else {
        let cache = Cache::fresh();
        let test = "damage::a_file_without_rights_is_dropped_and_stored_again";
        return child::must_pass_without_overrides(test, cache.path());
    };
    let cache = Cache::at(&directory);
    let host = cache.host(3);
    host.must_store(&keys(3));
    fs::set_permissions(cache.file(&key(1)), Permissions::from_mode(0o000)).unwrap();
    assert_only_the_middle_of_three_fails(&host, "without rights");
    host.must_miss(&[key(1)]);
    assert_heals(&cache, &host, "without rights", true);
}

/// Only its length says whether a file is whole; it is asked each time.
#[test]
fn objects_replaced_by_another_process_with_another_length_are_never_served_with_the_old_one() {
    let cache = Cache::fresh();
    let host = cache.host(8);
    host.must_store(&keys(2));
    let other = cache.host(8);
    counted(&other, &cache.objects());
    other.store_items(vec![other.item_of(&key(1), 8192)]);
    assert_eq!(other.present(&key(1)), Some(8192));
    assert_eq!(host.load(&keys(2)).bitmap(), [true, false]);
    host.must_miss(&[]);
    let load = host.load_items(vec![host.blank_of(&key(1), 8192)]);
    // Gone by now, or found anew: never the bytes of another length (those are checked by the host).
    assert!(load.outcomes[0].result.is_ok() || load.outcomes[0].result.as_ref().is_err_and(|e| e.is_miss()));
}
