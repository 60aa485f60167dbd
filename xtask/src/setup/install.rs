//! Putting a wheel's libraries in place, whole or not at all, and telling whether they still are.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::pip::Python;
use super::wheel::{Build, Wheel};
use crate::shell::say;

/// In each installed directory: which wheel it came from, and every file's size.
const STAMP: &str = "setup.json";
/// Begins the name of every directory that is not finished, or no longer wanted.
const STAGING: &str = "staging-";
const UNPACK: &str = include_str!("unpack.py");

/// What is to be seen where a wheel should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Whole,
    Absent,
    /// Not what setup put there; the text says why.
    Damaged(String),
}

/// Compares a directory with its stamp: the right wheel, and every file there with its size (no file is read).
pub(crate) fn state(dir: &Path, wheel: &Wheel, build: &Build) -> State {
    let text = match fs::read_to_string(dir.join(STAMP)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !dir.exists() => return State::Absent,
        Err(error) => return State::Damaged(format!("{STAMP}: {error}")),
    };
    let stamp = serde_json::from_str(&text).unwrap_or(Value::Null);
    let Some(files) = stamp.get("files").and_then(Value::as_object) else {
        return State::Damaged(format!("{STAMP} is not what setup writes"));
    };
    if stamp.get("wheel") != Some(&identity(wheel, build)) {
        return State::Damaged("it is of another version or architecture".into());
    }
    for (path, size) in files {
        match fs::symlink_metadata(dir.join(path)) {
            Ok(found) if Some(found.len()) == size.as_u64() => {}
            Ok(found) => return State::Damaged(format!("{path} has {} bytes, not {size}", found.len())),
            Err(error) => return State::Damaged(format!("{path}: {error}")),
        }
    }
    State::Whole
}

/// Fetches a wheel and puts its libraries at `parent/<wheel.dir>`; a kill leaves the old state, the new, or none.
pub(crate) fn install(parent: &Path, wheel: &Wheel, build: &Build, python: &Python) -> Result<()> {
    clear_staging(parent);
    say(format_args!(
        "setup: {} {}: fetching {} with pip ({} MiB)",
        wheel.title, wheel.version, wheel.package, build.mib
    ));
    let archive = python.fetch(wheel, build, &staging(parent).join("download"));
    let outcome = archive.and_then(|archive| publish(parent, wheel, build, python, &archive));
    clear_staging(parent);
    outcome
}

/// Unpacks a wheel beside its place, checks it, and renames it into place.
fn publish(parent: &Path, wheel: &Wheel, build: &Build, python: &Python, archive: &Path) -> Result<()> {
    let (unpacked, old) = (staging(parent).join("unpacked"), staging(parent).join("old"));
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    let mut args = vec![archive.as_os_str(), unpacked.as_os_str()];
    args.extend(wheel.keep.iter().map(OsStr::new));
    let done = python.script(UNPACK, &args)?;
    if !done.status.success() {
        bail!(
            "{} could not be unpacked: {}. Is the disk full? Then free space and try again.",
            wheel.title,
            done.reason()
        );
    }
    let files: BTreeMap<String, u64> = serde_json::from_str(&done.stdout).context("unpack.py's answer")?;
    let mib = files.values().sum::<u64>() / (1 << 20);
    say(format_args!(
        "setup: {} {}: sha256 is right; {} files, {mib} MiB, as the wheel's RECORD has them",
        wheel.title,
        wheel.version,
        files.len()
    ));

    let stamp = json!({ "wheel": identity(wheel, build), "files": files });
    fs::write(unpacked.join(STAMP), format!("{stamp}\n")).with_context(|| format!("cannot write {STAMP}"))?;
    let place = parent.join(wheel.dir);
    if place.symlink_metadata().is_ok() {
        fs::rename(&place, old).with_context(|| format!("cannot move {} away", place.display()))?;
    }
    fs::rename(&unpacked, &place).with_context(|| format!("cannot put {} in place", place.display()))
}

pub(super) fn staging(parent: &Path) -> PathBuf {
    parent.join(format!("{STAGING}{}", process::id()))
}

fn identity(wheel: &Wheel, build: &Build) -> Value {
    json!({ "package": wheel.package, "version": wheel.version, "arch": build.arch, "sha256": build.sha256 })
}

/// Removes what earlier, killed setups left. The caller holds the lock, so that no setup is using it.
pub(super) fn clear_staging(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(STAGING)) {
        // A killed setup's pip may still write there; what stays now goes the next time.
        let _ = fs::remove_dir_all(entry.path());
    }
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
