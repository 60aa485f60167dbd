//! `cargo xtask lmcache`: the Python plugin on LMCache itself: its tests, or a comparison with LMCache's own adapters.
//!
//! LMCache with torch has 5 GB, so that nothing else asks for it: `cargo xtask test` runs the same tests on a stand-in.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Context, Error, Result};

use crate::setup;
use crate::shell::say;
use crate::venv::Venv;
use crate::wheel::{self, Profile};
use crate::workspace::Workspace;

/// Below the Python package: what is installed, and what is run.
const REQUIREMENTS: &str = "tests/lmcache_plugin/requirements.txt";
const TESTS: &str = "tests/lmcache_plugin";
const COMPARISON: &str = "bench/against_lmcache.py";

/// Builds the wheel, installs it beside LMCache, and becomes pytest, or with `bench` the comparison.
pub(crate) fn lmcache(workspace: &Workspace, bench: bool, args: &[OsString]) -> Result<ExitCode> {
    let package = workspace.root().join(wheel::PACKAGE);
    let wheel = wheel::build(workspace, &setup::ensure(workspace)?, Profile::Release)?;
    let list = package.join(REQUIREMENTS);
    let list = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    say(
        "lmcache: LMCache and torch have 5 GB; if they are not in target/python yet, that takes some minutes",
    );
    let venv = Venv::with(workspace, "lmcache", &[], &packages(&list))?;
    venv.install(&["--no-deps", "--force-reinstall", wheel::path(&wheel)?])?;

    let mut python = venv.program("python");
    match bench {
        true => python.arg(package.join(COMPARISON)),
        // Its cache of results would lie beside the sources.
        false => python.args(["-m", "pytest", "-p", "no:cacheprovider"]).arg(package.join(TESTS)),
    };
    python.args(args);
    // As at an operator's: the one NIXL is the one that LMCache has.
    python.env_remove(setup::SETUP_DIR_VARIABLE);
    python.env("NIXL_L2_LMCACHE", "real").env("PYTHONDONTWRITEBYTECODE", "1");
    Err(Error::new(python.exec()).context("cannot start Python"))
}

/// The packages of a list, one a line, without its comments.
fn packages(list: &str) -> Vec<&str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_packages() {
        assert_eq!(packages("# why\na==1\n\n  b==2\n"), ["a==1", "b==2"]);
    }

    #[test]
    fn every_package_is_pinned() {
        let list = packages(include_str!("../../crates/l2-python/tests/lmcache_plugin/requirements.txt"));
        assert!(list.contains(&"lmcache==0.5.6"));
        assert!(list.iter().all(|package| package.split_once("==").is_some()), "{list:?}");
    }
}
