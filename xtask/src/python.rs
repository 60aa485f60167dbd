//! The tests of the Python package: pytest against a wheel, in a virtual environment that is made once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::CargoEnv;
use crate::venv::Venv;
use crate::wheel::{self, NIXL, PACKAGE, Profile};
use crate::workspace::Workspace;

/// What tests, and what holds the stubs against the code.
const PACKAGES: [&str; 2] = ["pytest==9.2.0", "mypy==2.4.1"];
/// The package, as cargo calls it.
pub(crate) const CRATE: &str = "l2-python";

/// The command that runs the tests, on a wheel of what the sources are now. It is built as tests are, without optimization, and
/// beside cargo's other builds, for maturin's settings would undo them; when nothing has changed that takes some seconds.
pub(crate) fn tests(workspace: &Workspace, environment: &CargoEnv) -> Result<Command> {
    let venv = Venv::with(workspace, "tests", &PACKAGES, &[NIXL])?;
    let wheel = wheel::build(workspace, environment, Profile::Tests)?;
    let installed = venv.file("installed.whl");
    let built = fs::read(&wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    if !fs::read(&installed).is_ok_and(|before| before == built) {
        venv.install(&["--force-reinstall", "--no-deps", wheel::path(&wheel)?])?;
        fs::write(&installed, built).with_context(|| format!("cannot write {}", installed.display()))?;
    }
    let mut pytest = venv.program("python");
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(tests_of(workspace));
    // It leaves nothing beside the sources.
    pytest.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(workspace.root());
    environment.apply(&mut pytest);
    Ok(pytest)
}

fn tests_of(workspace: &Workspace) -> PathBuf {
    workspace.root().join(PACKAGE).join("tests")
}
