//! Tests that need a process of their own run again in a child: the same program, with one test and a variable set.

use std::process::Output;

use l2_core::testing::child;

/// Whether this is the child.
pub(crate) fn is_child() -> bool {
    child::given().is_some()
}

/// Runs `test` again in a child, where it must pass, and gives what it wrote.
#[track_caller]
pub(crate) fn must_pass_again(test: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = child::again(&[], test, "");
    // What the tests are about comes from their configuration alone.
    for name in ["AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS", "NIXL_LOG_LEVEL"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    child::must_pass(command)
}

/// Whether the caller, the test of this name, is to go on: it is in a child in which the S3 client gives up at the first
/// error, instead of after 25 s. In any other process that child is run, and must pass.
#[track_caller]
pub(crate) fn with_a_hasty_client(test: &str) -> bool {
    if is_child() {
        return true;
    }
    must_pass_again(test, &[("AWS_RETRY_MODE", "standard"), ("AWS_MAX_ATTEMPTS", "1")]);
    false
}
