//! Where the workspace is, and how its cargo is called from inside a cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// Cargo may have to fetch what the lock file names before it can answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The checkout this xtask belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace whose `cargo xtask` is running.
    pub(crate) fn find() -> Result<Self> {
        // Asked at run time: a target directory shared by two clones must not lead one to the other.
        let manifest = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask ...`")?;
        let root = Path::new(&manifest).parent().context("xtask's directory has no parent")?;
        if !root.join("Cargo.toml").is_file() {
            bail!("{}: no Cargo.toml; run `cargo xtask` inside the workspace", root.display());
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The top of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where setup keeps what it fetched.
    ///
    /// Always under the workspace's own `target/`, also with a `CARGO_TARGET_DIR` elsewhere: `.cargo/config.toml`
    /// includes a file from here, and it can only name a fixed place.
    pub(crate) fn setup_dir(&self) -> PathBuf {
        self.root.join("target/nixl-l2")
    }

    /// A cargo command at the workspace's top.
    ///
    /// What the outer `cargo run` told xtask about xtask's own package is taken out again, for build scripts that look
    /// at such variables would otherwise run once more under a plain `cargo build`.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root);
        for name in
            env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| is_about_xtask(name))
        {
            command.env_remove(name);
        }
        command
    }

    /// Asks cargo a question that it answers in JSON.
    pub(crate) fn metadata(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.cargo(&["metadata", "--format-version=1", "--locked"]);
        let answer = shell::capture(command.args(arguments), ANSWER_LIMIT)?;
        if !answer.status.success() {
            bail!("`{}` failed: {}", shell::render(&command), answer.stderr.trim_end());
        }
        Ok(answer.stdout)
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target_dir(&self) -> Result<PathBuf> {
        let metadata: Value = serde_json::from_str(&self.metadata(&["--no-deps"])?)?;
        let target = metadata.get("target_directory").and_then(Value::as_str);
        target.map(PathBuf::from).context("cargo metadata names no target directory")
    }
}

/// The triple of the machine this runs on, as rustc calls it.
pub(crate) fn host() -> Result<String> {
    let answer = shell::capture(Command::new("rustc").arg("-vV"), ANSWER_LIMIT)?;
    let host = answer.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// Runs a cargo command that builds target `name` of crate `package`, and returns the path of its executable.
pub(crate) fn build_executable(command: &mut Command, package: &str, name: &str) -> Result<PathBuf> {
    command.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stderr(Stdio::inherit());
    let built = command.output().with_context(|| format!("cannot start `{}`", shell::render(command)))?;
    shell::check(built.status, command)?;
    executable(&String::from_utf8_lossy(&built.stdout), package, name)
}

/// The path of an executable among cargo's messages.
fn executable(messages: &str, package: &str, name: &str) -> Result<PathBuf> {
    let manifest = Path::new(package).join("Cargo.toml");
    let path = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_target = message.pointer("/target/name")?.as_str()? == name;
        let is_package = Path::new(message.get("manifest_path")?.as_str()?).ends_with(&manifest);
        message.get("executable")?.as_str().filter(|_| is_target && is_package).map(PathBuf::from)
    };
    let found = messages.lines().find_map(path);
    found.with_context(|| format!("cargo built no executable {name} of {package}"))
}

fn is_about_xtask(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_FEATURE_"]
        .iter()
        .any(|start| name.starts_with(start))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_libraries_and_other_programs() {
        let artifact = |package: &str, name: &str, executable: &str| {
            let manifest = format!("/w/crates/{package}/Cargo.toml");
            let message =
                r#"{"reason":"compiler-artifact","manifest_path":"M","target":{"name":"N"},"executable":E}"#;
            message.replace('M', &manifest).replace('N', name).replace('E', executable)
        };
        let messages = [
            artifact("nixl-l2", "nixl-l2", "null"),
            "not json".to_owned(),
            artifact("nixl-l2", "other", "\"/t/other\""),
            artifact("l2-core", "nixl-l2", "\"/t/another\""),
            artifact("nixl-l2", "nixl-l2", "\"/t/nixl-l2\""),
        ];
        let messages = messages.join("\n");
        assert_eq!(executable(&messages, "nixl-l2", "nixl-l2").unwrap(), PathBuf::from("/t/nixl-l2"));
        assert!(executable(&messages, "nixl-l2", "absent").is_err());
    }
}
