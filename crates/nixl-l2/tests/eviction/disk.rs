//! Disks that are smaller than the capacity: what is there goes for what comes.

use std::path::Path;

use l2_core::testing::child::{self, Root};
use l2_core::testing::fixtures::{key, keys};
use l2_core::testing::{Factory, Host, Opened, Options};
use nixl_l2::{AdapterConfig, ErrorKind, Nixl, Region};
use rustix::fs::statvfs;

const TMPFS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";
const MIB: usize = 1 << 20;

/// Opens what the JSON says, whatever it is asked for.
struct Exactly(String);

impl Factory for Exactly {
    fn open(&self, options: Options) -> Opened {
        Nixl::load().expect("NIXL is installed: run `cargo xtask setup`").silence();
        let config = AdapterConfig::parse(&self.0).unwrap_or_else(|faults| panic!("{faults}\nin {}", self.0));
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let adapter = nixl_l2::open(&config, &l1).unwrap();
        Opened { adapter, l1 }
    }
}

/// An adapter on a disk of 8 MiB that is told to use 1 GiB.
fn host(directory: &Path, object_bytes: usize, more: &str) -> Host {
    let json = format!(
        r#"{{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params":
            {{"file_path": {:?}, "use_direct_io": "false", "max_capacity_gb": 1}}{more}}}"#,
        directory.join("l2")
    );
    Host::with(&Exactly(json), Options { capacity_bytes: 1 << 30, object_bytes, l1_bytes: 64 * MIB })
}

const LRU: &str = r#", "eviction": {"eviction_policy": "LRU"}"#;

#[test]
fn a_full_disk_makes_room_by_eviction_though_the_capacity_is_not_reached() {
    let Some(directory) = child::given() else {
        let test = "disk::a_full_disk_makes_room_by_eviction_though_the_capacity_is_not_reached";
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return child::must_pass_with_a_mount(Root::Mapped, test, &home.path().join("m"), TMPFS);
    };
    for (object_bytes, objects) in [(3 * MIB, 20), (64 << 10, 200)] {
        let host = host(&directory, object_bytes, LRU);
        for number in 0..objects {
            host.must_store(&[key(number)]);
            host.must_load(&[key(number)]);
        }
        let status = host.adapter.status();
        assert_eq!((status.healed_objects, status.tasks_in_flight), (0, 0), "{status:?}");
        host.adapter.close().unwrap();
        std::fs::remove_dir_all(directory.join("l2")).unwrap();
    }
}

#[test]
fn without_eviction_a_full_disk_rejects_and_serves_what_it_has() {
    let Some(directory) = child::given() else {
        let test = "disk::without_eviction_a_full_disk_rejects_and_serves_what_it_has";
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return child::must_pass_with_a_mount(Root::Mapped, test, &home.path().join("m"), TMPFS);
    };
    let host = host(&directory, 3 * MIB, "");
    for number in 0..4 {
        let result = host.store(&[key(number)]).outcomes.remove(0).result;
        match number {
            0 | 1 => assert!(result.is_ok(), "{result:?}"),
            _ => assert_eq!(result.unwrap_err().kind(), ErrorKind::Full),
        }
    }
    host.must_load(&keys(2));
    host.must_miss(&[key(2), key(3)]);
    host.must_use(2);
}

#[test]
fn what_is_left_to_others_is_left_to_them() {
    let Some(directory) = child::given() else {
        let test = "disk::what_is_left_to_others_is_left_to_them";
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return child::must_pass_with_a_mount(Root::Mapped, test, &home.path().join("m"), TMPFS);
    };
    // 4 MiB of the 8.
    let min_free = r#", "min_free_gb": 0.00390625"#;
    for (eviction, stored) in [(LRU, 40), ("", 4)] {
        let host = host(&directory, MIB, &format!("{min_free}{eviction}"));
        let mut written = 0;
        for number in 0..40 {
            match host.store(&[key(number)]).outcomes.remove(0).result {
                Ok(_) => written += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Full);
                    assert!(error.to_string().contains("min_free_gb"), "{error}");
                }
            }
            let space = statvfs(&directory).unwrap();
            assert!(space.f_bavail * space.f_frsize >= 4 << 20, "others lose room");
        }
        assert!((stored - 1..=stored).contains(&written), "{written} of {stored}");
        host.adapter.close().unwrap();
        std::fs::remove_dir_all(directory.join("l2")).unwrap();
    }
}
