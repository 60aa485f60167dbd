//! Files that never have a name: whole, reserved, and gone without a trace.
#![cfg(test)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use l2_files::{
    Directory, HiddenFile, Reserved, TEMPORARIES, Writing, is_full, named_pool_file, pool_file,
    remove_dead_temporaries,
};
use rustix::fs::OFlags;

const BOTH: [Writing; 2] = [Writing::Nameless, Writing::Named];
const MIB: u64 = 1 << 20;
/// Set in a child: the directory it works in.
const CHILD: &str = "L2_FILES_TEST_CHILD";

fn fresh() -> (tempfile::TempDir, Directory) {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::open(&home.path().join("l2")).unwrap();
    (home, directory)
}

/// Everything in a directory but the empty directory of the temporaries.
fn left(path: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut all = entries(path);
    all.retain(|path| !path.ends_with(TEMPORARIES));
    all.extend(entries(&path.join(TEMPORARIES)));
    all
}

fn child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// The command that runs `test` again, in a process of its own, behind `wrapper`.
fn again(wrapper: &[&str], test: &str, directory: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let words = wrapper.iter().map(Path::new).chain([&*program]);
    let words: Vec<&Path> = words.chain([test, "--exact", "--nocapture"].map(Path::new)).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(CHILD, directory);
    command
}

