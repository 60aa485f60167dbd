//! `cargo xtask lmcache`: the Python plugin on LMCache itself: its tests, or a comparison with LMCache's own adapters.
//!
//! LMCache with torch has some 5 GB, so that nothing else asks for it: `cargo xtask test` runs the same tests on a stand-in.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Error, Result};

use crate::setup;
use crate::shell::{self, say};
use crate::wheel;
use crate::workspace::Workspace;

/// Below the workspace: the packages, and what is run.
const REQUIREMENTS: &str = "crates/l2-python/tests/lmcache_plugin/requirements.txt";
const TESTS: &str = "crates/l2-python/tests/lmcache_plugin";
const BENCH: &str = "crates/l2-python/bench/against_lmcache.py";
/// LMCache has wheels for these.
const PYTHONS: [&str; 4] = ["python3.11", "python3.12", "python3.10", "python3"];

/// Builds the wheel, installs it beside LMCache, and becomes pytest, or with `bench` the comparison.
pub(crate) fn lmcache(workspace: &Workspace, bench: bool, args: &[OsString]) -> Result<ExitCode> {
    let wheel = wheel::build(workspace)?;
    let python = environment(workspace)?;
    pip(&python, &["--force-reinstall".as_ref(), wheel.as_os_str()])?;

    let mut command = Command::new(&python);
    match bench {
        true => command.arg(BENCH),
        false => command.args(["-m", "pytest", "-p", "no:cacheprovider", TESTS]),
    };
    command.args(args).current_dir(workspace.root());
    // As at an operator's: the one NIXL is the one that LMCache has.
    command.env_remove(setup::SETUP_DIR_VARIABLE);
    command.env("NIXL_L2_LMCACHE", "real").env("PYTHONDONTWRITEBYTECODE", "1");
    Err(Error::new(command.exec()).context("cannot start Python"))
}

/// The Python of the virtual environment with LMCache, made when it is missing or its packages have changed.
fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let requirements = workspace.root().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let home = workspace.setup_dir().join("lmcache");
    let (venv, stamp) = (home.join("venv"), home.join("installed.txt"));
    let python = venv.join("bin/python");
    if is_in_place(&python, &stamp, &wanted) {
        return Ok(python);
    }
    say(format_args!("lmcache: installing LMCache and torch into {} (5 GB; it may take minutes)", venv.display()));
    // A stamp says that all is there, so it goes first.
    remove(&stamp, |path| fs::remove_file(path))?;
    remove(&venv, |path| fs::remove_dir_all(path))?;
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    make(&venv)?;
    pip(&python, &["--requirement".as_ref(), requirements.as_os_str()])?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// Whether the environment was made of this list of packages, to the end.
fn is_in_place(python: &Path, stamp: &Path, wanted: &str) -> bool {
    python.exists() && fs::read_to_string(stamp).is_ok_and(|made_of| made_of == wanted)
}

/// Makes a virtual environment with the first Python that can.
fn make(venv: &Path) -> Result<()> {
    let mut last = None;
    for program in PYTHONS {
        match shell::run(Command::new(program).args(["-m", "venv"]).arg(venv)) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let advice = "no Python from 3.10 to 3.12 with venv on PATH (Debian, Ubuntu: `apt-get install python3-venv`)";
    Err(last.map_or_else(|| Error::msg(advice), |error| error.context(advice)))
}

/// Installs with the environment's pip, which prints on stderr.
fn pip(python: &Path, args: &[&OsStr]) -> Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"]).args(args);
    shell::run(pip.stdout(io::stderr())).context("check the network; behind a mirror set PIP_INDEX_URL")
}

fn remove(path: &Path, remove: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::new(error).context(format!("cannot remove {}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_of_other_packages_or_half_made_is_made_again() {
        let home = tempfile::tempdir().unwrap();
        let (python, stamp) = (home.path().join("python"), home.path().join("installed.txt"));
        assert!(!is_in_place(&python, &stamp, "a==1"));
        fs::write(&python, "").unwrap();
        assert!(!is_in_place(&python, &stamp, "a==1"));
        fs::write(&stamp, "a==1").unwrap();
        assert!(is_in_place(&python, &stamp, "a==1"));
        assert!(!is_in_place(&python, &stamp, "a==2"));
    }

    #[test]
    fn what_is_not_there_need_not_be_removed() {
        let home = tempfile::tempdir().unwrap();
        remove(&home.path().join("absent"), |path| fs::remove_file(path)).unwrap();
        assert!(remove(home.path(), |path| fs::remove_file(path)).is_err());
    }
}
