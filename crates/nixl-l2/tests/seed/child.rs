//! Tests that need an environment of their own run again in a child, where that is all the environment says.

use std::path::Path;

use l2_core::testing::child;

/// Whether this is the child.
pub(crate) fn is_this() -> bool {
    child::given().is_some()
}

/// Runs `test` again with these variables, where it must pass. What the environment says of S3 and Azure is not passed on,
/// nor what lies in the user's home: the child's is `home`.
#[track_caller]
pub(crate) fn must_pass(test: &str, home: &Path, variables: &[(&str, &str)]) {
    let mut command = child::again(&[], test, "");
    for (name, _) in std::env::vars_os() {
        if ["AWS_", "AZURE_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).envs(variables.iter().copied());
    child::must_pass(command);
}
