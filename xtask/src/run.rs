//! `cargo xtask run` and `demo`: build the `nixl-l2` program and become it.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Error, Result};

use crate::setup;
use crate::workspace::{self, Workspace};

/// Builds `nixl-l2` (release) and replaces this process by it, so that its streams, signals and exit code are its own.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure(workspace)?;
    // The whole workspace is named so that dependencies get the same features as in a plain `cargo build --release`,
    // which then finds everything built.
    let mut build = workspace.cargo(&["build", "--workspace", "--bin", "nixl-l2", "--release"]);
    if !io::stderr().is_terminal() {
        build.arg("--quiet");
    }
    environment.apply(&mut build);
    let program = workspace::build_executable(&mut build, "nixl-l2", "nixl-l2")?;

    let mut command = Command::new(&program);
    command.args(args);
    environment.apply(&mut command);
    Err(Error::new(command.exec()).context(format!("cannot start {}", program.display())))
}
