//! Files that are given their name when they are whole, both with and without a temporary one.
#![cfg(test)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use l2_files::{Alignment, Directory, HiddenFile, TEMPORARIES, Writing, open_again};
use rustix::fs::{OFlags, fcntl_getfl};

const BOTH: [Writing; 2] = [Writing::Nameless, Writing::Named];

fn fresh() -> (tempfile::TempDir, Directory) {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::open(&home.path().join("l2")).unwrap();
    (home, directory)
}

/// A file with these bytes that is to be at `ab/x.bin`.
fn hidden(directory: &Directory, writing: Writing, bytes: &[u8]) -> HiddenFile {
    let file = HiddenFile::make(directory, writing, "ab/x.bin", false).unwrap();
    assert_eq!(rustix::io::write(file.file(), bytes).unwrap(), bytes.len());
    file
}

fn temporaries(directory: &Directory) -> usize {
    fs::read_dir(directory.full(TEMPORARIES)).map_or(0, Iterator::count)
}

/// Nothing but how it may be used: cuFile refuses a file that was opened with anything else.
#[track_caller]
fn assert_plain(file: &std::os::fd::OwnedFd, access: OFlags) {
    let flags = fcntl_getfl(file).unwrap();
    assert_eq!(flags.difference(OFlags::LARGEFILE | OFlags::DIRECT), access, "{flags:?}");
}

#[test]
fn files_under_temporary_names_and_those_opened_again_have_plain_flags() {
    let (_home, directory) = fresh();
    assert_eq!(Writing::probe_named(&directory, false).unwrap(), Writing::Named);
    assert_eq!(temporaries(&directory), 0);
    let draft = hidden(&directory, Writing::Named, b"bytes");
    assert_plain(draft.file(), OFlags::WRONLY);
    assert_plain(&draft.open_to_read(false).unwrap(), OFlags::RDONLY);
    draft.publish(&directory, "ab/x.bin").unwrap();
    let (file, _) = directory.open_to_read("ab/x.bin", false).unwrap();
    let again = open_again(&file, false).unwrap();
    assert_plain(&again, OFlags::RDONLY);
    let mut bytes = [0; 5];
    rustix::io::pread(&again, &mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"bytes");
}

#[test]
fn a_file_has_its_name_only_when_it_is_given() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        let file = hidden(&directory, writing, b"whole");
        assert!(!directory.full("ab/x.bin").exists(), "{writing:?}");
        assert_eq!(temporaries(&directory), usize::from(writing == Writing::Named));
        file.publish(&directory, "ab/x.bin").unwrap();
        drop(file);
        assert_eq!(fs::read(directory.full("ab/x.bin")).unwrap(), b"whole");
        let metadata = fs::metadata(directory.full("ab/x.bin")).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.nlink()), (0o600, 1));
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}

#[test]
fn a_file_that_is_dropped_leaves_nothing() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        drop(hidden(&directory, writing, b"half"));
        assert_eq!(fs::read_dir(directory.full("ab")).map_or(0, Iterator::count), 0);
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}

#[test]
fn a_file_without_a_name_is_refused_where_one_is_and_may_replace_it() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        hidden(&directory, writing, b"old").publish(&directory, "ab/x.bin").unwrap();
        let file = hidden(&directory, writing, b"new");
        match file.publish(&directory, "ab/x.bin") {
            Ok(()) => assert_eq!(writing, Writing::Named),
            Err(error) => {
                assert_eq!((writing, error.kind()), (Writing::Nameless, ErrorKind::AlreadyExists));
                assert_eq!(fs::read(directory.full("ab/x.bin")).unwrap(), b"old");
                file.replace(&directory, "ab/x.bin").unwrap();
            }
        }
        assert_eq!(fs::read(directory.full("ab/x.bin")).unwrap(), b"new");
        hidden(&directory, writing, b"newer").replace(&directory, "ab/x.bin").unwrap();
        assert_eq!(fs::read(directory.full("ab/x.bin")).unwrap(), b"newer");
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}

#[test]
fn trying_out_leaves_nothing_and_finds_a_way() {
    let (_home, directory) = fresh();
    let writing = Writing::probe(&directory, false).unwrap();
    if let Ok(alignment) = Alignment::probe(&directory) {
        assert!(alignment.memory > 0 && alignment.length > 0);
        Writing::probe(&directory, true).unwrap();
    }
    drop(hidden(&directory, writing, b"x"));
    assert_eq!(temporaries(&directory), 0);
}
