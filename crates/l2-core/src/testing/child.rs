//! Tests that need a process of their own run again in a child: the same program, with one test and a variable set.
//!
//! A test asks [`given`] first: in a child it has the text that the child was started with, and does its work; elsewhere
//! there is none, and it calls one of the functions that start the child, in which it must pass.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "for tests alone: a child that does not pass fails the test that started it"
)]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CHILD: &str = "NIXL_L2_TEST_CHILD";
/// Without root's power to pass by the rights of files.
const CAPABILITIES: &str = "-dac_override,-dac_read_search";

/// Who is root of a child that mounts something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Anybody, in a namespace of users.
    Mapped,
    /// Root alone: a device is needed.
    Real,
}

/// In a child, the text that it was started with, mostly a directory.
pub fn given() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Says aloud that a test cannot be made here.
pub fn skipped(test: &str, why: &str) {
    // Not through a macro, whose output the test harness keeps to itself. Without a standard error nobody is told.
    let _ = std::io::stderr().write_all(format!("SKIPPED {test}: {}\n", why.trim()).as_bytes());
}

/// A child that runs `test`, started with `text`; behind `wrapper`, a program with its arguments, unless that is empty.
pub fn again(wrapper: &[&str], test: &str, text: impl AsRef<OsStr>) -> Command {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut command = match wrapper {
        [] => Command::new(program),
        [wrapper, args @ ..] => {
            let mut command = Command::new(wrapper);
            command.args(args).arg(program);
            command
        }
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, text);
    command
}

/// Runs a child that [`again`] gave, and gives what it wrote.
///
/// # Panics
/// When it did not pass, or ran no test.
#[track_caller]
pub fn must_pass(mut child: Command) -> Output {
    let output = match child.output() {
        Ok(output) => output,
        Err(error) => panic!("the child {child:?} could not be run: {error}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "the child ran no test:\n{out}\n{err}");
    output
}

/// Runs `test` again in a child, where it must pass.
///
/// # Panics
/// As [`must_pass`].
#[track_caller]
pub fn must_pass_again(test: &str, text: impl AsRef<OsStr>) {
    must_pass(again(&[], test, text));
}

/// Runs `test` again with mounts of its own, where `mount`, a shell script, has been run with `$DIR` as the directory.
/// Skipped, and said aloud, where that is not allowed.
///
/// # Panics
/// As [`must_pass`].
#[track_caller]
pub fn must_pass_with_a_mount(root: Root, test: &str, directory: &Path, mount: &str) {
    let unshare: &[&str] = match root {
        Root::Mapped => &["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"],
        Root::Real => &["unshare", "--mount", "sh", "-c"],
    };
    let probe = unshare.iter().copied().chain([mount]).collect::<Vec<_>>();
    if let Err(why) = can_run(&probe, directory) {
        return skipped(test, &format!("no mount of its own: {why}"));
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let wrapper = unshare.iter().copied().chain([script.as_str()]).collect::<Vec<_>>();
    let mut child = again(&wrapper, test, directory);
    child.env("DIR", directory);
    must_pass(child);
}

/// What stands in front of a program for it to run without root's power to pass by the rights of files: nothing for who
/// is not root, and has nothing to give up.
///
/// # Errors
/// Why root cannot give that up here.
pub fn without_overrides() -> Result<&'static [&'static str], String> {
    const WRAPPER: &[&str] = &["setpriv", "--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES];
    if !rustix::process::geteuid().is_root() {
        return Ok(&[]);
    }
    let probe = WRAPPER.iter().copied().chain(["true"]).collect::<Vec<_>>();
    can_run(&probe, Path::new("/")).map(|()| WRAPPER)
}

/// Runs `test` again [`without_overrides`]. Skipped, and said aloud, where that cannot be.
///
/// # Panics
/// As [`must_pass`].
#[track_caller]
pub fn must_pass_without_overrides(test: &str, directory: &Path) {
    match without_overrides() {
        Ok(wrapper) => drop(must_pass(again(wrapper, test, directory))),
        Err(why) => skipped(test, &why),
    }
}

/// What a shell does for a file that grows past a limit to be an error, and not the end of the process.
pub const NO_FILE_SIZE_SIGNAL: &str = "trap '' XFSZ";

/// Runs `test` again where a file that grows too long is an error.
///
/// # Panics
/// As [`must_pass`].
#[track_caller]
pub fn must_pass_without_file_size_signals(test: &str, directory: &Path) {
    let script = format!("{NO_FILE_SIZE_SIGNAL} && exec \"$0\" \"$@\"");
    must_pass(again(&["sh", "-c", &script], test, directory));
}

/// Whether a program ends well with `$DIR` set; if not, why.
fn can_run(program: &[&str], directory: &Path) -> Result<(), String> {
    let Some((name, args)) = program.split_first() else { return Ok(()) };
    match Command::new(name).args(args).env("DIR", directory).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("there is no {name}: {error}")),
    }
}
