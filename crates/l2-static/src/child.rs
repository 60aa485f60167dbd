//! Tests that need a process of their own run again in a child: the same program, with one test and a variable set.

use std::process::Command;

const CHILD: &str = "L2_STATIC_TEST_CHILD";

/// In a child, the text that it was given.
pub(crate) fn given() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// A child that runs `test` with `text` as given.
pub(crate) fn again(test: &str, text: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, text);
    command
}

/// Runs `test` again in a child, where it must pass.
#[track_caller]
pub(crate) fn must_pass_again(test: &str, text: &str) {
    let output = again(test, text).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "the child ran no test:\n{out}\n{err}");
}
