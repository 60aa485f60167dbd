//! `persist_enabled: false`: all objects of the directory go when the adapter closes, and nothing else does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use l2_core::ObjectKey;
use l2_core::testing::fixtures::{key, key_of, keys};
use l2_index::paths::{Layout, key_to_path};

use crate::cache::{Cache, TEMPORARIES, close, everything};

fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "not ours").unwrap();
}

/// Everything that somebody else could have put there.
fn put_foreign(cache: &Cache) {
    let root = cache.path();
    for path in [
        "notes.txt",
        "report.tmp.csv",
        ".hidden/x.bin",
        // Names that are nearly ours: no group, capital digits, a shard that is not the hash's.
        "org--model_00000000_abcd.bin",
        "org--model_00000000_0_ABCD.bin",
        "ff/ff/org--model_00000000_0_abcd.bin",
        "ab/cd/notes.txt",
        "%1_model~/notes.txt",
        "deep/er/model_00000000_0_abcd.bin",
    ] {
        write(&root.join(path));
    }
    // Directories that are nobody's, some of them named as ours may be.
    for path in ["empty", "my", "backup~", "full_00000000_0_abcd.bin"] {
        fs::create_dir(root.join(path)).unwrap();
    }
    // A link under an object's name, and a link to a directory that has objects.
    let outside = root.parent().unwrap().join("outside");
    write(&outside.join(key_to_path(&key(77), Layout::Flat)));
    write(&outside.join("cd").join(key_to_path(&key(77), Layout::Flat)));
    symlink(
        outside.join(key_to_path(&key(77), Layout::Flat)),
        root.join(key_to_path(&key(77), Layout::Flat)),
    )
    .unwrap();
    symlink(&outside, root.join("ee")).unwrap();
}

/// Plain, salted, and in the escaped form, long names included.
fn objects() -> Vec<ObjectKey> {
    let mut all = keys(5);
    all.push(key_of("org/model", "tenant", 100));
    all.push(key_of("odd--name", "", 101));
    all.push(key_of(&"long/".repeat(60), "salt", 102));
    all.push(key_of(".hidden\n", "", 103));
    all
}

#[test]
fn all_objects_go_those_of_earlier_runs_and_of_both_layouts_included_and_nothing_else() {
    let flat = Cache::fresh();
    for earlier in [flat.clone(), flat.clone().sharded()] {
        let host = earlier.host(20);
        host.must_store(&objects());
        close(host);
    }
    let ours = everything(flat.path());
    assert!(ours.len() > 2 * objects().len());
    put_foreign(&flat);
    let foreign: Vec<_> = everything(flat.path()).into_iter().filter(|path| !ours.contains(path)).collect();
    let outside = flat.path().parent().unwrap().join("outside");
    let elsewhere = everything(&outside);

    let host = flat.clone().persisting(false).host(40);
    host.must_hit(&objects());
    host.must_store(&[key(50), key(51)]);
    host.must_load(&[key(50)]);
    close(host);

    let left = everything(flat.path());
    let kept: Vec<_> = left.iter().filter(|path| !foreign.contains(path)).collect();
    // Directories that hold something foreign, and that of the temporaries.
    let hold = |path: &String| foreign.iter().any(|other| other.starts_with(path));
    let unexpected: Vec<_> =
        kept.into_iter().filter(|path| **path != format!("{TEMPORARIES}/") && !hold(path)).collect();
    assert!(unexpected.is_empty(), "left behind: {unexpected:?}");
    let lost: Vec<_> = foreign.iter().filter(|path| !left.contains(path)).collect();
    assert!(lost.is_empty(), "not ours, and gone: {lost:?}");
    assert_eq!(everything(&outside), elsewhere, "no link is followed");
}

#[test]
fn a_dropped_adapter_removes_them_too() {
    let cache = Cache::fresh().sharded().persisting(false);
    let host = cache.host(20);
    host.must_store(&keys(10));
    assert_eq!(cache.objects().len(), 10);
    drop(host);
    assert!(everything(cache.path()).is_empty(), "{:?}", everything(cache.path()));
}

#[test]
fn closing_twice_removes_once() {
    let cache = Cache::fresh().persisting(false);
    let host = cache.host(20);
    host.must_store(&keys(3));
    host.adapter.close().unwrap();
    assert!(cache.files().is_empty());
    // What somebody stores afterwards is not the closed adapter's any more.
    let kept = cache.clone().persisting(true);
    let other = kept.host(20);
    other.must_store(&keys(2));
    host.adapter.close().unwrap();
    drop(host);
    assert_eq!(kept.objects().len(), 2);
}

#[test]
fn a_directory_that_is_gone_is_no_error() {
    let cache = Cache::fresh().persisting(false);
    let host = cache.host(20);
    host.must_store(&keys(3));
    fs::remove_dir_all(cache.path()).unwrap();
    host.adapter.close().unwrap();
    assert!(!cache.path().exists());
}

/// The directory at the path counts, not the one that was open when it was removed.
#[test]
fn a_directory_that_was_made_again_is_emptied() {
    let cache = Cache::fresh().persisting(false);
    let host = cache.host(20);
    host.must_store(&keys(3));
    fs::remove_dir_all(cache.path()).unwrap();
    let kept = cache.clone().persisting(true);
    let other = kept.host(20);
    other.must_store(&keys(2));
    close(other);
    close(host);
    assert!(cache.files().is_empty(), "{:?}", cache.files());
}

#[test]
fn persist_enabled_keeps_every_file() {
    for cache in [Cache::fresh(), Cache::fresh().sharded()] {
        let host = cache.host(20);
        host.must_store(&objects());
        let files = cache.files();
        assert_eq!(files.len(), objects().len());
        close(host);
        assert_eq!(cache.files(), files);
    }
}
