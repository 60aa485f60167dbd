//! Places without rights. Root passes by the rights of files, so these run in a child that has given that up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use l2_core::testing::fixtures::{key, keys};
use l2_core::{Deleted, ErrorKind};

use crate::cache::{Cache, everything};
use crate::child;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Restores the rights of a directory, so that it can be removed.
struct Restored<'a>(&'a Path);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        set_mode(self.0, 0o700);
    }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn a_directory_without_rights_is_an_error_with_the_path_and_nothing_is_made() {
    let Some(given) = child::given() else {
        let test = "rights::a_directory_without_rights_is_an_error_with_the_path_and_nothing_is_made";
        return child::must_pass_without_overrides(test, home().path());
    };
    let closed = given.join("closed");
    fs::create_dir(&closed).unwrap();
    for mode in [0o000, 0o500, 0o100, 0o600] {
        set_mode(&closed, mode);
        let _restored = Restored(&closed);
        for place in [closed.clone(), closed.join("below")] {
            let error = Cache::at(&place).try_open().expect_err("it does not open");
            assert_eq!(error.kind(), ErrorKind::Io, "{mode:o}: {error}");
            assert!(error.path().is_some_and(|path| path.starts_with(&closed)), "{mode:o}: {error}");
            assert!(error.to_string().contains("Permission denied"), "{mode:o}: {error}");
        }
    }
    assert!(everything(&closed).is_empty());
}

#[test]
fn rights_that_are_lost_under_a_running_adapter_are_errors_until_they_are_back() {
    let Some(given) = child::given() else {
        let test = "rights::rights_that_are_lost_under_a_running_adapter_are_errors_until_they_are_back";
        return child::must_pass_without_overrides(test, home().path());
    };
    let cache = Cache::at(&given.join("l2"));
    let host = cache.host(20);
    host.must_store(&keys(4));
    {
        set_mode(cache.path(), 0o500);
        let _restored = Restored(cache.path());
        host.must_load(&keys(4));
        let error = host.store(&[key(10)]).outcomes.remove(0).result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("Permission denied"), "{error}");
        // It is out of sight, but its bytes are still on the disk, and count.
        let answer = host.delete(&[key(1)]).answers.remove(0);
        assert!(matches!(&answer, Deleted::Failed(error) if error.kind() == ErrorKind::Io), "{answer:?}");
        host.must_miss(&[key(1)]);
        host.must_use(4);
        assert!(host.load(&[key(1)]).outcomes[0].result.is_err());
    }
    host.must_delete(&[key(1)]);
    host.must_use(3);
    host.must_store(&[key(1), key(10)]);
    host.must_load(&[key(0), key(1), key(2), key(3), key(10)]);
    assert_eq!(cache.objects().len(), 5);
}

#[test]
fn a_store_after_a_deletion_that_failed_takes_its_place() {
    let Some(given) = child::given() else {
        let test = "rights::a_store_after_a_deletion_that_failed_takes_its_place";
        return child::must_pass_without_overrides(test, home().path());
    };
    let cache = Cache::at(&given.join("l2"));
    let host = cache.host(3);
    host.must_store(&keys(3));
    {
        set_mode(cache.path(), 0o500);
        let _restored = Restored(cache.path());
        assert!(matches!(host.delete(&[key(1)]).answers[0], Deleted::Failed(_)));
        assert!(host.store(&[key(1)]).outcomes[0].result.is_err());
    }
    // The cache is full, with the bytes that are being deleted: they make room for their own key.
    host.must_store(&[key(1)]);
    host.must_load(&keys(3));
    host.must_use(3);
}

#[test]
fn what_cannot_be_removed_is_told_when_the_adapter_closes_and_the_rest_goes() {
    let Some(given) = child::given() else {
        let test = "rights::what_cannot_be_removed_is_told_when_the_adapter_closes_and_the_rest_goes";
        return child::must_pass_without_overrides(test, home().path());
    };
    let cache = Cache::at(&given.join("l2")).sharded().persisting(false);
    let host = cache.host(40);
    host.must_store(&keys(40));
    let file = cache.file(&key(7));
    let shard = file.parent().unwrap();
    set_mode(shard, 0o500);
    let _restored = Restored(shard);
    let error = host.adapter.close().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert_eq!(error.path(), Some(&*file), "{error}");
    let left = cache.objects();
    assert!(left.len() < 5, "only those of that shard: {left:?}");
    assert!(left.iter().all(|(key, _)| cache.file(key).starts_with(shard)));
    host.adapter.close().expect("closed is closed");
}

/// A shard that cannot be entered says nothing against what is in it: nothing is dropped for good.
#[test]
fn objects_behind_a_closed_door_are_there_again_when_it_opens() {
    let Some(given) = child::given() else {
        let test = "rights::objects_behind_a_closed_door_are_there_again_when_it_opens";
        return child::must_pass_without_overrides(test, home().path());
    };
    let cache = Cache::at(&given.join("l2")).sharded();
    let host = cache.host(40);
    host.must_store(&keys(3));
    let file = cache.file(&key(1));
    let outer = file.parent().unwrap().parent().unwrap();
    {
        set_mode(outer, 0o000);
        let _restored = Restored(outer);
        assert!(host.load(&[key(1)]).outcomes[0].result.is_err());
        host.must_load(&[key(0), key(2)]);
        // A new adapter cannot tell: no hit, and the reason.
        let other = cache.host(40);
        let lookup = other.lookup(&[key(1)]);
        let l2_core::Looked::Miss(error) = &lookup.answers[0] else { panic!("{lookup:?}") };
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("Permission denied"), "{error}");
    }
    assert!(file.exists());
    host.store(&[key(1)]).outcomes.remove(0).result.unwrap();
    host.must_load(&keys(3));
}

#[test]
fn what_may_not_be_read_for_a_moment_counts_all_the_while() {
    let Some(given) = child::given() else {
        let test = "rights::what_may_not_be_read_for_a_moment_counts_all_the_while";
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return child::must_pass_without_overrides(test, home.path());
    };
    let cache = Cache::at(&given.join("l2"));
    let host = cache.host(8);
    host.must_store(&keys(8));
    set_mode(cache.path(), 0o000);
    let restored = Restored(cache.path());
    assert_eq!(host.load(&keys(8)).bitmap(), [false; 8]);
    drop(restored);
    assert_eq!(host.adapter.usage().used_bytes, 8 * 4096);
    host.must_hit(&keys(8));
    host.must_load(&keys(8));
    let error = host.store(&[key(100)]).outcomes.remove(0).result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
}
