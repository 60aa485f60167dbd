//! A NIXL plugin that is slow or stuck: this program is started again with `slow_aio.cpp` between the plugin and the kernel.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("slow_aio.cpp");
/// Where the byte lies that says how the plugin behaves.
const VARIABLE: &str = "SLOW_AIO";

/// How the plugin behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behaves {
    AsWithout,
    Slowly,
    Stuck,
}

/// The handle on the plugin of this process.
#[derive(Debug)]
pub(crate) struct Plugin(File);

impl Plugin {
    /// None where this process was not started by [`with_slow_plugin`].
    pub(crate) fn of_this_process() -> Option<Result<Self>> {
        let path = env::var_os(VARIABLE)?;
        let file = File::options().write(true).open(&path);
        Some(file.map(Self).with_context(|| format!("cannot open {} of ${VARIABLE}", path.display())))
    }

    pub(crate) fn behave(&self, how: Behaves) -> io::Result<()> {
        let byte = match how {
            Behaves::AsWithout => b'-',
            Behaves::Slowly => b's',
            Behaves::Stuck => b't',
        };
        self.0.write_all_at(&[byte], 0)
    }
}

/// Runs this program again, with a plugin that can be made slow; its exit code.
pub(crate) fn with_slow_plugin(args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let home = tempfile::tempdir().context("cannot make a directory for the slow plugin")?;
    let library = build(home.path())?;
    let mode = home.path().join("mode");
    fs::write(&mode, b"-")?;
    let mut again = Command::new(env::current_exe()?);
    let status = again.args(args).env("LD_PRELOAD", library).env(VARIABLE, mode).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn build(home: &Path) -> Result<OsString> {
    let (source, library) = (home.join("slow_aio.cpp"), home.join("slow_aio.so"));
    fs::write(&source, SOURCE)?;
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++17", "-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let output = compiler.output().context("cannot run g++, which the slow plugin is built with")?;
    ensure!(output.status.success(), "g++: {}", String::from_utf8_lossy(&output.stderr));
    Ok(library.into_os_string())
}
