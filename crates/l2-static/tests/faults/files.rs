//! The pool's files: nobody sees them, nobody else may use them, and nothing is opened after the start.

use std::fs;
use std::os::unix::fs::MetadataExt;

use l2_core::ErrorKind;
use l2_core::testing::fixtures::keys;

use crate::child;
use crate::pool::{PAGE, Pool, home, open_files};

/// `O_CLOEXEC`, as the kernel shows it.
const CLOEXEC: u32 = 0o2_000_000;

#[test]
fn nobody_sees_the_files_of_an_open_pool_and_their_space_is_reserved() {
    for direct in [false, true] {
        let pool = Pool::fresh(20).of(3 * PAGE).direct(direct);
        let host = pool.host(1 << 20);
        host.must_store(&keys(40));
        assert_eq!(pool.visible(), [""; 0]);
        let open = pool.descriptors();
        assert_eq!(open.len(), 20);
        for number in open {
            let file = fs::metadata(format!("/proc/self/fd/{number}")).unwrap();
            assert_eq!(
                (file.nlink(), file.mode() & 0o7777),
                (0, 0o600),
                "without a name, and the owner's alone"
            );
            assert_eq!(file.len(), 3 * PAGE as u64);
            assert!(file.blocks() * 512 >= file.len(), "{} blocks", file.blocks());
            let flags = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            assert_ne!(u32::from_str_radix(flags, 8).unwrap() & CLOEXEC, 0, "children do not inherit it");
        }
        host.must_load(&keys(40));
    }
}

#[test]
fn a_pool_that_is_closed_or_dropped_is_gone() {
    for direct in [false, true] {
        let pool = Pool::fresh(20).direct(direct).uring(direct);
        let host = pool.host(1 << 20);
        host.must_store(&keys(20));
        host.adapter.close().unwrap();
        // Closed is enough: the host may keep the adapter for as long as it likes.
        assert_eq!(pool.descriptors(), [0; 0]);
        assert_eq!(pool.visible(), [""; 0]);
        drop(host);
        let host = pool.host(1 << 20);
        host.must_miss(&keys(20));
        host.must_store(&keys(20));
        drop(host);
        assert_eq!(pool.descriptors(), [0; 0]);
        assert_eq!(pool.visible(), [""; 0]);
    }
}

#[test]
fn pools_in_one_directory_at_once_have_files_of_their_own() {
    let pool = Pool::fresh(20);
    let hosts = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| pool.host(1 << 20))).collect();
        opening.into_iter().map(|host| host.join().unwrap()).collect::<Vec<_>>()
    });
    // Other bytes under the same keys, in each.
    let lengths = [PAGE, PAGE - 1, PAGE - 2, PAGE - 3];
    for (host, bytes) in hosts.iter().zip(lengths) {
        let items = keys(20).iter().map(|key| host.item_of(key, bytes)).collect();
        assert_eq!(host.store_items(items).written_bytes(), 20 * bytes as u64);
    }
    for (host, bytes) in hosts.iter().zip(lengths) {
        let items = keys(20).iter().map(|key| host.blank_of(key, bytes)).collect();
        assert_eq!(host.load_items(items).loaded_bytes(), 20 * bytes as u64);
    }
    assert_eq!(pool.descriptors().len(), 4 * 20);
    drop(hosts);
    assert_eq!(pool.descriptors(), [0; 0]);
}

/// In a child: it counts the descriptors of the process.
#[test]
fn nothing_is_opened_after_the_start() {
    let Some(home) = child::given() else {
        return child::must_pass_again("files::nothing_is_opened_after_the_start", home().path());
    };
    for (name, direct, uring) in [("aio", false, false), ("direct", true, false), ("uring", true, true)] {
        let pool = Pool::at(&home.join(name), 64).of(2 * PAGE).direct(direct).uring(uring);
        let host = pool.host(4 << 20);
        let opened = open_files();
        for _ in 0..3 {
            host.must_store(&keys(128));
            assert_eq!(host.adapter.usage().used_bytes, host.adapter.usage().capacity_bytes);
            host.must_load(&keys(128));
            host.must_hit(&keys(128));
            host.adapter.unlock(&keys(128));
            host.must_delete(&keys(128));
            assert_eq!(open_files(), opened);
        }
    }
}

/// In a child: it counts the descriptors of the process.
#[test]
fn a_pool_that_cannot_be_opened_leaves_nothing() {
    let Some(home) = child::given() else {
        return child::must_pass_again("files::a_pool_that_cannot_be_opened_leaves_nothing", home().path());
    };
    // What the first use of NIXL opens stays.
    drop(Pool::at(&home.join("first"), 4).try_open().unwrap());
    fs::write(home.join("file"), "not a directory").unwrap();
    let (opened, before) = (open_files(), fs::read_dir(&home).unwrap().count());
    let never = home.join("never/made");
    let mut no_such_queue = Pool::at(&never, 4);
    no_such_queue.config.plugin_params.set("use_posix_aio", "true");
    for (pool, kind) in [
        (Pool::at(&home.join("file"), 4), ErrorKind::Io),
        (Pool::at(&home.join("file/below"), 4), ErrorKind::Io),
        (Pool::at("/proc/self/l2".as_ref(), 4), ErrorKind::Io),
        (Pool::at("".as_ref(), 4), ErrorKind::InvalidInput),
        (Pool::at(&never, 0), ErrorKind::InvalidInput),
        (Pool::at(&never, 1 << 32), ErrorKind::InvalidInput),
        (Pool::at(&never, 4).of(usize::MAX / 2), ErrorKind::InvalidInput),
        (Pool::at(&never, 4).of(PAGE + 1), ErrorKind::InvalidInput),
        (no_such_queue, ErrorKind::InvalidInput),
    ] {
        let error = pool.try_open().expect_err("it does not open");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        assert_eq!(open_files(), opened, "{error}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), before, "nothing was made");
}
