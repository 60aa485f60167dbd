//! Where NIXL's library may be, in the order in which it is looked for.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The library that has NIXL's C functions.
pub(crate) const LIBRARY: &str = "libnixl_capi.so";
/// Directories of the Python wheels' libraries, beside their packages.
const WHEEL_DIRECTORIES: [&str; 2] = [".nixl_cu12.mesonpy.libs", ".nixl_cu13.mesonpy.libs"];
/// Where `cargo xtask setup` puts the wheel's libraries, below the target directory.
const SETUP_DIRECTORY: &str = "nixl-l2/nixl";
/// How long the active Python may take to say where its packages are.
const PYTHON_LIMIT: Duration = Duration::from_secs(5);

/// What a rule says: a file to try, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// Open this file.
    File { rule: &'static str, path: PathBuf },
    /// Open the library by its name and let the dynamic loader search.
    ByName { rule: &'static str },
    /// The rule leads nowhere.
    Nothing { rule: &'static str, why: String },
}

/// Asks where the Python on the path keeps its packages.
pub(crate) type AskPython = fn() -> Result<Vec<PathBuf>, String>;

/// What the search depends on, so that a test can state it.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) explicit: Option<PathBuf>,
    pub(crate) lib_dir: Option<OsString>,
    pub(crate) prefix: Option<OsString>,
    pub(crate) setup_dir: Option<OsString>,
    pub(crate) executable: Option<PathBuf>,
    /// Asks the active Python; a function, for it takes 20 ms and is rarely needed.
    pub(crate) site_packages: Option<AskPython>,
}

impl Surroundings {
    pub(crate) fn of_this_process(explicit: Option<&Path>) -> Self {
        Self {
            explicit: explicit.map(Path::to_path_buf),
            lib_dir: env::var_os("NIXL_LIB_DIR").filter(|value| !value.is_empty()),
            prefix: env::var_os("NIXL_PREFIX").filter(|value| !value.is_empty()),
            setup_dir: env::var_os("NIXL_L2_SETUP_DIR").filter(|value| !value.is_empty()),
            executable: env::current_exe().ok(),
            site_packages: Some(active_python),
        }
    }

    /// The candidates, one after the other; the later, costlier ones are made only when the earlier ones failed.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        type Rule = fn(&Surroundings) -> Vec<Candidate>;
        // Where somebody says where the setup is, no Python need be started: that can take a quarter of a second.
        let (next, last): (Rule, Rule) =
            if self.setup_dir.is_some() { (Self::setup, Self::wheel) } else { (Self::wheel, Self::setup) };
        let rules = [Self::explicit, Self::lib_dir, Self::loader, Self::prefix, next, last];
        // An explicit path is a command: nothing else is tried.
        let count = if self.explicit.is_some() { 1 } else { rules.len() };
        rules.into_iter().take(count).flat_map(move |rule| rule(self))
    }

    fn explicit(&self) -> Vec<Candidate> {
        let rule = "explicit path";
        match &self.explicit {
            Some(path) if path.is_dir() => vec![in_directory(rule, path)],
            Some(path) => vec![Candidate::File { rule, path: path.clone() }],
            None => Vec::new(),
        }
    }

    fn lib_dir(&self) -> Vec<Candidate> {
        vec![from_variable("NIXL_LIB_DIR", self.lib_dir.as_ref())]
    }

    fn loader(&self) -> Vec<Candidate> {
        vec![Candidate::ByName { rule: "dynamic loader" }]
    }

    fn prefix(&self) -> Vec<Candidate> {
        let (rule, root) = match &self.prefix {
            Some(prefix) => ("NIXL_PREFIX", PathBuf::from(prefix)),
            None => ("default prefix", PathBuf::from("/opt/nvidia/nvda_nixl")),
        };
        let triple = format!("lib/{}-linux-gnu", env::consts::ARCH);
        ["lib64", "lib", &triple].into_iter().map(|part| in_directory(rule, &root.join(part))).collect()
    }

    fn wheel(&self) -> Vec<Candidate> {
        let rule = "wheel nixl-cu12 or nixl-cu13 of the active Python";
        let Some(ask) = self.site_packages else { return Vec::new() };
        match ask() {
            Err(why) => vec![Candidate::Nothing { rule, why }],
            Ok(sites) => {
                let libraries = sites.iter().flat_map(|site| WHEEL_DIRECTORIES.map(|wheel| site.join(wheel)));
                let found: Vec<_> = libraries
                    .map(|directory| in_directory(rule, &directory))
                    .filter(|candidate| matches!(candidate, Candidate::File { .. }))
                    .collect();
                if found.is_empty() {
                    let places: Vec<_> = sites.iter().map(|site| site.display().to_string()).collect();
                    return vec![Candidate::Nothing { rule, why: format!("not in {}", places.join(", ")) }];
                }
                found
            }
        }
    }

    fn setup(&self) -> Vec<Candidate> {
        let rule = "fetched by `cargo xtask setup`";
        if let Some(directory) = &self.setup_dir {
            return vec![in_wheel(rule, Path::new(directory))];
        }
        // target/debug/deps/x and target/release/x both have the target directory above them.
        let ancestors = self.executable.iter().flat_map(|executable| executable.ancestors().skip(1).take(4));
        let found =
            ancestors.map(|ancestor| ancestor.join(SETUP_DIRECTORY)).find(|directory| directory.is_dir());
        match found {
            // Code is loaded from there: not if somebody else could have put it there.
            Some(directory) if !ours(&directory) => {
                let why = format!("{} belongs to another user", directory.display());
                vec![Candidate::Nothing { rule, why }]
            }
            Some(directory) => vec![in_wheel(rule, &directory)],
            None => vec![Candidate::Nothing { rule, why: "not run for this build".to_owned() }],
        }
    }
}

