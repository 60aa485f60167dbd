//! `cargo xtask test`: every test of the workspace, with NIXL in place, and then those of the Python package.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::python;
use crate::setup;
use crate::shell;
use crate::workspace::Workspace;

/// Runs `cargo test ARGS -- PROGRAM_ARGS`, whose exit code is ours if it fails; on the whole workspace, unless ARGS choose
/// packages. The tests in Python follow, unless ARGS choose other packages or tests.
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
    let status = command.status().with_context(|| format!("cannot start `{}`", shell::render(&command)))?;
    if !status.success() {
        // 101 is cargo's own.
        return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(101)));
    }
    if program_args.is_empty() && includes_python(args) {
        shell::run(&mut python::tests(workspace, &environment)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether these arguments of `cargo test` leave the tests of the Python package in: a name of tests or of other packages, or
/// anything that is for Rust's programs, does not.
fn includes_python(args: &[OsString]) -> bool {
    let mut words = args.iter().map(|arg| arg.to_string_lossy());
    while let Some(word) = words.next() {
        let package = match &*word {
            "-p" | "--package" => words.next(),
            "--release" | "--locked" | "--offline" | "--no-fail-fast" | "-q" | "--quiet" | "--workspace" => {
                continue;
            }
            other => other
                .strip_prefix("--package=")
                .or_else(|| other.strip_prefix("-p"))
                .map(|name| name.to_owned().into()),
        };
        if package.is_none_or(|package| package != python::CRATE) {
            return false;
        }
    }
    true
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

    #[test]
    fn the_tests_in_python_are_left_out_where_others_are_chosen() {
        let includes =
            |line: &str| includes_python(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        for line in
            ["", "--release --locked", "-p l2-python", "-pl2-python", "--package=l2-python --no-fail-fast"]
        {
            assert!(includes(line), "{line}");
        }
        for line in
            ["-p l2-core", "-p l2-python -p l2-core", "name", "--package=l2-core", "-- --list", "--lib", "-p"]
        {
            assert!(!includes(line), "{line}");
        }
    }
}
