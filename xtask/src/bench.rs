//! `cargo xtask bench`: the benchmarks of the workspace, with NIXL in place.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Error, Result};

use crate::setup;
use crate::workspace::Workspace;

/// Becomes `cargo bench` of one benchmark, or of all, so that its exit code is ours.
pub(crate) fn bench(workspace: &Workspace, name: Option<&OsString>, args: &[OsString]) -> Result<ExitCode> {
    let environment = setup::ensure(workspace)?;
    let mut command = workspace.cargo(&["bench", "--package", "benches"]);
    match name {
        Some(name) => command.arg("--bench").arg(name),
        None => command.arg("--benches"),
    };
    command.arg("--").args(args);
    environment.apply(&mut command);
    Err(Error::new(command.exec()).context("cannot start cargo"))
}
