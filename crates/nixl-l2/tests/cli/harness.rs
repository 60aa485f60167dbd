//! Runs of the program: a directory for each test, a configuration, and what came out.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_nixl-l2");

/// A directory of a test's own, on the file system of the build: a temporary directory may be in memory, where direct
/// I/O means little.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of this name with these bytes.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The cache directory; nothing makes it but the program.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// A configuration of the cache directory with room for 1 GiB, changed by `change`.
    pub(crate) fn config(&self, change: impl FnOnce(&mut Value)) -> String {
        config(&self.cache(), change)
    }

    /// Names in the home, to see that nothing was left.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// Whether files can be opened here for direct I/O.
    pub(crate) fn takes_direct_io(&self) -> bool {
        let flags = rustix::fs::OFlags::DIRECT.bits();
        let probe = self.file("probe", b"");
        let opened = OpenOptions::new().read(true).custom_flags(flags.try_into().unwrap()).open(&probe);
        fs::remove_file(probe).unwrap();
        opened.is_ok()
    }
}

/// A configuration of the directory with room for 1 GiB, changed by `change`.
pub(crate) fn config(directory: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut config = json!({
        "type": "nixl_store_dynamic",
        "backend": "POSIX",
        "backend_params": {"file_path": directory, "use_direct_io": "false", "max_capacity_gb": "1"},
    });
    change(&mut config);
    config.to_string()
}

/// The names in a directory, in order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The names in a cache directory but those that the adapter keeps for itself, which begin with a dot.
pub(crate) fn objects(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| !name.starts_with('.')).collect()
}

/// A key as LMCache writes it.
pub(crate) fn key(model: &str, hash: &str) -> String {
    json!({"model_name": model, "kv_rank": 0, "object_group_id": 0, "chunk_hash_hex": hash, "cache_salt": ""})
        .to_string()
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program with these arguments.
pub(crate) fn run<'a>(args: impl IntoIterator<Item = &'a str>) -> Ran {
    finish(Command::new(PROGRAM).args(args))
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Ran {
    // What a developer has set must not change what a test sees.
    let Output { status, stdout, stderr } =
        command.env_remove("NIXL_L2_LOG").env_remove("NIXL_LOG_LEVEL").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

impl Ran {
    /// It succeeded, without a word on stderr; its stdout.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// It failed with exit code 1, nothing on stdout, and one line on stderr that says all of `says`.
    #[track_caller]
    pub(crate) fn refused(self, says: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        assert!(self.stderr.starts_with("nixl-l2: ") && self.stderr.ends_with('\n'), "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        for part in says {
            assert!(self.stderr.contains(part), "{part:?} in {}", self.stderr);
        }
    }

    /// The JSON on the last line of stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
