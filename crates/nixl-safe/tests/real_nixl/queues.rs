//! The bytes really go through NIXL's POSIX plugin and the queue that was chosen.

use std::fs;

use super::support::*;

/// Asynchronous I/O contexts of this process: the kernel maps each one's ring.
fn aio_contexts() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains("/[aio]")).count()
}

/// The numbers of this process's io_uring instances.
fn urings() -> Vec<String> {
    let numbers = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let uring = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy() == "anon_inode:[io_uring]")
    };
    numbers.filter(uring).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// How many requests an io_uring has been given.
fn submitted(number: &str) -> u64 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let tail = info.lines().find_map(|line| line.strip_prefix("SqTail:")).unwrap_or_else(|| panic!("{info}"));
    tail.trim().parse().unwrap()
}

fn plugin_is_loaded() -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains("libplugin_POSIX.so")
}

/// In a child, where no other test has backends.
#[test]
fn transfers_go_through_the_posix_plugin_and_the_queue_that_was_chosen() {
    if !in_child() {
        let home = tempfile::tempdir().unwrap();
        let test = "queues::transfers_go_through_the_posix_plugin_and_the_queue_that_was_chosen";
        let mut child = again(&std::env::current_exe().unwrap(), test, home.path());
        let output = child.env("NIXL_LIB_DIR", nixl().library().parent().unwrap()).output().unwrap();
        return assert_passed(&output);
    }
    assert!(!plugin_is_loaded());
    assert_eq!((aio_contexts(), urings().len()), (0, 0));

    let bench = Bench::new(DEFAULT);
    assert!(plugin_is_loaded());
    assert_eq!((aio_contexts(), urings().len()), (1, 0), "the default is the kernel's asynchronous I/O");
    bench.assert_works(0, 4096);
    drop(bench);
    assert_eq!(aio_contexts(), 0);

    let Some(bench) = uring().map(Bench::new) else { return };
    assert_eq!((aio_contexts(), urings().len()), (0, 1));
    let uring = urings().remove(0);
    assert_eq!(submitted(&uring), 0);
    for done in 1..=5 {
        bench.assert_works(0, 4096);
        assert_eq!(submitted(&uring), done, "one request, one submission");
    }
    drop(bench);
    assert!(urings().is_empty());
}
