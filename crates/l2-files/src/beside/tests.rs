//! Attributes and side files.

use super::*;
use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn fresh() -> (tempfile::TempDir, Directory, Beside) {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::open(&home.path().join("l2")).unwrap();
    let writing = Writing::probe(&directory, false).unwrap();
    let beside = Beside::new(&directory, writing, true);
    (home, directory, beside)
}

fn file(directory: &Directory, relative: &str) -> OwnedFd {
    directory.place(relative, true).unwrap();
    fs::write(directory.full(relative), b"all of it").unwrap();
    OwnedFd::from(fs::File::options().read(true).write(true).open(directory.full(relative)).unwrap())
}

fn read(beside: &Beside, directory: &Directory, file: &OwnedFd) -> Option<Vec<u8>> {
    beside.read(directory, file).unwrap()
}

#[test]
fn a_side_file_is_replaced_read_and_removed_as_an_attribute_is() {
    let (_home, directory, beside) = fresh();
    let long = format!("{}.bin", "x".repeat(251));
    for relative in ["a.bin", "ab/cd/a.bin", long.as_str()] {
        let file = file(&directory, relative);
        assert_eq!(read(&beside, &directory, &file), None);
        for bytes in [&b"one"[..], b"another,\nlonger", b"", &[7; MOST_BESIDE]] {
            beside.write_side_file(&directory, &file, relative, bytes).unwrap();
            assert_eq!(read(&beside, &directory, &file).as_deref(), Some(bytes));
        }
        // What another process left is found.
        let again = Beside::new(&directory, beside.writing, false);
        assert!(read(&again, &directory, &file).is_some());
        let of_it = again.of(&directory, relative);
        again.remove(&directory, of_it.clone()).unwrap();
        assert_eq!(read(&again, &directory, &file), None);
        again.remove(&directory, of_it).unwrap();
    }
    beside.remove_all(&directory).unwrap();
    assert!(directory.stat(SIDE_FILES).unwrap().is_none());
}

