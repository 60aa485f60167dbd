//! A descriptor for each file: limits that are raised, and limits that cannot be.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use l2_core::ErrorKind;
use l2_core::testing::fixtures::{key, keys};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child;
use crate::pool::{PAGE, Pool, home, must_load_of, must_store_of, number_after, open_files};

#[track_caller]
fn limit(soft: u64, hard: u64) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: Some(hard) }).unwrap();
}

#[test]
fn a_soft_limit_that_is_too_low_for_the_pool_is_raised() {
    let Some(home) = child::given() else {
        let test = "descriptors::a_soft_limit_that_is_too_low_for_the_pool_is_raised";
        return child::must_pass_again(test, home().path());
    };
    limit(64, 4096);
    let pool = Pool::at(&home, 500);
    let host = pool.host(8 << 20);
    assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: Some(4096), maximum: Some(4096) });
    host.must_store(&keys(500));
    host.must_load(&keys(500));
    // A second one at the same time.
    let other = pool.host(8 << 20);
    must_store_of(&other, &key(0), pool.capacity());
    host.must_load(&keys(500));
    must_load_of(&other, &key(0), pool.capacity());
    assert_eq!(pool.descriptors().len(), 1000);
}

#[test]
fn a_pool_of_more_files_than_the_process_may_open_is_refused_with_the_arithmetic() {
    let Some(home) = child::given() else {
        let test =
            "descriptors::a_pool_of_more_files_than_the_process_may_open_is_refused_with_the_arithmetic";
        return child::must_pass_again(test, home().path());
    };
    limit(64, 256);
    let place = home.join("l2");
    // What the first use of NIXL opens stays; so does the limit, which even a small pool raises.
    drop(Pool::at(&home.join("first"), 4).try_open().unwrap());
    limit(64, 256);
    let opened = open_files();
    for files in [2_000_000, u32::MAX.into(), 1000] {
        let error = Pool::at(&place, files).try_open().expect_err("it may not open so many files");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert_eq!(number_after(&text, "pool_size "), files, "{text}");
        assert_eq!(number_after(&text, "needs "), files, "{text}");
        assert_eq!(number_after(&text, "in reserve make it "), files + opened.len() as u64 + 64, "{text}");
        assert_eq!(number_after(&text, "this process may have "), 256, "{text}");
        assert!(text.contains("RLIMIT_NOFILE"), "{text}");
        assert!(!place.exists(), "nothing was made");
        assert_eq!(open_files(), opened);
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: Some(64), maximum: Some(256) });
    }
    // What it says is possible is.
    let text = Pool::at(&place, 1000).try_open().unwrap_err().to_string();
    let (_, advice) = text.rsplit_once("in fewer, larger files").unwrap();
    let size = usize::try_from(number_after(advice, "file_size ")).unwrap();
    let pool = Pool::at(&place, number_after(advice, "pool_size ")).of(size);
    assert!(pool.capacity() >= 1000 * PAGE, "{advice}");
    let host = pool.host(16 << 20);
    must_store_of(&host, &key(1), pool.capacity());
    must_load_of(&host, &key(1), pool.capacity());
}

/// The reserve is as much as the workers need: each has the ring of its queue.
#[test]
fn where_there_is_just_room_for_the_pool_it_opens_with_as_many_workers_as_there_can_be() {
    let Some(home) = child::given() else {
        let test = "descriptors::where_there_is_just_room_for_the_pool_it_opens_with_as_many_workers_as_there_can_be";
        return child::must_pass_again(test, home().path());
    };
    drop(Pool::at(&home.join("first"), 4).uring(true).try_open().unwrap());
    let opened = open_files().len() as u64;
    limit(opened + 100 + 64, opened + 100 + 64);
    let pool = Pool::at(&home.join("l2"), 100).uring(true).workers(64);
    let host = pool.host(2 << 20);
    host.must_store(&keys(100));
    host.must_load(&keys(100));
    // Not even one to count the others with.
    let rest: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let refused = Pool::at(&home.join("other"), 1).try_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(refused.to_string().contains("RLIMIT_NOFILE"), "{refused}");
    drop(rest);
    host.must_load(&keys(100));
}

/// Others may take the descriptors that were counted: here as soon as all files are open, before the workers are.
#[test]
fn a_pool_whose_workers_find_no_descriptors_leaves_nothing() {
    let Some(home) = child::given() else {
        let test = "descriptors::a_pool_whose_workers_find_no_descriptors_leaves_nothing";
        return child::must_pass_again(test, home().path());
    };
    drop(Pool::at(&home.join("first"), 4).uring(true).try_open().unwrap());
    let before = open_files();
    let most = before.len() as u64 + 100 + 64;
    limit(most, most);
    let pool = Pool::at(&home.join("l2"), 100).uring(true).workers(64);
    // The others may come too late, but hardly always.
    let mut rounds = 0..100;
    let error = rounds.find_map(|_| {
        let over = AtomicBool::new(false);
        let opened = std::thread::scope(|scope| {
            let others = scope.spawn(|| {
                while pool.descriptors().len() < 100 && !over.load(Ordering::Acquire) {}
                let mut taken = Vec::new();
                while !over.load(Ordering::Acquire) {
                    taken.extend(File::open("/dev/null"));
                }
            });
            let opened = pool.try_open();
            over.store(true, Ordering::Release);
            others.join().unwrap();
            opened
        });
        opened.err()
    });
    let error = error.expect("the workers find none in one of a hundred rounds");
    assert!([ErrorKind::Unsupported, ErrorKind::Io].contains(&error.kind()), "{error}");
    assert_eq!(open_files(), before, "{error}");
    assert_eq!(pool.visible(), [""; 0]);
    let host = pool.workers(2).host(2 << 20);
    host.must_store(&keys(100));
    host.must_load(&keys(100));
}

/// Making them would end the process by a signal, which nothing here catches.
#[test]
fn files_longer_than_the_process_may_make_are_refused() {
    let Some(home) = child::given() else {
        let test = "descriptors::files_longer_than_the_process_may_make_are_refused";
        return child::must_pass_again(test, home().path());
    };
    setrlimit(Resource::Fsize, Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) }).unwrap();
    let pool = Pool::at(&home, 4).of(2 << 20);
    let error = pool.try_open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("1048576 bytes (RLIMIT_FSIZE)"), "{error}");
    let host = Pool::at(&home, 4).of(1 << 20).host(8 << 20);
    host.must_store(&keys(4));
}
