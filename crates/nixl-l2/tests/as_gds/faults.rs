//! What goes wrong with the storage, on each of the three names.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::slice::from_ref;

use l2_core::testing::fixtures::{key, keys};
use nixl_l2::paths::{Layout, key_to_path};
use nixl_l2::{ErrorKind, ObjectKey};

use crate::disguise::{self, NAMES};
use crate::support::{PAGE, home, host, names_in, refused, skipped, try_host};
use crate::texts::{Adapter, BOTH, FILE_BYTES, Text};

#[test]
fn a_file_that_was_cut_is_dropped_alone_and_can_be_stored_again_on_posix_under_each_name() {
    if !disguise::is_on() {
        return;
    }
    for backend in NAMES {
        for (direct, length) in [(false, 1000), (false, 0), (true, PAGE), (true, 0)] {
            let home = home();
            let host = host(&Text::new(Adapter::Dynamic, backend, home.path()).direct(direct).json());
            let (all, bytes) = (keys(8), 4 * PAGE);
            host.store_items(all.iter().map(|key| host.item_of(key, bytes)).collect());
            let file = home.path().join(key_to_path(&all[3], Layout::Flat));
            OpenOptions::new().write(true).open(&file).unwrap().set_len(length as u64).unwrap();

            let report = host.load_items(all.iter().map(|key| host.blank_of(key, bytes)).collect());
            let failed: Vec<_> = report.failures().map(|(at, error)| (at, error.kind())).collect();
            assert_eq!(failed, [(3, ErrorKind::Corrupt)], "{backend}: {report:?}");
            let error = report.failures().next().unwrap().1;
            assert_eq!(error.path(), Some(&*file), "{error}");
            host.must_miss(from_ref(&all[3]));
            assert!(!file.exists());
            host.store_items(vec![host.item_of(&all[3], bytes)]);
            let report = host.load_items(all.iter().map(|key| host.blank_of(key, bytes)).collect());
            assert_eq!(report.loaded_bytes(), 8 * bytes as u64, "{backend}");
        }
    }
}

/// The files of a pool in `directory`, which have no names, opened once more.
fn pool_files(directory: &Path) -> Vec<File> {
    let open = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let ours = open.filter(|path| fs::read_link(path).is_ok_and(|file| file.starts_with(directory)));
    let mut files = BTreeMap::new();
    for path in ours.filter(|path| path.metadata().is_ok_and(|file| file.is_file())) {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        files.insert(file.metadata().unwrap().ino(), file);
    }
    files.into_values().collect()
}

/// As after a read that failed and was called a success, which GDS does, and HF3FS when it was short.
#[test]
fn bytes_that_are_not_those_that_were_stored_are_never_served_by_a_pool_on_posix_called_gds_or_hf3fs() {
    if !disguise::is_on() {
        return;
    }
    for backend in ["GDS", "HF3FS"] {
        for direct in [false, true] {
            let home = home();
            let text = Text::new(Adapter::Static, backend, home.path()).direct(direct);
            let host = host(&text.top("pool_size", 4).json());
            let bytes = 200 << 10;
            let items = |keys: &[ObjectKey]| keys.iter().map(|key| host.item_of(key, bytes)).collect();
            let all = keys(3);
            assert_eq!(host.store_items(items(&all)).written_bytes(), 3 * bytes as u64);
            // The last byte of each block of 1 KiB: none of them is as it was.
            let files = pool_files(home.path());
            assert_eq!(files.len(), 4);
            for file in &files {
                for end in (1023..FILE_BYTES).step_by(1024) {
                    let mut byte = [0];
                    file.read_exact_at(&mut byte, end).unwrap();
                    file.write_all_at(&[!byte[0]], end).unwrap();
                }
            }
            let report = host.load_items(all.iter().map(|key| host.blank_of(key, bytes)).collect());
            let failed: Vec<_> = report.failures().map(|(at, error)| (at, error.kind())).collect();
            let corrupt = ErrorKind::Corrupt;
            assert_eq!(failed, [(0, corrupt), (1, corrupt), (2, corrupt)], "{backend}: {report:?}");
            drop(report);
            host.must_miss(&all);
            assert_eq!((host.used(), host.adapter.status().healed_objects), (0, 3));
            assert_eq!(host.store_items(items(&all)).written_bytes(), 3 * bytes as u64);
            let report = host.load_items(all.iter().map(|key| host.blank_of(key, bytes)).collect());
            assert_eq!(report.loaded_bytes(), 3 * bytes as u64);
        }
    }
}

