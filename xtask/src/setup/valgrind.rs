//! Valgrind: the machine's, or Debian's package unpacked beside the rest, without root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{self, say};

/// A few MiB.
const LIMIT: Duration = Duration::from_secs(300);
const ADVICE: &str = "valgrind is not installed (Debian, Ubuntu: `apt-get install valgrind`)";

/// A valgrind that runs.
pub(crate) struct Valgrind {
    program: PathBuf,
    /// Where its tools are, if not where it was built for.
    tools: Option<PathBuf>,
}

impl Valgrind {
    /// The machine's, or the one in the setup's directory, which is fetched where there is neither.
    pub(crate) fn ensure(setup: &Path) -> Result<Self> {
        let own = Self { program: "valgrind".into(), tools: None };
        let place = setup.join("valgrind");
        let unpacked =
            Self { program: place.join("usr/bin/valgrind"), tools: Some(place.join("usr/libexec/valgrind")) };
        if own.runs() {
            return Ok(own);
        }
        if !unpacked.runs() {
            say("setup: valgrind: none on this machine; fetching Debian's package, to count instructions");
            fetch(setup, &place).context(ADVICE)?;
            if !unpacked.runs() {
                bail!("{ADVICE}, and Debian's package does not run here");
            }
        }
        Ok(unpacked)
    }

    /// Runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(tools) = &self.tools {
            command.env("VALGRIND_LIB", tools);
        }
        command
    }

    fn runs(&self) -> bool {
        let done = shell::capture(self.command().args(["--tool=none", "true"]), LIMIT);
        done.is_ok_and(|done| done.status.success())
    }
}

/// Downloads the package and unpacks it.
fn fetch(setup: &Path, place: &Path) -> Result<()> {
    // Not in the directory of the project: apt writes to where it is started.
    let fresh = setup.join(format!("valgrind.{}", std::process::id()));
    fs::create_dir_all(&fresh)?;
    let unpack = || {
        done(Command::new("apt-get").args(["download", "--quiet", "valgrind"]).current_dir(&fresh))?;
        let mut files = fs::read_dir(&fresh)?.filter_map(|entry| Some(entry.ok()?.path()));
        let package = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
        let package = package.context("apt-get downloaded nothing")?;
        done(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(fresh.join("root")))?;
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
        fs::rename(fresh.join("root"), place).with_context(|| format!("cannot make {}", place.display()))
    };
    let unpacked = unpack();
    fs::remove_dir_all(&fresh)?;
    unpacked
}

fn done(command: &mut Command) -> Result<()> {
    let done = shell::capture(command, LIMIT)?;
    if !done.status.success() {
        bail!("`{}` failed: {}", shell::render(command), done.reason());
    }
    Ok(())
}
