//! Tests that need a process of their own run again in a child: the same program, with one test and a variable set.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CHILD: &str = "L2_STATIC_TEST_CHILD";

/// A small disk in memory. It is full at exactly 8 MiB.
pub(crate) const TMPFS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";
/// A file that grows past the limit is an error, and not the end of the process.
const NO_SIGNAL: &str = "trap '' XFSZ";

/// Who is root of a child that mounts something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Root {
    /// Anybody, in a namespace of users.
    Mapped,
    /// Root alone: a device is needed.
    Real,
}

impl Root {
    fn unshare(self) -> &'static [&'static str] {
        match self {
            Self::Mapped => &["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"],
            Self::Real => &["unshare", "--mount", "sh", "-c"],
        }
    }
}

/// In a child, the directory that it was given.
pub(crate) fn given() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Says aloud that a test cannot be made here.
pub(crate) fn skipped(test: &str, why: &str) {
    // Not through a macro, whose output the test harness keeps to itself.
    let said = format!("SKIPPED {test}: {why}\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

/// The program that runs the child, in front of which `wrapper` stands.
fn wrapped(wrapper: &[&str], test: &str, directory: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(program),
        [wrapper, args @ ..] => {
            let mut command = Command::new(wrapper);
            command.args(args).arg(program);
            command
        }
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, directory);
    command
}

/// A child that runs `test` with `directory` as given.
pub(crate) fn again(test: &str, directory: &Path) -> Command {
    wrapped(&[], test, directory)
}

/// Runs `test` again in a child, where it must pass.
#[track_caller]
pub(crate) fn must_pass_again(test: &str, directory: &Path) {
    passed(&again(test, directory).output().unwrap());
}

/// Runs `test` again with mounts of its own, where `mount` has been run with `$DIR` as the directory. Skipped, and said
/// aloud, where that is not allowed.
#[track_caller]
pub(crate) fn must_pass_with_a_mount(root: Root, test: &str, directory: &Path, mount: &str) {
    let unshare = root.unshare();
    let probe = Command::new(unshare[0]).args(&unshare[1..]).arg(mount).env("DIR", directory).output();
    match probe {
        Err(error) => return skipped(test, &format!("there is no unshare: {error}")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return skipped(test, &format!("no mount of its own: {}", said.trim()));
        }
        Ok(_) => {}
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let mut wrapper = unshare.to_vec();
    wrapper.push(&script);
    passed(&wrapped(&wrapper, test, directory).env("DIR", directory).output().unwrap());
}

/// Runs `test` again where a file that grows too long is an error, and not the end of the process.
#[track_caller]
pub(crate) fn must_pass_without_file_size_signals(test: &str, directory: &Path) {
    let script = format!("{NO_SIGNAL} && exec \"$0\" \"$@\"");
    passed(&wrapped(&["sh", "-c", &script], test, directory).output().unwrap());
}

#[track_caller]
fn passed(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "the child ran no test:\n{out}\n{err}");
}
