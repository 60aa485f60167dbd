//! `cargo xtask bench`: the benchmarks of the workspace, with NIXL in place.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
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

/// Says what there is to run, without building any of it.
pub(crate) fn help(workspace: &Workspace) -> Result<ExitCode> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.root().join("benches/benches"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    writeln!(
        io::stdout(),
        "Usage: cargo xtask bench [NAME [ARGS]]     one benchmark, or all; ARGS are its own (NAME --help)\n       \
         cargo xtask bench --table [ARGS]   each bound on speed against raw I/O (--table --help)\n\nNAME is one of: {}",
        names.join(", ")
    )?;
    Ok(ExitCode::SUCCESS)
}