fn from_variable(rule: &'static str, value: Option<&OsString>) -> Candidate {
    match value {
        Some(directory) => in_directory(rule, Path::new(directory)),
        None => Candidate::Nothing { rule, why: "not set".to_owned() },
    }
}

fn in_directory(rule: &'static str, directory: &Path) -> Candidate {
    let path = directory.join(LIBRARY);
    if path.exists() {
        Candidate::File { rule, path }
    } else {
        Candidate::Nothing { rule, why: format!("no {}", path.display()) }
    }
}

fn in_wheel(rule: &'static str, root: &Path) -> Candidate {
    let found = WHEEL_DIRECTORIES.iter().map(|wheel| in_directory(rule, &root.join(wheel)));
    let none = Candidate::Nothing { rule, why: format!("no {LIBRARY} below {}", root.display()) };
    found.into_iter().find(|candidate| matches!(candidate, Candidate::File { .. })).unwrap_or(none)
}

fn ours(directory: &Path) -> bool {
    let owner = |path: &Path| fs::metadata(path).map(|metadata| metadata.uid()).ok();
    let me = owner(Path::new("/proc/self"));
    owner(directory).is_some_and(|uid| uid == 0 || Some(uid) == me)
}

/// Where the Python on the path keeps its packages, asked of itself.
fn active_python() -> Result<Vec<PathBuf>, String> {
    const SCRIPT: &str = "import site, sysconfig\n\
        p = [sysconfig.get_path('platlib'), sysconfig.get_path('purelib')]\n\
        p += site.getsitepackages() + [site.getusersitepackages()]\n\
        print('\\n'.join(dict.fromkeys(x for x in p if x)))";
    let mut child = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("python3: {error}"))?;
    let start = Instant::now();
    // The answer is a few hundred bytes: it fits the pipe, so the child never waits for us to read.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < PYTHON_LIMIT => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                // Reaped, so that no zombie is left; a failure to kill means that it is gone already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("python3 did not answer within {PYTHON_LIMIT:?}"));
            }
        }
    };
    if !status.success() {
        return Err(format!("python3 failed ({status})"));
    }
    let mut answer = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut answer).map_err(|error| format!("python3: {error}"))?;
    }
    Ok(answer.lines().map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }

    fn rules(surroundings: &Surroundings) -> Vec<(&'static str, bool)> {
        let rule = |candidate| match candidate {
            Candidate::File { rule, .. } | Candidate::ByName { rule } => (rule, true),
            Candidate::Nothing { rule, .. } => (rule, false),
        };
        surroundings.candidates().map(rule).collect()
    }

    #[test]
    fn the_places_are_tried_in_order_and_each_that_leads_nowhere_says_so() {
        let home = tempfile::tempdir().unwrap();
        touch(&home.path().join("lib-dir").join(LIBRARY));
        touch(&home.path().join("prefix/lib").join(LIBRARY));
        touch(&home.path().join("target/nixl-l2/nixl").join(WHEEL_DIRECTORIES[0]).join(LIBRARY));
        let surroundings = Surroundings {
            lib_dir: Some(home.path().join("lib-dir").into()),
            prefix: Some(home.path().join("prefix").into()),
            executable: Some(home.path().join("target/debug/deps/some-test")),
            site_packages: Some(|| Err("no python here".to_owned())),
            ..Surroundings::default()
        };
        let wheel = "wheel nixl-cu12 or nixl-cu13 of the active Python";
        assert_eq!(
            rules(&surroundings),
            [
                ("NIXL_LIB_DIR", true),
                ("dynamic loader", true),
                ("NIXL_PREFIX", false),
                ("NIXL_PREFIX", true),
                ("NIXL_PREFIX", false),
                (wheel, false),
                ("fetched by `cargo xtask setup`", true),
            ]
        );
    }

    #[test]
    fn no_python_is_asked_where_the_setup_is_named() {
        let home = tempfile::tempdir().unwrap();
        touch(&home.path().join(WHEEL_DIRECTORIES[0]).join(LIBRARY));
        let surroundings = Surroundings {
            setup_dir: Some(home.path().into()),
            site_packages: Some(|| panic!("asked")),
            ..Surroundings::default()
        };
        let found = surroundings.candidates().find(
            |candidate| matches!(candidate, Candidate::File { path, .. } if path.starts_with(home.path())),
        );
        assert!(found.is_some());
    }

    #[test]
    fn an_explicit_path_is_the_only_one_tried() {
        let home = tempfile::tempdir().unwrap();
        touch(&home.path().join(LIBRARY));
        let explicit = Some(home.path().to_path_buf());
        let found: Vec<_> = Surroundings { explicit, ..Surroundings::default() }.candidates().collect();
        assert_eq!(found, [Candidate::File { rule: "explicit path", path: home.path().join(LIBRARY) }]);
    }

    #[test]
    fn the_active_python_answers_or_the_reason_is_kept() {
        match active_python() {
            Ok(sites) => assert!(!sites.is_empty()),
            Err(why) => assert!(why.contains("python3"), "{why}"),
        }
    }
}
