//! Files and directories without rights, as a user who is not root: root is above rights.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{PROGRAM, Ran, config, finish, key, names};

/// The user that owns nothing, by convention.
const NOBODY: u32 = 65534;

/// A directory that everybody reaches, and the program as somebody without rights.
struct Stranger {
    home: tempfile::TempDir,
    root: bool,
}

impl Stranger {
    /// `None`, said aloud, where such a user cannot run the program or not reach NIXL.
    fn new() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        set_mode(home.path(), 0o777);
        let program = home.path().join("nixl-l2");
        fs::copy(PROGRAM, program).unwrap();
        let stranger = Self { home, root: rustix::process::geteuid().is_root() };
        let file = stranger.file("probe", "kv", 0o644);
        let probe = stranger.put(&file, &stranger.home.path().join("probe-cache"));
        if probe.code != Some(0) {
            let _ =
                writeln!(io::stderr(), "skipped: a user without rights cannot run this: {}", probe.stderr);
            return None;
        }
        Some(stranger)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> std::path::PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        path
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(self.home.path().join("nixl-l2"));
        // NIXL looks for a configuration in its home, and fails where it may not look.
        command.args(args).current_dir(self.home.path()).env("HOME", self.home.path());
        if self.root {
            command.uid(NOBODY).gid(NOBODY);
        }
        finish(&mut command)
    }

    fn put(&self, file: &Path, cache: &Path) -> Ran {
        self.run(&[
            "put",
            "--l2-adapter",
            &config(cache, |_| {}),
            "--key",
            &key("m", "ab"),
            file.to_str().unwrap(),
        ])
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_without_rights_is_refused_with_its_path_and_nothing_is_created() {
    let Some(stranger) = Stranger::new() else { return };
    let file = stranger.file("file", "kv", 0o644);
    let closed = stranger.home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    set_mode(&closed, 0o555);
    let below = closed.join("cache");
    stranger.put(&file, &below).refused(&[below.to_str().unwrap(), "Permission denied"]);
    stranger.put(&file, &closed).refused(&[closed.to_str().unwrap(), "Permission denied"]);
    assert!(names(&closed).is_empty());
    set_mode(&closed, 0o755);
}

#[test]
fn a_file_or_trace_that_may_not_be_read_is_refused_and_nothing_is_created() {
    let Some(stranger) = Stranger::new() else { return };
    let cache = stranger.home.path().join("cache");
    let trace = stranger.file("trace.jsonl", "{\"hash_ids\": [1]}\n", 0o000);
    let trace = trace.to_str().unwrap();
    stranger
        .run(&["replay", "--trace", trace, "--l2-adapter", &config(&cache, |_| {})])
        .refused(&[trace, "Permission denied"]);
    let file = stranger.file("file", "kv", 0o000);
    stranger.put(&file, &cache).refused(&[file.to_str().unwrap(), "Permission denied"]);
    assert!(!cache.exists());
}

#[test]
fn the_doctor_finds_a_directory_that_cannot_be_written() {
    let Some(stranger) = Stranger::new() else { return };
    let closed = stranger.home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    set_mode(&closed, 0o555);
    for (cache, check) in [(closed.clone(), "rights"), (closed.join("cache"), "directory")] {
        let ran = stranger.run(&["doctor", "--l2-adapter", &config(&cache, |_| {})]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let says = format!("failed   {check}: ");
        let line = ran.stdout.lines().find(|line| line.starts_with(&says)).unwrap_or_default();
        assert!(line.contains(cache.to_str().unwrap()) && line.contains("ermission denied"), "{ran:?}");
        assert!(ran.stdout.contains(&format!("skipped  store: {check} failed")), "{ran:?}");
    }
    assert!(names(&closed).is_empty());
    // One that others may look into is warned of.
    let open = stranger.home.path().join("probe-cache");
    let mode = Command::new("chmod").args(["755", open.to_str().unwrap()]).status().unwrap();
    assert!(mode.success());
    let ran = stranger.run(&["doctor", "--l2-adapter", &config(&open, |_| {})]);
    assert!(ran.stdout.contains("warning  rights: mode 0755"), "{ran:?}");
    ran.ok();
    set_mode(&closed, 0o755);
}
