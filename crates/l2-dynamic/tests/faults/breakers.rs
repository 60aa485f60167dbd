//! Storage that fails again and again is left alone, and taken again by itself when it works.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, Looked};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cache::Cache;
use crate::child;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn stores_are_refused_while_the_directory_cannot_be_written_and_loads_go_on() {
    let Some(given) = child::given() else {
        let test = "breakers::stores_are_refused_while_the_directory_cannot_be_written_and_loads_go_on";
        return child::must_pass_without_overrides(test, home().path());
    };
    for direct in [false, true] {
        let cache = Cache::at(&given.join(direct.to_string()));
        let cache = if direct { cache.direct() } else { cache };
        let host = cache.host(50);
        host.must_store(&keys(4));
        set_mode(cache.path(), 0o500);
        let mut kinds = Vec::new();
        for number in 10..20 {
            let error = host.store(&[key(number)]).outcomes.remove(0).result.unwrap_err();
            kinds.push(error.kind());
        }
        assert_eq!(kinds[..5], [ErrorKind::Io; 5]);
        assert_eq!(kinds[5..], [ErrorKind::Unavailable; 5]);
        let status = host.adapter.status();
        assert!(status.store_breaker.is_open && !status.load_breaker.is_open, "{status:?}");
        host.must_hit(&keys(4));
        host.must_load(&keys(4));
        host.must_use(4);
        set_mode(cache.path(), 0o700);
        // Nobody stores anything meanwhile: it is tested.
        host.eventually("it is taken again", || !host.adapter.status().store_breaker.is_open);
        host.must_store(&[key(10)]);
        host.must_load(&[key(10)]);
        assert_eq!(host.adapter.status().store_breaker.opened, 1);
        assert_eq!(cache.objects().len(), 5, "the tests leave nothing");
        host.adapter.unlock(&keys(4));
    }
}

#[test]
fn lookups_miss_at_once_while_nothing_can_be_read_and_hit_again_when_it_can() {
    let test = "breakers::lookups_miss_at_once_while_nothing_can_be_read_and_hit_again_when_it_can";
    if child::given().is_none() {
        return child::must_pass_again(test, home().path());
    }
    let home = home();
    let cache = Cache::at(&home.path().join("l2"));
    let host = cache.host(50);
    host.must_store(&keys(20));
    // Not one descriptor is to be had.
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    for number in 0..10 {
        let error = host.load(&[key(number)]).outcomes.remove(0).result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
    let status = host.adapter.status();
    assert!(status.load_breaker.is_open, "{status:?}");
    let report = host.lookup(&keys(20));
    for answer in &report.answers {
        assert!(
            matches!(answer, Looked::Miss(error) if error.kind() == ErrorKind::Unavailable),
            "{answer:?}"
        );
    }
    drop(report);
    let error = host.load(&[key(15)]).outcomes.remove(0).result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    setrlimit(Resource::Nofile, before).unwrap();
    host.eventually("it is taken again", || !host.adapter.status().load_breaker.is_open);
    host.must_hit(&keys(20));
    host.must_load(&keys(20));
    let status = host.adapter.status();
    assert_eq!((status.load_breaker.opened, status.healed_objects), (1, 0), "nothing was lost");
}

#[test]
fn an_adapter_closes_at_once_while_its_storage_is_tested() {
    let Some(given) = child::given() else {
        let test = "breakers::an_adapter_closes_at_once_while_its_storage_is_tested";
        return child::must_pass_without_overrides(test, home().path());
    };
    let cache = Cache::at(&given.join("l2"));
    let host = cache.host(50);
    set_mode(cache.path(), 0o500);
    for number in 0..10 {
        assert!(host.store(&[key(number)]).outcomes[0].result.is_err());
    }
    assert!(host.adapter.status().store_breaker.is_open);
    host.adapter.close().unwrap();
    let error = host.store(&[key(1)]).outcomes.remove(0).result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    set_mode(cache.path(), 0o700);
}

#[test]
fn a_disk_that_is_full_keeps_neither_stores_nor_loads_away() {
    const TMPFS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";
    let Some(given) = child::given() else {
        let test = "breakers::a_disk_that_is_full_keeps_neither_stores_nor_loads_away";
        return child::must_pass_with_a_mount(child::Root::Mapped, test, Cache::fresh().path(), TMPFS);
    };
    let host = Cache::at(&given.join("l2")).objects_of(1 << 20).host(20);
    host.must_store(&keys(4));
    // To the last block, by somebody else.
    let _ = fs::write(given.join("other"), vec![1; 8 << 20]);
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    for number in 0..10 {
        drop((host.load(&[key(number % 4)]), host.store(&[key(100 + number)])));
    }
    setrlimit(Resource::Nofile, before).unwrap();
    let status = || host.adapter.status();
    assert!(status().load_breaker.opened > 0 && status().store_breaker.opened > 0);
    host.eventually("both are closed", || !(status().load_breaker.is_open || status().store_breaker.is_open));
    host.must_load(&keys(4));
    let error = host.store(&[key(7)]).outcomes.remove(0).result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
}

#[test]
fn a_key_whose_place_is_taken_is_its_own_fault() {
    let cache = Cache::fresh().sharded();
    let host = cache.host(40);
    host.must_store(&keys(2));
    fs::create_dir_all(cache.file(&key(9))).unwrap();
    let shard = cache.file(&key(8));
    let shard = shard.parent().unwrap();
    fs::create_dir_all(shard.parent().unwrap()).unwrap();
    fs::write(shard, b"not ours").unwrap();
    for number in [9, 8] {
        for _ in 0..6 {
            let error = host.store(&[key(number)]).outcomes.remove(0).result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
    }
    assert_eq!(host.adapter.status().store_breaker.opened, 0);
    host.must_store(&[key(20)]);
}

#[test]
fn one_object_that_cannot_be_opened_does_not_keep_the_others_away() {
    if child::given().is_none() {
        let test = "breakers::one_object_that_cannot_be_opened_does_not_keep_the_others_away";
        return child::must_pass_again(test, home().path());
    }
    // Whichever is tried first.
    for bad in 0..2 {
        let cache = Cache::fresh();
        let host = cache.host(50);
        host.must_store(&keys(2));
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
        (0..10).for_each(|_| drop(host.load(&[key(1 - bad)])));
        assert!(host.adapter.status().load_breaker.is_open);
        setrlimit(Resource::Nofile, before).unwrap();
        fs::remove_file(cache.file(&key(bad))).unwrap();
        fs::create_dir(cache.file(&key(bad))).unwrap();
        host.eventually("it is closed", || !host.adapter.status().load_breaker.is_open);
        host.must_load(&[key(1 - bad)]);
    }
}
