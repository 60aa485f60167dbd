//! Opening what cannot be opened: an error that says what and where, nothing made, nothing left running.

use std::fs;
use std::path::PathBuf;

use l2_core::ErrorKind;
use l2_core::testing::fixtures::keys;

use crate::cache::{Cache, close, everything};
use crate::child;

/// The names of this process's threads that are the adapter's.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("nixl-l2")).collect()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The kernel lets go of a thread a moment after it was joined.
#[track_caller]
fn assert_nothing_is_left(open_before: usize) {
    let start = std::time::Instant::now();
    while !threads().is_empty() {
        assert!(start.elapsed().as_secs() < 30, "{:?} are left", threads());
    }
    assert_eq!(open_files(), open_before);
}

#[track_caller]
fn assert_refused(cache: &Cache, kind: ErrorKind, open_before: usize) -> String {
    let error = cache.try_open().expect_err("it does not open");
    assert_eq!(error.kind(), kind, "{error}");
    assert_nothing_is_left(open_before);
    error.to_string()
}

/// In a child: it counts the threads and descriptors of the process.
#[test]
fn what_cannot_be_opened_is_an_error_with_the_path_and_leaves_nothing() {
    let Some(home) = child::given() else {
        let test = "opening::what_cannot_be_opened_is_an_error_with_the_path_and_leaves_nothing";
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return child::must_pass_again(test, home.path());
    };
    // What the first use of NIXL opens stays.
    drop(Cache::at(&home.join("good")).uring().try_open().unwrap());
    let before = open_files();
    fs::write(home.join("file"), "not a directory").unwrap();
    std::os::unix::fs::symlink("nowhere", home.join("link")).unwrap();
    let tree = everything(&home);

    let places =
        [home.join("file"), home.join("file/below"), home.join("link"), PathBuf::from("/proc/self/l2/cache")];
    for place in places {
        for cache in [Cache::at(&place), Cache::at(&place).uring().sharded()] {
            let message = assert_refused(&cache, ErrorKind::Io, before);
            assert!(message.contains(place.to_str().unwrap()), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
    assert_eq!(fs::read(home.join("file")).unwrap(), b"not a directory");

    // A queue that NIXL does not have, and numbers that it does not take.
    for (name, value) in [("use_posix_aio", "true"), ("ios_pool_size", "1"), ("kernel_queue_size", "many")] {
        let mut cache = Cache::at(&home.join("never/made"));
        cache.config.plugin_params.set(name, value);
        let error = cache.try_open().expect_err("it does not open");
        assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput), "{error:?}");
        assert!(error.to_string().contains("POSIX") || error.to_string().contains(name), "{error}");
        assert_nothing_is_left(before);
    }
    let blank = Cache::at("".as_ref());
    assert_refused(&blank, ErrorKind::InvalidInput, before);
    assert_eq!(everything(&home), tree, "nothing was made");
    drop(Cache::at(&home.join("good")).try_open().unwrap());
    assert_nothing_is_left(before);
}

#[test]
fn an_adapter_that_is_closed_or_dropped_leaves_no_thread_and_no_descriptor() {
    let Some(home) = child::given() else {
        let test = "opening::an_adapter_that_is_closed_or_dropped_leaves_no_thread_and_no_descriptor";
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return child::must_pass_again(test, home.path());
    };
    drop(Cache::at(&home.join("first")).uring().try_open().unwrap());
    let before = open_files();
    for (name, uring) in [("aio", false), ("uring", true)] {
        let cache = Cache::at(&home.join(name)).sharded();
        let cache = if uring { cache.uring() } else { cache };
        let host = cache.host(100);
        host.must_store(&keys(100));
        host.must_load(&keys(100));
        host.must_delete(&keys(50));
        assert!(!threads().is_empty());
        if uring {
            close(host);
        } else {
            drop(host);
        }
        assert_nothing_is_left(before);
    }
}

#[test]
fn a_directory_that_is_a_link_and_one_that_is_deep_are_opened() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(home.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", home.path().join("link")).unwrap();
    let host = Cache::at(&home.path().join("link")).host(3);
    host.must_store(&keys(3));
    close(host);
    Cache::at(&home.path().join("real")).host(3).must_load(&keys(3));

    let deep = Cache::at(&home.path().join("a/b/c d/é"));
    let host = deep.host(3);
    host.must_store(&keys(3));
    host.must_load(&keys(3));
    assert!(host.adapter.status().healthy);
}
