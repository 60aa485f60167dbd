//! `cargo xtask wheel`: the Python package as a wheel, tried in a fresh virtual environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::setup::{self, CargoEnv};
use crate::shell::{self, print, say};
use crate::venv::{self, Venv};
use crate::workspace::Workspace;

/// Builds wheels.
const MATURIN: &str = "maturin==1.16.0";
/// As setup fetches it, for the Python at hand. Without torch and numpy, which it asks for and nothing here needs.
pub(crate) const NIXL: &str = "nixl-cu12==1.5.1";
/// Relative to the workspace.
pub(crate) const PACKAGE: &str = "crates/l2-python";

/// The command: builds the release wheel into `target/wheels`, installs it with NIXL alone into a new environment, and stores
/// and loads with it. Prints the wheel's path.
pub(crate) fn wheel(workspace: &Workspace) -> Result<()> {
    let wheel = build(workspace, &setup::ensure(workspace)?, Profile::Release)?;
    let dir = workspace.root().join("target/python/smoke");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let fresh = Venv::with(workspace, "smoke", &[], &[NIXL])?;
    fresh.install(&[path(&wheel)?])?;
    let mut smoke = fresh.program("python");
    // Isolated, so that nothing but the environment's packages is found; NIXL too is to be found there.
    smoke.arg("-I").arg(workspace.root().join(PACKAGE).join("tests/smoke.py"));
    for variable in ["NIXL_L2_SETUP_DIR", "NIXL_LIB_DIR", "NIXL_PREFIX"] {
        smoke.env_remove(variable);
    }
    shell::run(&mut smoke)?;
    print(wheel.display());
    Ok(())
}

/// How a wheel is built, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// To be installed.
    Release,
    /// Quickly, for tests, beside cargo's other builds.
    Tests,
}

/// Builds the wheel, and returns its path.
pub(crate) fn build(workspace: &Workspace, environment: &CargoEnv, profile: Profile) -> Result<PathBuf> {
    let tools = Venv::with(workspace, "tools", &[MATURIN], &[])?;
    let target = workspace.root().join("target");
    let mut maturin = tools.program("maturin");
    for (name, _) in workspace.cargo(&[]).get_envs() {
        maturin.env_remove(name);
    }
    environment.apply(&mut maturin);
    // In the workspace's directory, for cargo's configuration and the toolchain are looked for from there.
    maturin.current_dir(workspace.root()).args(["build", "--locked", "--quiet", "--manifest-path"]);
    maturin.arg(workspace.root().join(PACKAGE).join("Cargo.toml"));
    let out = match profile {
        Profile::Release => {
            maturin.args(["--release", "--strip"]);
            target.join("wheels")
        }
        Profile::Tests => {
            maturin.args(["--profile", "dev", "--target-dir"]).arg(target.join("python/build"));
            // Where a panic was is all that anybody looks for in it.
            maturin.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
            target.join("python/wheel")
        }
    };
    if out.exists() {
        // One of another version would be taken for this one.
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    say("python: building the wheel");
    shell::run(maturin.arg("--out").arg(&out).stdout(Stdio::null()).stdin(Stdio::null()))?;
    venv::only_file(&out, ".whl")
}

/// A path as pip takes it.
pub(crate) fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8; move the clone", path.display()))
}
