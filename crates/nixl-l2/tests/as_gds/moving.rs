//! Objects through both adapters on each of the three names, buffered and direct, with each parameter of the plugin.

use l2_core::testing::fixtures::keys;

use crate::disguise;
use crate::support::{PAGE, files_in, home, host, objects_live};
use crate::texts::{Adapter, FILES, Text};

/// Objects from a page to 1 MiB live; what was stored is there after a restart where the adapter promises that.
#[track_caller]
fn objects_live_and_outlive(adapter: Adapter, backend: &str) {
    for direct in [false, true] {
        let home = home();
        let path = home.path().join("l2");
        let json = Text::new(adapter, backend, &path).direct(direct).with_all_params().json();
        let first = host(&json);
        assert_eq!(first.adapter.status().backend, backend);
        for bytes in [PAGE, 16 << 10, 1 << 20] {
            objects_live(&first, bytes, bytes as u64);
        }
        if !direct {
            // On POSIX files a pool counts whole pages.
            let occupied = if adapter == Adapter::Static { 28672 } else { 25001 };
            objects_live(&first, 25001, occupied);
        }
        first.must_store(&keys(100));
        first.must_load(&keys(100));
        first.adapter.close().unwrap();
        drop(first);
        let second = host(&json);
        if adapter == Adapter::Static {
            second.must_miss(&keys(100));
            // cuFile wants names: those of the pool, which go with it.
            let named = if backend == "HF3FS" { 0 } else { FILES };
            assert_eq!(files_in(&path) as u64, named);
            second.adapter.close().unwrap();
            assert_eq!(files_in(&path), 0);
            continue;
        }
        assert_eq!(files_in(&path), 100);
        second.must_hit(&keys(100));
        second.must_load(&keys(100));
        second.adapter.unlock(&keys(100));
        second.must_delete(&keys(100));
        assert_eq!(files_in(&path), 0);
    }
}

#[test]
fn objects_live_in_a_static_pool_on_posix_called_gds() {
    if disguise::is_on() {
        objects_live_and_outlive(Adapter::Static, "GDS");
    }
}

#[test]
fn objects_live_in_a_static_pool_on_posix_called_gds_mt() {
    if disguise::is_on() {
        objects_live_and_outlive(Adapter::Static, "GDS_MT");
    }
}

#[test]
fn objects_live_in_a_static_pool_on_posix_called_hf3fs() {
    if disguise::is_on() {
        objects_live_and_outlive(Adapter::Static, "HF3FS");
    }
}

#[test]
fn objects_outlive_a_restart_of_the_dynamic_adapter_on_posix_called_gds() {
    if disguise::is_on() {
        objects_live_and_outlive(Adapter::Dynamic, "GDS");
    }
}

#[test]
fn objects_outlive_a_restart_of_the_dynamic_adapter_on_posix_called_gds_mt() {
    if disguise::is_on() {
        objects_live_and_outlive(Adapter::Dynamic, "GDS_MT");
    }
}

#[test]
fn objects_outlive_a_restart_of_the_dynamic_adapter_on_posix_called_hf3fs() {
    if disguise::is_on() {
        objects_live_and_outlive(Adapter::Dynamic, "HF3FS");
    }
}

/// Octal, from `/proc/self/fdinfo`, without how it may be used, and what is meant for this process alone.
fn odd_flags(descriptor: &std::ffi::OsStr) -> u32 {
    const PLAIN: u32 = 0o2_000_000 | 0o100_000 | 0o40_000 | 0o3;
    let info = std::fs::read_to_string(std::path::Path::new("/proc/self/fdinfo").join(descriptor)).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    u32::from_str_radix(flags, 8).unwrap() & !PLAIN
}

#[test]
fn the_files_of_a_pool_for_cufile_have_names_and_plain_flags() {
    if !disguise::is_on() {
        return;
    }
    for backend in ["GDS", "GDS_MT"] {
        let home = home();
        let path = std::fs::canonicalize(home.path()).unwrap().join("l2");
        let host = host(&Text::new(Adapter::Static, backend, &path).direct(true).json());
        let mut seen = 0;
        for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
            let Ok(file) = std::fs::read_link(entry.path()) else { continue };
            if file.starts_with(&path) && file.extension().is_none() && !file.is_dir() {
                assert!(file.exists(), "{} has no name", file.display());
                assert_eq!(odd_flags(&entry.file_name()), 0, "{}", file.display());
                seen += 1;
            }
        }
        assert!(seen as u64 >= FILES, "{seen}");
        host.adapter.close().unwrap();
    }
}
