//! The bytes really go through NIXL's POSIX plugin, on the queue that was asked for.

use std::fs;

use l2_core::testing::fixtures::keys;

use crate::cache::{Cache, close};
use crate::child;

/// Asynchronous I/O contexts of this process: the kernel maps each one's ring.
fn aio_contexts() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains("/[aio]")).count()
}

fn plugin_is_loaded() -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains("libplugin_POSIX.so")
}

/// How many requests each `io_uring` of this process has been given.
fn submissions() -> Vec<u64> {
    let uring = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy() == "anon_inode:[io_uring]")
    };
    let submitted = |entry: fs::DirEntry| {
        let path = format!("/proc/self/fdinfo/{}", entry.file_name().to_string_lossy());
        let info = fs::read_to_string(path).unwrap();
        let tail = info.lines().find_map(|line| line.strip_prefix("SqTail:")).expect("an io_uring's tail");
        tail.trim().parse::<u64>().unwrap()
    };
    fs::read_dir("/proc/self/fd").unwrap().flatten().filter(uring).map(submitted).collect()
}

/// In a child, where no other test has adapters.
#[test]
fn objects_go_through_the_posix_plugin_and_the_queue_that_was_asked_for() {
    let Some(directory) = child::given() else {
        let test = "through_nixl::objects_go_through_the_posix_plugin_and_the_queue_that_was_asked_for";
        return child::must_pass_again(test, Cache::fresh().path());
    };
    assert!(!plugin_is_loaded());
    let host = Cache::at(&directory.join("aio")).workers(3).host(20);
    assert!(plugin_is_loaded());
    assert_eq!((aio_contexts(), submissions().len()), (3, 0), "the default is the kernel's asynchronous I/O");
    host.must_store(&keys(20));
    host.must_load(&keys(20));
    close(host);
    assert_eq!(aio_contexts(), 0);

    let host = Cache::at(&directory.join("uring")).uring().workers(3).host(20);
    assert_eq!((aio_contexts(), submissions()), (0, vec![0; 3]));
    host.must_store(&keys(20));
    assert_eq!(submissions().iter().sum::<u64>(), 20, "one submission an object");
    host.must_load(&keys(20));
    assert_eq!(submissions().iter().sum::<u64>(), 40);
    host.must_hit(&keys(20));
    assert_eq!(submissions().iter().sum::<u64>(), 40, "a lookup moves nothing");
    close(host);
    assert!(submissions().is_empty());
}
