//! `cargo xtask run`, `demo`, `scale`, `bench --table` and `server`: build a program of the workspace and become it.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Error, Result};

use crate::setup;
use crate::workspace::{self, Workspace};

/// `nixl-l2`, with NIXL in place.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure(workspace)?;
    become_program(workspace, "nixl-l2", "nixl-l2", args, |command| environment.apply(command))
}

/// The program `scale` of the benchmarks.
pub(crate) fn scale(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure(workspace)?;
    become_program(workspace, "benches", "scale", args, |command| environment.apply(command))
}

/// The program `table` of the benchmarks.
pub(crate) fn table(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure(workspace)?;
    become_program(workspace, "benches", "table", args, |command| environment.apply(command))
}

/// A program of the trials.
pub(crate) fn trial(workspace: &Workspace, name: &str, args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure(workspace)?;
    become_program(workspace, "trials", name, args, |command| environment.apply(command))
}

/// `test-servers`; without setup, for neither NIXL nor libclang is needed. Where Azurite is cargo has told us already.
pub(crate) fn server(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    become_program(workspace, "test-servers", "test-servers", args, |_| ())
}

/// Builds the program of a package (release) and replaces this process by it, so that its streams, signals and exit
/// code are its own.
fn become_program(
    workspace: &Workspace,
    package: &str,
    name: &str,
    args: &[OsString],
    prepare: impl Fn(&mut Command),
) -> Result<ExitCode> {
    // The whole workspace is named so that dependencies get the same features as in a plain `cargo build --release`,
    // which then finds everything built.
    let mut build = workspace.cargo(&["build", "--workspace", "--bin", name, "--release"]);
    if !io::stderr().is_terminal() {
        build.arg("--quiet");
    }
    prepare(&mut build);
    let program = workspace::build_executable(&mut build, package, name)?;

    let mut command = Command::new(&program);
    command.args(args);
    prepare(&mut command);
    Err(Error::new(command.exec()).context(format!("cannot start {}", program.display())))
}
