//! The directory, and what is not to be reached through it.

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn fresh() -> (tempfile::TempDir, Directory) {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::open(&home.path().join("a/b")).unwrap();
    (home, directory)
}

#[test]
fn directories_are_the_owners_alone() {
    let (home, directory) = fresh();
    directory.place("ab/cd/x.bin", true).unwrap();
    for path in ["a", "a/b", "a/b/ab", "a/b/ab/cd"] {
        let mode = fs::metadata(home.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[test]
fn no_link_is_followed_and_only_regular_files_are_read() {
    let (home, directory) = fresh();
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.bin"), b"secret").unwrap();
    symlink(outside.join("x.bin"), directory.full("x.bin")).unwrap();
    symlink(&outside, directory.full("ab")).unwrap();
    fs::create_dir(directory.full("dir.bin")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, directory.full("pipe.bin"), FileType::Fifo, FILE_MODE, 0).unwrap();

    for path in ["x.bin", "ab/x.bin", "dir.bin", "pipe.bin"] {
        assert!(directory.open_to_read(path, false).is_err(), "{path}");
        let found = directory.stat(path).ok().flatten();
        assert!(found.and_then(|stat| regular_length(&stat)).is_none(), "{path}");
    }
    assert!(directory.place("ab/y.bin", true).is_err());
    assert!(!directory.remove("ab/x.bin").unwrap_or(false));
    assert!(outside.join("x.bin").exists());
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let (home, directory) = fresh();
    fs::write(home.path().join("a/x.bin"), b"not ours").unwrap();
    let absolute = home.path().join("a/x.bin");
    for path in ["../x.bin", "ab/../../x.bin", "..", ".", "", "ab/", "/", absolute.to_str().unwrap()] {
        let refused = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        refused(directory.place(path, true).unwrap_err());
        refused(directory.open_to_read(path, false).unwrap_err());
        refused(directory.stat(path).unwrap_err());
        refused(directory.remove(path).unwrap_err());
        assert!(!directory.may_read(path) && !directory.remove_if_empty(path));
    }
    assert_eq!(fs::read(absolute).unwrap(), b"not ours");
}

#[test]
fn what_is_not_there_is_no_error() {
    let (_home, directory) = fresh();
    fs::write(directory.full("f"), b"").unwrap();
    assert!(directory.stat("x.bin").unwrap().is_none());
    assert!(directory.stat("ab/x.bin").unwrap().is_none());
    assert!(directory.stat("f/x.bin").unwrap().is_none());
    assert!(!directory.remove("x.bin").unwrap());
    assert!(!directory.remove_if_empty("ab"));
}

#[test]
fn only_an_empty_directory_is_removed_as_one() {
    let (_home, directory) = fresh();
    directory.place("ab/cd/x.bin", true).unwrap();
    fs::write(directory.full("f"), b"").unwrap();
    assert!(!directory.remove_if_empty("ab") && !directory.remove_if_empty("f"));
    assert!(directory.remove_if_empty("ab/cd") && directory.remove_if_empty("ab"));
}

#[test]
fn an_error_names_the_file_and_says_whether_the_disk_is_full() {
    let (_home, directory) = fresh();
    let error = |errno: Errno| directory.error("cannot write", "ab/x.bin", errno.into());
    assert_eq!(error(Errno::NOSPC).kind(), ErrorKind::Full);
    assert_eq!(error(Errno::IO).kind(), ErrorKind::Io);
    assert_eq!(error(Errno::IO).path(), Some(&*directory.full("ab/x.bin")));
}

#[test]
fn a_directory_that_was_removed_is_taken_up_again() {
    let (_home, directory) = fresh();
    fs::remove_dir_all(directory.path()).unwrap();
    assert!(directory.refresh(false).is_err());
    directory.refresh(true).unwrap();
    fs::write(directory.full("x.bin"), b"new").unwrap();
    assert_eq!(directory.open_to_read("x.bin", false).unwrap().1, 3);
    assert!(!directory.refresh(true).unwrap());
}

#[test]
fn a_directory_that_was_moved_away_is_left_for_the_one_at_its_path() {
    let (home, directory) = fresh();
    fs::write(directory.full("x.bin"), b"old").unwrap();
    fs::rename(directory.path(), home.path().join("moved")).unwrap();
    assert!(directory.refresh(false).is_err());
    assert!(directory.stat("x.bin").unwrap().is_none() && !directory.remove("x.bin").unwrap());
    assert!(directory.refresh(true).unwrap() && !directory.refresh(true).unwrap());
    assert!(directory.stat("x.bin").unwrap().is_none());
    assert_eq!(fs::read(home.path().join("moved/x.bin")).unwrap(), b"old");
}

#[test]
fn only_the_file_that_was_found_wrong_is_removed() {
    let (_home, directory) = fresh();
    fs::write(directory.full("x.bin"), b"wrong").unwrap();
    let wrong = Identity::of(&directory.stat("x.bin").unwrap().unwrap());
    fs::write(directory.full("new"), b"right").unwrap();
    fs::rename(directory.full("x.bin"), directory.full("aside")).unwrap();
    fs::rename(directory.full("new"), directory.full("x.bin")).unwrap();
    assert!(!directory.remove_if_same("x.bin", &wrong).unwrap());
    assert_eq!(fs::read(directory.full("x.bin")).unwrap(), b"right");
    fs::rename(directory.full("aside"), directory.full("x.bin")).unwrap();
    assert!(directory.remove_if_same("x.bin", &wrong).unwrap());
    assert!(!directory.remove_if_same("x.bin", &wrong).unwrap());
}
