//! Tests that need an environment of their own run again in a child: the same program, with one test.

use std::path::Path;
use std::process::Command;

const CHILD: &str = "NIXL_L2_SEED_CHILD";

/// Whether this is the child.
pub(crate) fn is_this() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs `test` again with these variables, where it must pass. What the environment says of S3 and Azure is not passed on,
/// nor what lies in the user's home: the child's is `home`.
#[track_caller]
pub(crate) fn must_pass(test: &str, home: &Path, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars_os() {
        if ["AWS_", "AZURE_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).env(CHILD, "1").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "the child ran no test:\n{out}\n{err}");
}