#[test]
fn an_attribute_goes_with_its_file_and_one_too_large_becomes_a_side_file() {
    let (_home, directory, beside) = fresh();
    if !has_attributes(&directory).unwrap() {
        return;
    }
    let file = file(&directory, "a.bin");
    beside.write(&directory, &file, "a.bin", b"record").unwrap();
    assert_eq!(read(&beside, &directory, &file).as_deref(), Some(&b"record"[..]));
    assert!(directory.stat(SIDE_FILES).unwrap().is_none());
    fs::rename(directory.full("a.bin"), directory.full("b.bin")).unwrap();
    assert_eq!(read(&beside, &directory, &file).as_deref(), Some(&b"record"[..]));
    let error = beside.write(&directory, &file, "b.bin", &[7; MOST_BESIDE + 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn what_is_too_long_or_cut_or_no_file_is_nothing_and_is_written_over() {
    let (_home, directory, beside) = fresh();
    let file = file(&directory, "a.bin");
    let path = directory.full(&side_file(&rustix::fs::fstat(&file).unwrap()));
    let write = || beside.write_side_file(&directory, &file, "a.bin", b"record").unwrap();
    for bytes in [&b"of 1"[..], &[7; MOST_BESIDE + LONGEST_LINE + 1]] {
        write();
        fs::write(&path, bytes).unwrap();
        assert_eq!(read(&beside, &directory, &file), None);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(read(&beside, &directory, &file), None);
    write();
    assert!(read(&beside, &directory, &file).is_some());
}

#[test]
fn a_side_file_speaks_for_no_other_file_and_no_other_bytes() {
    let (_home, directory, beside) = fresh();
    let first = file(&directory, "a.bin");
    beside.write_side_file(&directory, &first, "a.bin", b"record").unwrap();
    fs::rename(directory.full("a.bin"), directory.full("b.bin")).unwrap();
    let other = file(&directory, "a.bin");
    assert_eq!(read(&beside, &directory, &other), None);
    beside.write_side_file(&directory, &other, "a.bin", b"of the other").unwrap();
    assert_eq!(read(&beside, &directory, &first).as_deref(), Some(&b"record"[..]));
    fs::File::from(first.try_clone().unwrap()).set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert_eq!(read(&beside, &directory, &first), None);
}

#[test]
fn the_side_file_of_a_new_file_with_the_inode_of_a_removed_one_stays() {
    let (_home, directory, beside) = fresh();
    let file = file(&directory, "a.bin");
    beside.write_side_file(&directory, &file, "a.bin", b"of the old one").unwrap();
    let of_the_old = beside.of(&directory, "a.bin");
    // The inode is the same, as after a removal; what was changed is newer.
    fs::File::from(file.try_clone().unwrap()).set_modified(UNIX_EPOCH + Duration::from_secs(9)).unwrap();
    beside.write_side_file(&directory, &file, "b.bin", b"of the new one").unwrap();
    beside.remove(&directory, of_the_old).unwrap();
    assert_eq!(read(&beside, &directory, &file).as_deref(), Some(&b"of the new one"[..]));
}

#[test]
fn those_without_their_file_go_once_they_are_old() {
    let (_home, directory, beside) = fresh();
    let [stays, goes, replaced] = ["a.bin", "ab/cd/b.bin", "c.bin"].map(|relative| {
        let file = file(&directory, relative);
        beside.write_side_file(&directory, &file, relative, b"record").unwrap();
        file
    });
    fs::remove_file(directory.full("ab/cd/b.bin")).unwrap();
    fs::rename(directory.full("c.bin"), directory.full("aside")).unwrap();
    drop(file(&directory, "c.bin"));
    // Where it may be by now, besides.
    let moved = file(&directory, "d.bin");
    beside.write_side_file(&directory, &moved, "d.bin", b"record").unwrap();
    fs::rename(directory.full("d.bin"), directory.full("ab/cd/d.bin")).unwrap();
    let places = |relative: &str| vec![relative.to_owned(), format!("ab/cd/{relative}")];
    assert_eq!(beside.remove_orphans(&directory, &places, || true), 0, "they are young");
    assert_eq!(beside.orphans(&directory, &places).unwrap(), Vec::<String>::new());
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(beside.remove_orphans_of(&directory, later, &places, || false), 0);
    assert_eq!(beside.remove_orphans_of(&directory, later, &places, || true), 2);
    assert!(read(&beside, &directory, &stays).is_some());
    assert!(read(&beside, &directory, &moved).is_some());
    assert_eq!((read(&beside, &directory, &goes), read(&beside, &directory, &replaced)), (None, None));
    let mut left = Vec::new();
    let mut note = |path: &str, of: SideFileOf| {
        let SideFileOf::Path(relative) = of else { panic!("{of:?}") };
        left.push((path.to_owned(), relative));
        ControlFlow::Continue(())
    };
    beside.side_files(&directory, &mut note).unwrap();
    left.sort_by(|one, other| one.1.cmp(&other.1));
    let expect = [("a.bin", &stays), ("d.bin", &moved)];
    let expect = expect.map(|(path, file)| (side_file(&rustix::fs::fstat(file).unwrap()), path.to_owned()));
    assert_eq!(left, expect);
    let kept = beside.find(&directory, &stays).unwrap().unwrap();
    assert_eq!(kept, (b"record".to_vec(), Kept::SideFile(left[0].0.clone())));
}

#[test]
fn of_one_that_says_nothing_it_cannot_be_told_whose_it_is_and_it_stays() {
    let (_home, directory, beside) = fresh();
    let file = file(&directory, "a.bin");
    let path = side_file(&rustix::fs::fstat(&file).unwrap());
    let listed = || {
        let mut all = Vec::new();
        let mut note = |path: &str, of| {
            all.push((path.to_owned(), matches!(of, SideFileOf::Unknown(_))));
            ControlFlow::Continue(())
        };
        beside.side_files(&directory, &mut note).unwrap();
        all
    };
    beside.write_side_file(&directory, &file, "a.bin", b"record").unwrap();
    assert_eq!(listed(), [(path.clone(), false)]);
    fs::remove_file(directory.full("a.bin")).unwrap();
    let later = SystemTime::now() + Duration::from_secs(60);
    let too_long = [b"of 1 2.0 a.bin\n".as_slice(), &[7; MOST_BESIDE + LONGEST_LINE]].concat();
    for bytes in [&b"of 1"[..], b"of 1 2.0 a.bin", b"of 1 2.0 \xff\n", &too_long] {
        fs::write(directory.full(&path), bytes).unwrap();
        assert_eq!(listed(), [(path.clone(), true)]);
        let orphans = beside.remove_orphans_of(&directory, later, &|path| vec![path.to_owned()], || true);
        assert_eq!(orphans, 0);
    }
    // As a power cut leaves them.
    fs::write(directory.full(&path), "").unwrap();
    assert_eq!(listed(), []);
    fs::remove_file(directory.full(&path)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", directory.full(&path)).unwrap();
    assert_eq!(listed(), []);
}
