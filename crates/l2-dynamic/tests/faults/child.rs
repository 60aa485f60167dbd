//! Tests that need a process of their own run again in a child: the same program, with one test and a variable set.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CHILD: &str = "L2_DYNAMIC_TEST_CHILD";

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
    passed(again(test, directory).output().unwrap());
}

/// Runs `test` again as root of namespaces of its own, where `mount` has been run with `$DIR` as the directory. `false`,
/// said aloud, where that is not allowed.
#[track_caller]
pub(crate) fn must_pass_with_a_mount(test: &str, directory: &Path, mount: &str) {
    let unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let probe = Command::new(unshare[0]).args(&unshare[1..]).arg(mount).env("DIR", directory).output();
    match probe {
        Err(error) => return skipped(test, &format!("there is no unshare: {error}")),
        Ok(output) if !output.status.success() => {
            return skipped(
                test,
                &format!("no mount of its own: {}", String::from_utf8_lossy(&output.stderr)),
            );
        }
        Ok(_) => {}
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let mut wrapper = unshare.to_vec();
    wrapper.push(&script);
    passed(wrapped(&wrapper, test, directory).env("DIR", directory).output().unwrap());
}

/// Runs `test` again without root's power to pass by the rights of files. Skipped, and said aloud, where root cannot
/// give that up; who is not root has nothing to give up.
#[track_caller]
pub(crate) fn must_pass_without_overrides(test: &str, directory: &Path) {
    if !rustix::process::geteuid().is_root() {
        return must_pass_again(test, directory);
    }
    let capabilities = "-dac_override,-dac_read_search";
    let wrapper = ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities];
    match Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").output() {
        Ok(output) if output.status.success() => passed(wrapped(&wrapper, test, directory).output().unwrap()),
        Ok(output) => skipped(test, &format!("setpriv failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => skipped(test, &format!("there is no setpriv: {error}")),
    }
}

/// Runs `test` again where a file that grows too long is an error, and not the end of the process.
#[track_caller]
pub(crate) fn must_pass_without_file_size_signals(test: &str, directory: &Path, mount: Option<&str>) {
    let script = "trap '' XFSZ";
    match mount {
        Some(mount) => must_pass_with_a_mount(test, directory, &format!("{mount} && {script}")),
        None => {
            let script = format!("{script} && exec \"$0\" \"$@\"");
            passed(wrapped(&["sh", "-c", &script], test, directory).output().unwrap());
        }
    }
}

#[track_caller]
fn passed(output: Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "the child ran no test:\n{out}\n{err}");
}
