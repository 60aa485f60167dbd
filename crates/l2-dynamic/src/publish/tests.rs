//! Both ways to write a file, also the one that this machine's file systems do not need.

use super::*;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::Barrier;

use l2_files::TEMPORARIES;
use rustix::fs::{CWD, FileType, Mode};

const BOTH: [Writing; 2] = [Writing::Nameless, Writing::Named];

fn fresh() -> (tempfile::TempDir, Directory) {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::open(&home.path().join("l2")).unwrap();
    (home, directory)
}

/// A draft with these bytes in it.
fn draft(directory: &Directory, writing: Writing, path: &str, bytes: &[u8]) -> Draft {
    let draft = Draft::begin(directory, writing, path, bytes.len() as u64, false).unwrap();
    assert_eq!(rustix::io::write(draft.file(), bytes).unwrap(), bytes.len());
    draft
}

/// How many temporaries are there.
fn temporaries(directory: &Directory) -> usize {
    fs::read_dir(directory.full(TEMPORARIES)).map_or(0, Iterator::count)
}

/// Publishes it, in place of whatever has another length.
fn publish(draft: Draft, directory: &Directory, path: &str) -> io::Result<Published> {
    let bytes = rustix::fs::fstat(draft.file())?.st_size;
    let is_there = || Ok(directory.stat(path)?.is_some_and(|stat| stat.st_size == bytes));
    draft.publish(directory, path, is_there)
}

#[test]
fn nothing_has_its_final_name_before_it_is_whole() {
    for writing in BOTH {
        for path in ["x.bin", "ab/cd/x.bin", "%1_model~/x.bin"] {
            let (_home, directory) = fresh();
            let draft = draft(&directory, writing, path, b"whole");
            assert!(!directory.full(path).exists(), "{writing:?}");
            assert_eq!(temporaries(&directory), usize::from(writing == Writing::Named));
            assert_eq!(publish(draft, &directory, path).unwrap(), Published::Now);
            assert_eq!(fs::read(directory.full(path)).unwrap(), b"whole");
            let metadata = fs::metadata(directory.full(path)).unwrap();
            assert_eq!((metadata.permissions().mode() & 0o777, metadata.nlink()), (0o600, 1));
            assert_eq!(temporaries(&directory), 0, "{writing:?}");
        }
    }
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        drop(draft(&directory, writing, "x.bin", b"half"));
        assert!(!directory.full("x.bin").exists());
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}

#[test]
fn an_object_of_another_length_is_replaced_in_one_step() {
    for writing in BOTH {
        for old in ["", "longer than the new one", "a"] {
            let (_home, directory) = fresh();
            fs::write(directory.full("x.bin"), old).unwrap();
            let before = fs::File::open(directory.full("x.bin")).unwrap();
            let draft = draft(&directory, writing, "x.bin", b"new");
            assert_eq!(publish(draft, &directory, "x.bin").unwrap(), Published::Now);
            assert_eq!(fs::read(directory.full("x.bin")).unwrap(), b"new", "{writing:?}");
            assert_eq!(temporaries(&directory), 0, "{writing:?}");
            // Who has the old one open reads it to its end.
            let mut text = String::new();
            (&before).read_to_string(&mut text).unwrap();
            assert_eq!(text, old);
        }
    }
}

#[test]
fn of_two_that_publish_the_same_object_one_file_is_left() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        let (first, second) =
            (draft(&directory, writing, "x.bin", b"same"), draft(&directory, writing, "x.bin", b"same"));
        assert_eq!(publish(first, &directory, "x.bin").unwrap(), Published::Now);
        let inode = fs::metadata(directory.full("x.bin")).unwrap().ino();
        let published = publish(second, &directory, "x.bin").unwrap();
        if writing == Writing::Nameless {
            assert_eq!(published, Published::Before);
            assert_eq!(fs::metadata(directory.full("x.bin")).unwrap().ino(), inode, "the first one stays");
        }
        assert_eq!(fs::read(directory.full("x.bin")).unwrap(), b"same");
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}

#[test]
fn links_and_pipes_in_the_way_are_replaced_and_directories_are_an_error() {
    for writing in BOTH {
        let (home, directory) = fresh();
        let outside = home.path().join("outside");
        fs::write(&outside, "not ours").unwrap();
        symlink(&outside, directory.full("link.bin")).unwrap();
        let pipe = directory.full("pipe.bin");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::create_dir(directory.full("dir.bin")).unwrap();
        for path in ["link.bin", "pipe.bin"] {
            let draft = draft(&directory, writing, path, b"new");
            assert_eq!(publish(draft, &directory, path).unwrap(), Published::Now);
            assert!(fs::symlink_metadata(directory.full(path)).unwrap().is_file());
        }
        let draft = draft(&directory, writing, "dir.bin", b"new");
        assert!(publish(draft, &directory, "dir.bin").is_err());
        assert!(directory.full("dir.bin").is_dir());
        assert_eq!(fs::read(outside).unwrap(), b"not ours");
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}

/// Threads that publish, and remove, the same object: `EEXIST` may be followed by "it is not there".
#[test]
fn many_at_once_publish_the_same_object_and_all_succeed() {
    const THREADS: usize = 4;
    for writing in BOTH {
        let (_home, directory) = fresh();
        let together = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (directory, together) = (&directory, &together);
                scope.spawn(move || {
                    for round in 0..100 {
                        // Half of them are of another length, and one removes what it finds.
                        let bytes = [b'0' + u8::try_from(thread % 2).unwrap()].repeat(1 + thread % 2);
                        let draft = draft(directory, writing, "x.bin", &bytes);
                        together.wait();
                        publish(draft, directory, "x.bin").unwrap();
                        if round % 3 == 0 && thread == 0 {
                            directory.remove("x.bin").unwrap();
                        }
                    }
                });
            }
        });
        // Never a mixture.
        if let Ok(found) = fs::read(directory.full("x.bin")) {
            assert!([&b"0"[..], b"11"].contains(&&*found), "{writing:?}: {found:?}");
        }
        assert_eq!(temporaries(&directory), 0, "{writing:?}");
    }
}
