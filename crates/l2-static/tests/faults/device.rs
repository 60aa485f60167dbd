//! A device that cannot read what was written to it.

use std::fs;

use l2_core::ErrorKind;
use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};

use crate::child::{self, Root};
use crate::pool::{PAGE, Pool, home, must_load_of, must_store_of};
use crate::space::EXT4;

/// The device loses all that is behind its first MiB: to read it is an error from now on.
fn lose_the_end(disk: &std::path::Path) {
    let under = fs::OpenOptions::new().write(true).open(disk.with_extension("disk")).unwrap();
    under.set_len(1 << 20).unwrap();
}

#[track_caller]
fn assert_lost(host: &Host, objects: u64) {
    for (key, outcome) in keys(objects).iter().zip(host.load(&keys(objects)).outcomes) {
        let error = outcome.result.unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Corrupt, Some(key)), "{error}");
        assert!(error.to_string().contains("pool file"), "{error}");
        assert!(outcome.memory.is_some(), "the lease comes back");
    }
}

#[test]
fn what_the_device_cannot_read_is_dropped_and_its_pages_are_free() {
    let Some(disk) = child::given() else {
        let test = "device::what_the_device_cannot_read_is_dropped_and_its_pages_are_free";
        return child::must_pass_with_a_mount(Root::Real, test, &home().path().join("disk"), EXT4);
    };
    // Past the file system's own notes, and past any cache.
    let pool = Pool::at(&disk.join("l2"), 16).of(64 * PAGE).direct(true);
    let host = pool.host(16 << 20);
    host.must_store(&keys(6));
    host.must_load(&keys(6));
    host.must_hit(&[key(0)]);
    rustix::fs::syncfs(fs::File::open(&disk).unwrap()).unwrap();
    lose_the_end(&disk);
    // Many at once, and one that is pinned.
    assert_lost(&host, 6);
    let status = host.adapter.status();
    assert_eq!(
        (status.healed_objects, status.stored_objects, status.pinned_objects),
        (6, 0, 0),
        "{status:?}"
    );
    assert!(status.healthy);
    host.must_use(0);
    host.must_miss(&keys(6));
    host.adapter.unlock(&[key(0)]);
    // It can be written again, and then read.
    host.must_store(&keys(6));
    host.must_load(&keys(6));
    host.must_use(6);
    // Lost once more, to two who load it at the same time.
    rustix::fs::syncfs(fs::File::open(&disk).unwrap()).unwrap();
    lose_the_end(&disk);
    assert_eq!(host.load(&[key(1), key(1)]).bitmap(), [false, false]);
    host.must_miss(&[key(1)]);
    host.must_use(5);
    must_store_of(&host, &key(1), 2 * PAGE);
    must_load_of(&host, &key(1), 2 * PAGE);
    host.must_delete(&[key(0), key(5)]);
}