/// Runs `test` again in a process for which a file system of this type is mounted. Skipped, and said aloud, where that
/// is not allowed.
#[track_caller]
fn must_pass_on(kind: &str, test: &str) {
    let home = tempfile::tempdir().unwrap();
    let mount = format!("mount -t {kind} none \"${CHILD}\"");
    let namespaces = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let probe =
        Command::new(namespaces[0]).args(&namespaces[1..]).arg(&mount).env(CHILD, home.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        let said = format!("SKIPPED {test}: no mount of its own\n");
        // Not through a macro, whose output the test harness keeps to itself.
        return std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let output = again(&[&namespaces[..], &[&script]].concat(), test, home.path()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

#[test]
fn a_pool_file_is_read_and_written_in_place_and_has_no_name() {
    for writing in BOTH {
        let (_home, directory) = fresh();
        let (file, reserved) = pool_file(&directory, writing, 3 * MIB, false).unwrap();
        let file = File::from(file);
        let metadata = file.metadata().unwrap();
        assert_eq!((metadata.len(), metadata.nlink(), metadata.mode() & 0o777), (3 * MIB, 0, 0o600));
        // Blocks count 512 bytes.
        assert!(reserved == Reserved::No || metadata.blocks() * 512 >= 3 * MIB, "{metadata:?}");
        assert_eq!(left(directory.path()), Vec::<PathBuf>::new(), "{writing:?}");

        let mut bytes = [7; 100];
        file.read_exact_at(&mut bytes, 2 * MIB).unwrap();
        assert_eq!(bytes, [0; 100]);
        file.write_all_at(b"in place", 2 * MIB).unwrap();
        file.read_exact_at(&mut bytes[..8], 2 * MIB).unwrap();
        assert_eq!(&bytes[..8], b"in place");
        drop(file);
        assert_eq!(left(directory.path()), Vec::<PathBuf>::new(), "{writing:?}");
    }
}

#[test]
fn a_pool_file_for_direct_io_is_opened_so() {
    let (_home, directory) = fresh();
    for writing in BOTH {
        // Some file systems have no direct I/O.
        let Ok((file, _)) = pool_file(&directory, writing, MIB, true) else { continue };
        assert!(rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::DIRECT | OFlags::RDWR));
    }
    let (file, _) = pool_file(&directory, Writing::Named, MIB, false).unwrap();
    assert!(!rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::DIRECT));
}

#[test]
fn a_named_pool_file_has_its_name_until_that_is_dropped_and_nobody_alive_loses_it() {
    let (_home, directory) = fresh();
    let (file, _, name) = named_pool_file(&directory, MIB, false).unwrap();
    let flags = rustix::fs::fcntl_getfl(&file).unwrap();
    assert!(flags.contains(OFlags::RDWR) && !flags.contains(OFlags::TMPFILE), "{flags:?}");
    assert_eq!(remove_dead_temporaries(&directory).unwrap(), 0);
    assert_eq!(left(directory.path()).len(), 1);
    drop(name);
    assert_eq!(left(directory.path()), Vec::<PathBuf>::new());
    assert_eq!(File::from(file).metadata().unwrap().len(), MIB);

    // As when the process is killed.
    let (file, _, name) = named_pool_file(&directory, MIB, false).unwrap();
    std::mem::forget(name);
    drop(file);
    assert_eq!(left(directory.path()).len(), 1);
    assert_eq!(remove_dead_temporaries(&directory).unwrap(), 1);
    assert_eq!(left(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn nobody_can_give_a_pool_file_a_name() {
    use std::os::fd::AsRawFd;

    let (_home, directory) = fresh();
    for writing in BOTH {
        let Ok((file, _)) = pool_file(&directory, writing, MIB, false) else { continue };
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (cwd, follow) = (rustix::fs::CWD, rustix::fs::AtFlags::SYMLINK_FOLLOW);
        assert!(rustix::fs::linkat(cwd, own, cwd, directory.full("x"), follow).is_err(), "{writing:?}");
    }
    assert_eq!(left(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_pool_that_does_not_fit_is_full_and_leaves_nothing() {
    let Some(path) = child() else {
        return must_pass_on("tmpfs -o size=8m", "a_pool_that_does_not_fit_is_full_and_leaves_nothing");
    };
    let directory = Directory::open(&path).unwrap();
    for writing in BOTH {
        let make = || pool_file(&directory, writing, 3 * MIB, false);
        let pool: Vec<_> = (0..2).map(|_| make().unwrap()).collect();
        assert!(pool.iter().all(|(_, reserved)| *reserved == Reserved::Yes));
        let error = make().unwrap_err();
        assert!(is_full(&error), "{error}");
        assert_eq!(left(&path), Vec::<PathBuf>::new(), "{writing:?}");
        // What failed has no space either: the rest is there to the last byte.
        let free = rustix::fs::statvfs(&path).unwrap();
        pool_file(&directory, writing, free.f_bavail * free.f_frsize, false).unwrap();
        drop(pool);
    }
    for writing in BOTH {
        pool_file(&directory, writing, 7 * MIB, false).unwrap();
    }
}

#[test]
fn a_file_system_that_cannot_reserve_says_so_and_the_file_has_its_length() {
    let Some(path) = child() else {
        let test = "a_file_system_that_cannot_reserve_says_so_and_the_file_has_its_length";
        return must_pass_on("ramfs", test);
    };
    let directory = Directory::open(&path).unwrap();
    for writing in BOTH {
        let (file, reserved) = pool_file(&directory, writing, MIB, false).unwrap();
        assert_eq!((reserved, File::from(file).metadata().unwrap().len()), (Reserved::No, MIB));
    }
}

#[test]
fn a_process_that_is_killed_leaves_only_temporaries_that_the_next_one_removes() {
    const TEST: &str = "a_process_that_is_killed_leaves_only_temporaries_that_the_next_one_removes";
    const DRAFTS: usize = 3;
    if let Some(path) = child() {
        let directory = Directory::open(&path).unwrap();
        let draft = |writing| HiddenFile::make(&directory, writing, "x.bin", false).unwrap();
        let drafts = [Writing::Named, Writing::Named, Writing::Named, Writing::Nameless].map(draft);
        let pool = BOTH.map(|writing| pool_file(&directory, writing, MIB, false).unwrap());
        writeln!(std::io::stdout(), "made").unwrap();
        // Until the parent ends it, or is gone itself.
        let _ = std::io::stdin().read(&mut [0]);
        return drop((drafts, pool));
    }
    let (_home, directory) = fresh();
    let mut command = again(&[], TEST, directory.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("made")), "the child makes files");
    assert_eq!(left(directory.path()).len(), DRAFTS);
    assert_eq!(remove_dead_temporaries(&directory).unwrap(), 0, "it lives");
    assert_eq!(left(directory.path()).len(), DRAFTS);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(remove_dead_temporaries(&directory).unwrap(), DRAFTS);
    assert_eq!(left(directory.path()), Vec::<PathBuf>::new());
}
