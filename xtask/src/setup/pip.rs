//! Fetching a wheel with pip, whatever Python 3 it belongs to.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::wheel::{Build, Wheel};
use crate::shell;

/// Python 3 starts slowly from a cold network disk, but not slower than this.
const START_LIMIT: Duration = Duration::from_secs(60);
/// At 40 kB/s the larger wheel takes this long.
const FETCH_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Seconds without a byte before pip gives one attempt up, and how often it tries again.
const ATTEMPT: [&str; 4] = ["--timeout", "15", "--retries", "2"];

/// Older pips judge a wheel for another Python by their own Python's version, and find none.
const PROBE: &str = "import sys\n\
    sys.version_info >= (3,) or sys.exit('it is Python 2')\n\
    import pip\n\
    [int(part) for part in pip.__version__.split('.')[:2]] >= [19, 2] or sys.exit('its pip is older than 19.2')";

/// A Python 3 that has pip.
pub(crate) struct Python {
    program: &'static str,
}

impl Python {
    /// The first of `python3` and `python` that has pip.
    pub(crate) fn find() -> Result<Self> {
        let mut reasons = Vec::new();
        for program in ["python3", "python"] {
            let mut probe = Command::new(program);
            probe.args(["-c", PROBE]);
            match shell::capture(&mut probe, START_LIMIT) {
                Ok(done) if done.status.success() => return Ok(Self { program }),
                Ok(done) => reasons.push(format!("{program}: {}", done.reason())),
                Err(error) => reasons.push(format!("{program}: {}", error.root_cause())),
            }
        }
        bail!(
            "no Python 3 with pip on PATH ({}). Install both (Debian, Ubuntu: `apt-get install python3-pip`; Fedora: \
             `dnf install python3-pip`; a Python that lacks only pip: `python3 -m ensurepip --upgrade`) and run this \
             again.",
            reasons.join("; ")
        )
    }

    /// Fetches the wheel into `dir`, where pip has checked its sha256, and returns its path.
    pub(crate) fn fetch(&self, wheel: &Wheel, build: &Build, dir: &Path) -> Result<PathBuf> {
        let temporary = dir.join("tmp");
        fs::create_dir_all(&temporary).with_context(|| format!("cannot create {}", temporary.display()))?;
        let requirements = dir.join("requirements.txt");
        let line = format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, build.sha256);
        fs::write(&requirements, line).with_context(|| format!("cannot write {}", requirements.display()))?;

        let mut pip = Command::new(self.program);
        pip.args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--no-input",
        ]);
        pip.args(["--disable-pip-version-check", "--python-version", "311", "--platform", build.platform]);
        if let Some(abi) = wheel.abi {
            pip.args(["--implementation", "cp", "--abi", abi]);
        }
        pip.args(ATTEMPT).arg("--dest").arg(dir).arg("--requirement").arg(&requirements);
        // pip's own leftovers of a killed setup then lie where the next setup clears up; and nothing is installed, so
        // that a rule to install only into a virtual environment has no bearing.
        pip.env("TMPDIR", &temporary).env("PIP_REQUIRE_VIRTUALENV", "0");
        let done = if io::stderr().is_terminal() {
            shell::capture_stderr(&mut pip, FETCH_LIMIT)
        } else {
            shell::capture(pip.args(["--quiet", "--progress-bar", "off"]), FETCH_LIMIT)
        };
        let done = done.with_context(|| advice(wheel))?;
        if !done.status.success() {
            if done.stderr.contains("DO NOT MATCH THE HASHES") {
                bail!(
                    "what pip found as {}=={} is not the file of sha256 {}; nothing of it was unpacked. Look at what \
                     PIP_INDEX_URL, PIP_FIND_LINKS and pip.conf name.",
                    wheel.package,
                    wheel.version,
                    build.sha256
                );
            }
            bail!("{}: {}", advice(wheel), connection_fault(&done.stderr).unwrap_or_else(|| done.reason()));
        }
        only_wheel_in(dir)
    }

    /// Runs a script of ours, given as source text.
    pub(crate) fn script(&self, source: &str, args: &[&OsStr]) -> Result<shell::Captured> {
        shell::capture(Command::new(self.program).args(["-I", "-c", source]).args(args), START_LIMIT * 5)
    }
}

fn advice(wheel: &Wheel) -> String {
    format!(
        "pip could not fetch {}=={}. Check the network; behind a mirror set PIP_INDEX_URL, without a network put the \
         wheel into a directory and set PIP_FIND_LINKS to it; then run this again. pip said",
        wheel.package, wheel.version
    )
}

/// Why no connection came about; pip's last line says only that it found no distribution.
fn connection_fault(stderr: &str) -> Option<String> {
    let (_, fault) = stderr.lines().rev().find_map(|line| line.split_once("connection broken by "))?;
    Some(fault.to_owned())
}

fn only_wheel_in(dir: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let wheels = paths.filter(|path| path.extension() == Some(OsStr::new("whl"))).collect::<Vec<_>>();
    match wheels.as_slice() {
        [wheel] => Ok(wheel.clone()),
        _ => bail!("{}: pip left {} wheels there, expected 1", dir.display(), wheels.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_is_told_rather_than_what_followed_from_it() {
        let stderr = "WARNING: Retrying (Retry(total=0)) after connection broken by 'Refused: [Errno 111]': /simple/x/\n\
                      ERROR: No matching distribution found for x==1\n";
        assert_eq!(connection_fault(stderr).unwrap(), "'Refused: [Errno 111]': /simple/x/");
        assert_eq!(connection_fault("ERROR: No matching distribution found for x==1\n"), None);
    }
}
