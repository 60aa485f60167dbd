//! `cargo xtask test`: every test of the workspace, with NIXL in place.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Error, Result};

use crate::setup;
use crate::workspace::Workspace;

/// Becomes `cargo test ARGS -- PROGRAM_ARGS`, so that its exit code is ours; on the whole workspace, unless ARGS
/// choose packages.
pub(crate) fn test(workspace: &Workspace, args: &[OsString], program_args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure_for_tests(workspace)?;
    let mut command = workspace.cargo(&["test"]);
    // Beside `--workspace`, cargo would take no notice of a choice of packages.
    if !args.iter().any(|arg| chooses_packages(arg)) {
        command.arg("--workspace");
    }
    command.args(args);
    if !program_args.is_empty() {
        command.arg("--").args(program_args);
    }
    environment.apply(&mut command);
    Err(Error::new(command.exec()).context("cannot start cargo"))
}

fn chooses_packages(arg: &OsStr) -> bool {
    let arg = arg.to_string_lossy();
    arg == "--package" || arg.starts_with("--package=") || arg.starts_with("-p")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_packages_is_seen_in_every_spelling() {
        for arg in ["-p", "-pl2-core", "--package", "--package=l2-core"] {
            assert!(chooses_packages(OsStr::new(arg)), "{arg}");
        }
        for arg in ["--release", "--profile", "name", "--", "-v"] {
            assert!(!chooses_packages(OsStr::new(arg)), "{arg}");
        }
    }
}
