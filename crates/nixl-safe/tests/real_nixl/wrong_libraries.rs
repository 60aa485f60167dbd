//! Files called `libnixl_capi.so` that are not what they should be: nixl-sys would abort the process over them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::loading::{alone, assert_usable, installed_for_all, real_directory};
use super::support::*;
use nixl_safe::{Error, ErrorKind, Nixl};
use tempfile::TempDir;

const LIBRARY: &str = "libnixl_capi.so";

/// The error, unless the machine has a good library that is found after the wrong one.
fn load_error() -> Option<Error> {
    match Nixl::load() {
        Err(error) => Some(error),
        Ok(nixl) => {
            assert!(installed_for_all(&nixl), "found by {}", nixl.found_by());
            None
        }
    }
}

/// A copy of NIXL's C library, beside links to the rest of NIXL, with one text inside it replaced by another.
fn changed_library(from: &str, to: &str) -> (TempDir, PathBuf) {
    assert_eq!(from.len(), to.len());
    let real = fs::canonicalize(real_directory()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join(real.file_name().unwrap());
    fs::create_dir(&directory).unwrap();
    // NIXL finds its own libraries beside it, and others in the wheel's directory beside that.
    for entry in fs::read_dir(real.parent().unwrap()).unwrap().flatten() {
        if entry.path() != real {
            symlink(entry.path(), root.path().join(entry.file_name())).unwrap();
        }
    }
    for entry in fs::read_dir(&real).unwrap().flatten() {
        symlink(entry.path(), directory.join(entry.file_name())).unwrap();
    }
    let mut bytes = fs::read(real.join(LIBRARY)).unwrap();
    let places: Vec<_> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, text)| *text == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{from} is in the library");
    for at in places {
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    fs::remove_file(directory.join(LIBRARY)).unwrap();
    fs::write(directory.join(LIBRARY), bytes).unwrap();
    (root, directory)
}

fn child(test: &str, library_directory: &Path) {
    assert_passed(&alone(&format!("wrong_libraries::{test}"), &[("NIXL_LIB_DIR", library_directory)]));
}

#[test]
fn a_file_that_is_no_library_is_an_error_with_the_loaders_reason() {
    if !in_child() {
        for content in
            ["", "not a library at all, but long enough to have a header of 64 bytes or more, see?"]
        {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(LIBRARY), content).unwrap();
            child("a_file_that_is_no_library_is_an_error_with_the_loaders_reason", directory.path());
        }
        return;
    }
    if let Some(error) = load_error() {
        assert_eq!(error.kind(), ErrorKind::LibraryMissing);
        let place = &error.tried()[0];
        assert_eq!(place.rule, "NIXL_LIB_DIR");
        let reasons = ["file too short", "invalid ELF header"];
        assert!(reasons.iter().any(|reason| place.outcome.contains(reason)), "{place}");
    }
    assert_usable(Nixl::load_from(real_directory()).unwrap());
}

#[test]
fn another_library_of_nixls_name_is_an_error_and_the_right_one_can_still_be_opened() {
    if !in_child() {
        nixl();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        // One that NIXL needs, so that it is on every machine with NIXL.
        let path = maps
            .lines()
            .find_map(|line| line.find('/').map(|at| &line[at..]).filter(|p| p.contains("/libz.so")));
        let directory = tempfile::tempdir().unwrap();
        fs::copy(path.expect("NIXL uses zlib"), directory.path().join(LIBRARY)).unwrap();
        return child(
            "another_library_of_nixls_name_is_an_error_and_the_right_one_can_still_be_opened",
            directory.path(),
        );
    }
    if let Some(error) = load_error() {
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("it is not NIXL's library"), "{error}");
    }
    assert_usable(Nixl::load_from(real_directory()).unwrap());
}

#[test]
fn a_library_with_another_name_inside_is_an_error_and_the_right_one_can_still_be_opened() {
    if !in_child() {
        let (_root, directory) = changed_library("libnixl_capi.so\0", "libnixl_capx.so\0");
        return child(
            "a_library_with_another_name_inside_is_an_error_and_the_right_one_can_still_be_opened",
            &directory,
        );
    }
    if let Some(error) = load_error() {
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("SONAME"), "{error}");
    }
    assert_usable(Nixl::load_from(real_directory()).unwrap());
}

/// Once it is open, by its name, nixl-sys's stubs would find it rather than a better one opened later.
#[test]
fn a_nixl_that_lacks_a_function_is_an_error_that_names_it_and_blocks_the_process_without_an_abort() {
    if !in_child() {
        let (_root, directory) = changed_library("\0nixl_capi_query_mem\0", "\0nixl_capi_query_old\0");
        return child(
            "a_nixl_that_lacks_a_function_is_an_error_that_names_it_and_blocks_the_process_without_an_abort",
            &directory,
        );
    }
    if let Some(error) = load_error() {
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("lacks nixl_capi_query_mem"), "{error}");
    }
    let blocked = Nixl::load_from(real_directory()).unwrap_err();
    assert_eq!(blocked.kind(), ErrorKind::Incompatible);
    assert!(blocked.to_string().contains("another NIXL open already"), "{blocked}");
}
