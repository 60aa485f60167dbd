//! The variables that builds and programs need here, written where `.cargo/config.toml` includes them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{self, Command};

use anyhow::{Context, Result};

/// The generated file's name under `target/nixl-l2`; `.cargo/config.toml` names it too.
const FILE: &str = "cargo.toml";
const HEAD: &str = "# Written by `cargo xtask setup` for this machine and this place; run it again after moving the clone.\n\
                    # A variable set in your environment wins over the one here.\n[env]\n";

type Pairs = Vec<(String, String)>;

/// The variables as they should be, and as the cargo that started us read them.
#[derive(Debug)]
pub(crate) struct CargoEnv {
    now: Pairs,
    before: Pairs,
}

impl CargoEnv {
    /// What the last setup wrote; nothing where there was none.
    pub(crate) fn read(dir: &Path) -> Self {
        let before = parse(&fs::read_to_string(dir.join(FILE)).unwrap_or_default());
        Self { now: Vec::new(), before }
    }

    /// Adds a variable to be written.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.now.push((name.to_owned(), value));
    }

    /// The variable's value if the user set it, and not cargo out of the generated file.
    pub(crate) fn users_own(&self, name: &str) -> Option<OsString> {
        self.users(name, env::var_os(name))
    }

    fn users(&self, name: &str, value: Option<OsString>) -> Option<OsString> {
        value.filter(|value| !self.before.iter().any(|(known, old)| known == name && value == old.as_str()))
    }

    /// Writes the file by one rename, unless it already says the same.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let lines = self.now.iter().map(|(name, value)| format!("{name} = {}\n", quote(value)));
        let text = HEAD.to_owned() + &lines.collect::<String>();
        let path = dir.join(FILE);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let new = dir.join(format!("{FILE}.{}", process::id()));
        fs::write(&new, text).with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, &path).with_context(|| format!("cannot replace {}", path.display()))
    }

    /// Gives a command the variables as they are now.
    ///
    /// We inherited what the file said before this setup, and cargo lets an inherited variable win over the file.
    pub(crate) fn apply(&self, command: &mut Command) {
        for (name, _) in self.before.iter().filter(|(name, _)| self.users_own(name).is_none()) {
            command.env_remove(name);
        }
        for (name, value) in self.now.iter().filter(|(name, _)| self.users_own(name).is_none()) {
            command.env(name, value);
        }
    }
}

/// A TOML basic string; what JSON escapes, TOML escapes alike.
fn quote(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn parse(text: &str) -> Pairs {
    let pair = |line: &str| {
        let (name, value) = line.split_once(" = ")?;
        Some((name.to_owned(), serde_json::from_str(value).ok()?))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pairs: &[(&str, &str)]) -> (tempfile::TempDir, CargoEnv) {
        let dir = tempfile::tempdir().unwrap();
        let mut env = CargoEnv::read(dir.path());
        for (name, value) in pairs {
            env.set(name, (*value).to_owned());
        }
        env.write(dir.path()).unwrap();
        let read = CargoEnv::read(dir.path());
        (dir, read)
    }

    #[test]
    fn odd_paths_come_back_as_they_were_written() {
        let (_dir, env) = written(&[("A", "/a b/\"c\"\\d"), ("B", "-idirafter/x = y")]);
        assert_eq!(
            env.before,
            [("A".into(), "/a b/\"c\"\\d".into()), ("B".into(), "-idirafter/x = y".into())]
        );
    }

    #[test]
    fn a_value_cargo_took_from_the_file_is_not_the_users() {
        let (_dir, env) = written(&[("A", "/old")]);
        assert_eq!(env.users("A", Some("/old".into())), None);
        assert_eq!(env.users("A", Some("/mine".into())), Some("/mine".into()));
        assert_eq!(env.users("B", Some("/old".into())), Some("/old".into()));
        assert_eq!(env.users("A", None), None);
    }

    #[test]
    fn a_stale_variable_is_replaced_or_removed_for_commands() {
        let (_dir, mut env) = written(&[("XTASK_TEST_A", "/old"), ("XTASK_TEST_B", "/gone")]);
        env.set("XTASK_TEST_A", "/new".into());
        let mut command = Command::new("true");
        env.apply(&mut command);
        let set =
            command.get_envs().map(|(name, value)| (name.to_str(), value.and_then(|value| value.to_str())));
        let expect = [(Some("XTASK_TEST_A"), Some("/new")), (Some("XTASK_TEST_B"), None)];
        assert_eq!(set.collect::<Vec<_>>(), expect);
    }
}
