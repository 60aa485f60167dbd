//! Virtual environments of Python under `target/python`, each made once and used until what it should hold changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{self, say};
use crate::workspace::Workspace;

/// The oldest Python that the package is for, and so the oldest that can test it.
const PROBE: &str =
    "import sys, venv, ensurepip; sys.version_info >= (3, 10) or sys.exit('it is older than Python 3.10')";
/// A Python starts slowly from a cold disk, but not slower than this.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Over a slow line NIXL's 65 MiB take this long.
const INSTALL_LIMIT: Duration = Duration::from_secs(30 * 60);
/// What an environment holds; written last, so that half of one is made again.
const STAMP: &str = "made-of.txt";

/// A virtual environment.
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    /// The environment of this name with these packages, as pip writes them, and nothing else: without what they depend on where
    /// `alone` says so.
    pub(crate) fn with(workspace: &Workspace, name: &str, packages: &[&str], alone: &[&str]) -> Result<Self> {
        let venv = Self { dir: workspace.root().join("target/python").join(name) };
        let held = format!("{}\n{}\n", packages.join("\n"), alone.join("\n"));
        if fs::read_to_string(venv.dir.join(STAMP)).is_ok_and(|stamp| stamp == held) && venv.starts() {
            return Ok(venv);
        }
        venv.make()?;
        if !packages.is_empty() {
            venv.install(packages)?;
        }
        if !alone.is_empty() {
            let arguments: Vec<&str> = ["--no-deps"].into_iter().chain(alone.iter().copied()).collect();
            venv.install(&arguments)?;
        }
        venv.stamp(&held)?;
        Ok(venv)
    }

    /// The program `name` of the environment, such as `python`.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.dir.join("bin").join(name));
        // What the user's Python is told is not meant for this one.
        for variable in ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"] {
            command.env_remove(variable);
        }
        command
    }

    /// Installs with pip; the arguments that follow `pip install`.
    pub(crate) fn install(&self, arguments: &[&str]) -> Result<()> {
        let mut pip = self.program("python");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        let done = shell::capture(pip.args(arguments), INSTALL_LIMIT)?;
        if !done.status.success() {
            bail!(
                "`{}` failed: {}. Check the network; behind a mirror set PIP_INDEX_URL, without a network put the wheels \
                 into a directory and set PIP_FIND_LINKS to it",
                shell::render(&pip),
                done.reason()
            );
        }
        Ok(())
    }

    /// What an environment should hold may change by what is installed later: `held` is compared the next time.
    pub(crate) fn stamp(&self, held: &str) -> Result<()> {
        let path = self.dir.join(STAMP);
        fs::write(&path, held).with_context(|| format!("cannot write {}", path.display()))
    }

    /// A file in the environment.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether its Python is still there: it is a link to one of the system's.
    fn starts(&self) -> bool {
        let mut probe = self.program("python");
        shell::capture(probe.args(["-c", PROBE]), START_LIMIT).is_ok_and(|done| done.status.success())
    }

    fn make(&self) -> Result<()> {
        say(format_args!("python: making {}", self.dir.display()));
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))?;
        }
        let mut make = Command::new(find()?);
        let done = shell::capture(make.args(["-m", "venv"]).arg(&self.dir), INSTALL_LIMIT)?;
        if !done.status.success() {
            bail!("`{}` failed: {}", shell::render(&make), done.reason());
        }
        Ok(())
    }
}

/// The first Python on PATH that will do.
fn find() -> Result<&'static str> {
    let mut reasons = Vec::new();
    for program in ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"] {
        match shell::capture(Command::new(program).args(["-c", PROBE]), START_LIMIT) {
            Ok(done) if done.status.success() => return Ok(program),
            Ok(done) => reasons.push(format!("{program}: {}", done.reason())),
            Err(_) => {}
        }
    }
    bail!(
        "no Python 3.10 or later with venv on PATH ({}). Install one (Debian, Ubuntu: `apt-get install python3-venv`)",
        reasons.join("; ")
    )
}

/// The only file in a directory that ends so.
pub(crate) fn only_file(dir: &Path, end: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let found: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!("{}: {} files end in {end} there, and it should be 1", dir.display(), found.len()),
    }
}
