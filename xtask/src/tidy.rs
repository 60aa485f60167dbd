//! `cargo xtask tidy`: what this workspace asks of itself beyond what compilers check. It only reads.

mod docs;
mod files;
mod layers;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{self, print, say};
use crate::workspace::Workspace;

/// One thing to mend: where, what, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A text file of the workspace, by its path from the top.
struct Source {
    path: String,
    text: String,
}

/// The command: prints each finding on a line; any finding is a failure.
pub(crate) fn tidy(workspace: &Workspace) -> Result<ExitCode> {
    let sources = sources(workspace.root())?;
    for note in files::long(&sources) {
        say(format_args!("note: {note}"));
    }
    let findings = findings(workspace, &sources)?;
    for finding in &findings {
        print(finding);
    }
    match findings.len() {
        0 => say(format_args!("tidy: {} files, nothing to mend", sources.len())),
        count => say(format_args!("tidy: {count} to mend")),
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn findings(workspace: &Workspace, sources: &[Source]) -> Result<Vec<Finding>> {
    let crates = crates(sources);
    let mut findings = layers::check(&layers::Graph::read(workspace)?, sources);
    findings.extend(files::check(sources));
    findings.extend(docs::check(&crates, sources));
    findings.sort();
    Ok(findings)
}

/// The names of the crates in `crates/`, by their directories.
fn crates(sources: &[Source]) -> Vec<&str> {
    let manifests =
        sources.iter().filter_map(|source| source.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"));
    manifests.filter(|name| !name.contains('/')).collect()
}

/// Every text file that git tracks or would track.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut list = Command::new("git");
    list.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed =
        shell::capture(&mut list, Duration::from_secs(60)).context("tidy asks git for the list of files")?;
    if !listed.status.success() {
        bail!("git cannot list the files of {}: {}", root.display(), listed.reason());
    }
    let mut sources = Vec::new();
    for path in listed.stdout.split_terminator('\0') {
        let full: PathBuf = root.join(path);
        // Deleted but not yet committed, a link, or a directory of another repository.
        if !full.symlink_metadata().is_ok_and(|found| found.is_file()) {
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_workspace_is_tidy() {
        let workspace = Workspace::find().unwrap();
        let sources = sources(workspace.root()).unwrap();
        let findings = findings(&workspace, &sources).unwrap();
        let lines = findings.iter().map(|finding| format!("{finding}\n")).collect::<String>();
        assert!(findings.is_empty(), "\n{lines}");
    }

    #[test]
    fn a_crate_is_a_directory_with_a_manifest_right_under_crates() {
        let paths =
            ["crates/a/Cargo.toml", "crates/a/fuzz/Cargo.toml", "crates/b/src/lib.rs", "xtask/Cargo.toml"];
        let sources = paths.map(|path| Source { path: path.into(), text: String::new() });
        assert_eq!(crates(&sources), ["a"]);
    }
}