#[test]
fn a_pool_of_more_files_than_can_be_opened_is_refused_with_the_arithmetic_on_posix_under_each_name() {
    if !disguise::is_on() {
        return;
    }
    for backend in NAMES {
        let home = home();
        let text = Text::new(Adapter::Static, backend, &home.path().join("l2"));
        let text = text.top("pool_size", 400_000_000).top("workers", 3).param("file_size", PAGE);
        let error = refused(&text.json(), ErrorKind::Unsupported);
        assert!(error.contains("pool_size 400000000") && error.contains("ulimit -Hn"), "{error}");
        // Each worker has descriptors of its own, and 3FS opens each file again.
        let each = if backend == "HF3FS" { 7 } else { 4 };
        let needed = (400_000_000u64 * each).to_string();
        assert!(error.contains(&needed), "{needed} in {error}");
        assert_eq!(names_in(home.path()), [""; 0]);
    }
}

#[test]
fn a_place_that_is_no_directory_is_refused_with_its_path_on_posix_under_each_name() {
    if !disguise::is_on() {
        return;
    }
    for backend in NAMES {
        for adapter in BOTH {
            let home = home();
            let path = home.path().join("l2");
            fs::write(&path, "a file").unwrap();
            for path in [path.clone(), path.join("below")] {
                let error = refused(&Text::new(adapter, backend, &path).json(), ErrorKind::Io);
                assert!(error.contains(home.path().to_str().unwrap()), "{error}");
            }
            assert_eq!(fs::read(&path).unwrap(), b"a file");
        }
    }
}

#[test]
fn a_directory_without_rights_is_refused_with_its_path_on_posix_under_each_name() {
    match disguise::is_on_without_overrides() {
        None => return skipped("root cannot give up that rights of files do not hold for it: no setpriv"),
        Some(false) => return,
        Some(true) => {}
    }
    for backend in NAMES {
        for adapter in BOTH {
            let home = home();
            let path = home.path().join("closed");
            fs::create_dir(&path).unwrap();
            for mode in [0o000, 0o500, 0o600] {
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                let error = try_host(&Text::new(adapter, backend, &path).json());
                fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
                let error = error.err().unwrap_or_else(|| panic!("{mode:o} was opened"));
                assert_eq!(error.kind(), ErrorKind::Io, "{mode:o}: {error}");
                let text = error.to_string();
                assert!(text.contains("Permission denied") && text.contains("closed"), "{mode:o}: {text}");
                assert_eq!(names_in(&path), [""; 0]);
            }
        }
    }
}

#[test]
fn a_full_pool_or_cache_rejects_what_does_not_fit_on_posix_under_each_name() {
    if !disguise::is_on() {
        return;
    }
    for backend in NAMES {
        for adapter in BOTH {
            let home = home();
            let text = Text::new(adapter, backend, home.path());
            let text = match adapter {
                Adapter::Static => text.top("pool_size", 8).param("file_size", PAGE),
                Adapter::Dynamic => text.param("max_capacity_gb", 8.0 * PAGE as f64 / f64::from(1 << 30)),
            };
            let host = host(&text.json());
            let report = host.store(&keys(10));
            let kinds: Vec<_> = report.failures().map(|(at, error)| (at, error.kind())).collect();
            assert_eq!(kinds, [(8, ErrorKind::Full), (9, ErrorKind::Full)], "{backend}");
            host.must_load(&keys(8));
            host.must_delete(&[key(0)]);
            host.must_store(&[key(9)]);
        }
    }
}
