//! Azurite, the emulator of Azure Blob Storage that tests talk to: installed by npm, where there is an npm.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::install;
use crate::shell::{self, Captured};

/// The last version that runs on Node.js 20 and older.
pub(super) const VERSION: &str = "3.35.0";
/// Tells the tests where it is; the crate test-servers reads it.
pub(super) const DIRECTORY_VARIABLE: &str = "NIXL_L2_AZURITE_DIR";
/// Its directory under `target/nixl-l2`, and its program in there.
const DIRECTORY: &str = "azurite";
const PROGRAM: &str = "node_modules/azurite/dist/src/blob/main.js";
/// Some 370 packages, 186 MiB: 20 s over a good line. Tests on Azure are not worth a longer wait.
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Where Azurite is, or will be.
pub(super) fn directory(parent: &Path) -> PathBuf {
    parent.join(DIRECTORY)
}

/// Whether this version is there; a directory with its name is complete, for it got it by a rename.
pub(super) fn is_in_place(parent: &Path) -> bool {
    is_in(&directory(parent))
}

fn is_in(directory: &Path) -> bool {
    let manifest = fs::read_to_string(directory.join("node_modules/azurite/package.json"));
    let manifest = manifest.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let version = manifest.as_ref().and_then(|manifest| manifest.get("version")?.as_str());
    version == Some(VERSION) && directory.join(PROGRAM).is_file()
}

/// An Azurite that the user installed, as the tests would find it.
pub(super) fn users_own() -> Option<PathBuf> {
    // npm links the name to the program; anything else under this name the tests do not use.
    let program = on_path("azurite-blob")?.canonicalize().ok()?;
    program.extension().is_some_and(|extension| extension == "js").then_some(program)
}

/// Whether there is an npm to install it.
pub(super) fn has_npm() -> bool {
    on_path("npm").is_some()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Lets npm install it beside its place, and renames it into place: a kill leaves the old state, the new, or none.
pub(super) fn install(parent: &Path) -> Result<()> {
    install::clear_staging(parent);
    let staging = install::staging(parent);
    let outcome = install_with(&mut Command::new("npm"), &staging).and_then(|new| {
        let place = directory(parent);
        if place.symlink_metadata().is_ok() {
            fs::rename(&place, staging.join("old"))
                .with_context(|| format!("cannot move {}", place.display()))?;
        }
        fs::rename(new, &place).with_context(|| format!("cannot put {} in place", place.display()))
    });
    install::clear_staging(parent);
    outcome
}

/// Installs into a directory of `staging`, and returns it.
fn install_with(npm: &mut Command, staging: &Path) -> Result<PathBuf> {
    let new = staging.join(DIRECTORY);
    fs::create_dir_all(&new).with_context(|| format!("cannot create {}", new.display()))?;
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    // Without a network the answer is to come soon, and what npm has already need not be asked for: the version is pinned.
    npm.args(["--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]);
    npm.args(["--fetch-retry-maxtimeout=2000", "--prefix"]);
    npm.arg(&new).arg(format!("azurite@{VERSION}"));
    let done = shell::capture(npm, INSTALL_LIMIT)?;
    if !done.status.success() {
        bail!("npm cannot install it: {}", fault(&done));
    }
    if !is_in(&new) {
        bail!("npm installed something else than azurite {VERSION}; look at what npm's configuration names");
    }
    Ok(new)
}

/// npm's last line names its log; what went wrong is in the first.
fn fault(done: &Captured) -> String {
    let first = done.stderr.lines().find_map(|line| {
        let line = line.strip_prefix("npm error").or_else(|| line.strip_prefix("npm ERR!"))?;
        Some(line.trim().to_owned())
    });
    first.unwrap_or_else(|| done.reason())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A stand-in for npm that runs a line of shell in the directory it is to install into.
    fn npm(dir: &Path, line: &str) -> Command {
        let path = dir.join("npm");
        let script =
            format!("#!/bin/sh\nwhile [ \"$1\" != --prefix ]; do shift; done\ncd \"$2\" || exit 9\n{line}\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Command::new(path)
    }

    #[track_caller]
    fn check(line: &str, expect: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        let outcome = install_with(&mut npm(dir.path(), line), &dir.path().join("staging"));
        match (outcome, expect) {
            (Ok(new), Ok(())) => assert!(is_in(&new)),
            (Err(error), Err(expect)) => assert_eq!(format!("{error:#}"), expect),
            (outcome, _) => panic!("{line}: {outcome:?}"),
        }
    }

    fn installs(version: &str) -> String {
        format!(
            "mkdir -p node_modules/azurite/dist/src/blob; : > {PROGRAM}; \
             echo '{{\"version\":\"{version}\"}}' > node_modules/azurite/package.json"
        )
    }

    #[test]
    fn only_the_pinned_version_counts_as_installed() {
        check(&installs(VERSION), Ok(()));
        let other =
            "npm installed something else than azurite 3.35.0; look at what npm's configuration names";
        check(&installs("3.36.0"), Err(other));
        check("true", Err(other));
    }

    #[test]
    fn npms_fault_is_told_rather_than_where_its_log_is() {
        let says = "echo 'npm error code ENOTFOUND' >&2; echo 'npm error A complete log is in x' >&2; exit 1";
        check(says, Err("npm cannot install it: code ENOTFOUND"));
        check("exit 3", Err("npm cannot install it: exit status: 3"));
    }

    #[test]
    fn a_directory_without_the_program_is_not_in_place() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_in_place(dir.path()));
        let new =
            install_with(&mut npm(dir.path(), &installs(VERSION)), &dir.path().join("staging")).unwrap();
        fs::rename(new, directory(dir.path())).unwrap();
        assert!(is_in_place(dir.path()));
        fs::remove_file(directory(dir.path()).join(PROGRAM)).unwrap();
        assert!(!is_in_place(dir.path()));
    }
}
