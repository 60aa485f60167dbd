//! Both ways to write a file, also the one that this machine's file systems do not need.

use super::*;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;

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

/// The names of the temporaries that are there.
fn temporaries(directory: &Directory) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory.full(TEMPORARIES)) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn nothing_has_its_final_name_before_it_is_whole() {
    for writing in BOTH {
        for path in ["x.bin", "ab/cd/x.bin", "%1_model~/x.bin"] {
            let (_home, directory) = fresh();
            let draft = draft(&directory, writing, path, b"whole");
            assert!(!directory.full(path).exists(), "{writing:?}");
            let named = temporaries(&directory);
            assert_eq!(named.len(), usize::from(writing == Writing::Named));
            assert!(named.iter().all(|name| is_temporary(name)), "{named:?}");
            assert_eq!(draft.publish(&directory, path).unwrap(), Published::Now);
            assert_eq!(fs::read(directory.full(path)).unwrap(), b"whole");
            let metadata = fs::metadata(directory.full(path)).unwrap();
            assert_eq!((metadata.permissions().mode() & 0o777, metadata.nlink()), (0o600, 1));
            assert!(temporaries(&directory).is_empty(), "{writing:?}");
        }
    }
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        drop(draft(&directory, writing, "x.bin", b"half"));
        assert!(!directory.full("x.bin").exists());
        assert!(temporaries(&directory).is_empty(), "{writing:?}");
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
            assert_eq!(draft.publish(&directory, "x.bin").unwrap(), Published::Now);
            assert_eq!(fs::read(directory.full("x.bin")).unwrap(), b"new", "{writing:?}");
            assert!(temporaries(&directory).is_empty(), "{writing:?}");
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
        assert_eq!(first.publish(&directory, "x.bin").unwrap(), Published::Now);
        let inode = fs::metadata(directory.full("x.bin")).unwrap().ino();
        let published = second.publish(&directory, "x.bin").unwrap();
        if writing == Writing::Nameless {
            assert_eq!(published, Published::Before);
            assert_eq!(fs::metadata(directory.full("x.bin")).unwrap().ino(), inode, "the first one stays");
        }
        assert_eq!(fs::read(directory.full("x.bin")).unwrap(), b"same");
        assert!(temporaries(&directory).is_empty(), "{writing:?}");
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
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, FILE_MODE, 0).unwrap();
        fs::create_dir(directory.full("dir.bin")).unwrap();
        for path in ["link.bin", "pipe.bin"] {
            let draft = draft(&directory, writing, path, b"new");
            assert_eq!(draft.publish(&directory, path).unwrap(), Published::Now);
            assert!(fs::symlink_metadata(directory.full(path)).unwrap().is_file());
        }
        let draft = draft(&directory, writing, "dir.bin", b"new");
        assert!(draft.publish(&directory, "dir.bin").is_err());
        assert!(directory.full("dir.bin").is_dir());
        assert_eq!(fs::read(outside).unwrap(), b"not ours");
        assert!(temporaries(&directory).is_empty(), "{writing:?}");
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
                        draft.publish(directory, "x.bin").unwrap();
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
        assert!(temporaries(&directory).is_empty(), "{writing:?}");
    }
}

#[test]
fn the_probe_leaves_nothing_and_finds_a_way() {
    let (_home, directory) = fresh();
    let writing = Writing::probe(&directory, false).unwrap();
    drop(draft(&directory, writing, "x.bin", b"x"));
    assert!(temporaries(&directory).is_empty());
}

#[test]
fn only_names_that_we_give_are_temporary() {
    let (_home, directory) = fresh();
    for _ in 0..10 {
        assert!(is_temporary(&name_it(&directory).unwrap().name));
    }
    for other in ["", "1", "1-2", "1-2-x", "x-2-3", "1-x-3", "1-2-3-4", "1-2-3.bin", "--", "report.tmp.csv"] {
        assert!(!is_temporary(other), "{other}");
    }
}

/// A name is made, then its file is locked: a sweep in between must not cost anybody their file.
#[test]
fn a_sweep_takes_no_temporary_that_is_being_made() {
    const ROUNDS: usize = 4000;
    let (_home, directory) = fresh();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    remove_dead_temporaries(&directory).unwrap();
                }
            });
        }
        let lost = (0..ROUNDS).filter(|_| match named(&directory, false) {
            Ok((file, _temporary)) => rustix::fs::fstat(&file).unwrap().st_nlink != 1,
            Err(_) => true,
        });
        let lost = lost.count();
        done.store(true, Ordering::Release);
        assert_eq!(lost, 0, "of {ROUNDS} files");
    });
}

#[test]
fn a_file_that_a_sweep_has_found_is_not_kept() {
    let (_home, directory) = fresh();
    let path = directory.full("x");
    let make = || OwnedFd::from(fs::File::create(&path).unwrap());
    assert!(keep(&make()).unwrap());

    let file = make();
    let sweeping = OwnedFd::from(fs::File::open(&path).unwrap());
    rustix::fs::flock(&sweeping, FlockOperation::LockExclusive).unwrap();
    assert!(!keep(&file).unwrap(), "it is about to be removed");
    fs::remove_file(&path).unwrap();
    drop(sweeping);
    assert!(!keep(&file).unwrap(), "it was removed");
}

const CHILD: &str = "L2_DYNAMIC_TEST_DRAFTS";

#[test]
fn drafts_of_a_process_that_was_killed_are_removed_and_those_of_a_living_one_stay() {
    const DRAFTS: usize = 3;
    if let Some(path) = std::env::var_os(CHILD) {
        let directory = Directory::open(path.as_ref()).unwrap();
        let drafts = [Writing::Named, Writing::Named, Writing::Named, Writing::Nameless]
            .map(|writing| draft(&directory, writing, "x.bin", b"half"));
        writeln!(std::io::stdout(), "drafted").unwrap();
        // Until the parent ends it, or is gone itself.
        let _ = std::io::stdin().read(&mut [0]);
        return drop(drafts);
    }
    let (_home, directory) = fresh();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "publish::tests::drafts_of_a_process_that_was_killed_are_removed_and_those_of_a_living_one_stay",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("drafted")), "the child drafts");
    assert_eq!(temporaries(&directory).len(), DRAFTS);
    assert_eq!(remove_dead_temporaries(&directory).unwrap(), 0);
    assert_eq!(temporaries(&directory).len(), DRAFTS);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(remove_dead_temporaries(&directory).unwrap(), DRAFTS);
    assert!(temporaries(&directory).is_empty());
    assert!(!directory.full("x.bin").exists());
}
