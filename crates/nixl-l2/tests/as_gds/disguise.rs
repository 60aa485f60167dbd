//! A directory of plugins that are POSIX in disguise, and children that use it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use l2_core::testing::child;
use nixl_l2::Nixl;

/// The names under which POSIX is installed, and under no other.
pub(crate) const NAMES: [&str; 3] = ["GDS", "GDS_MT", "HF3FS"];

/// How many cases a property is tried on. Many are tried on adapters under their own names.
const CASES: &str = "PROPTEST_CASES";

/// Whether the plugins of this process are POSIX in disguise. Where they are not, the calling test has been run again in a
/// child where they are, and has passed there: nothing is left to be done.
#[track_caller]
pub(crate) fn is_on() -> bool {
    is_on_in_front_of(&[])
}

/// [`is_on`], in a child that cannot pass by the rights of files, as root can. `None` where root cannot give that up.
#[track_caller]
pub(crate) fn is_on_without_overrides() -> Option<bool> {
    if child::given().is_some() {
        return Some(true);
    }
    child::without_overrides().ok().map(is_on_in_front_of)
}

#[track_caller]
fn is_on_in_front_of(wrapper: &[&str]) -> bool {
    if child::given().is_some() {
        return true;
    }
    let thread = std::thread::current();
    let test = thread.name().filter(|name| name.contains("::")).expect("a test's thread has its name");
    let mut command = child::again(wrapper, test, "");
    if std::env::var_os(CASES).is_none() {
        command.env(CASES, "16");
    }
    command.envs([("NIXL_PLUGIN_DIR", plugins()), ("NIXL_LIB_DIR", &real_directory())]);
    child::must_pass(command);
    false
}

fn real_directory() -> PathBuf {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    fs::canonicalize(nixl.library().parent().unwrap()).unwrap()
}

/// The directory of plugins, made once a process. What processes that are gone have left is removed.
fn plugins() -> &'static PathBuf {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("as_gds");
        for old in fs::read_dir(&base).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(old.file_name()).exists() {
                // Another process may be at it, too.
                let _ = fs::remove_dir_all(old.path());
            }
        }
        disguised(&base.join(std::process::id().to_string()))
    })
}

/// A copy of NIXL's installation, made of links but for the plugins: one finds its libraries around its own place.
fn disguised(root: &Path) -> PathBuf {
    let real = real_directory();
    let name = real.file_name().unwrap().to_str().unwrap();
    let directory = root.join(name);
    let plugins = directory.join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    let link_all = |from: &Path, to: &Path, but: &str| {
        for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.file_name() != but) {
            symlink(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    link_all(real.parent().unwrap(), root, name);
    link_all(&real, &directory, "plugins");
    for name in NAMES {
        fs::copy(real.join("plugins/libplugin_POSIX.so"), plugins.join(format!("libplugin_{name}.so")))
            .unwrap();
    }
    plugins
}

#[test]
fn here_the_plugins_are_posix_under_three_other_names_and_there_is_no_posix() {
    if !is_on() {
        return;
    }
    let agent = Nixl::load().unwrap().agent("test").unwrap();
    let mut found = agent.plugins().unwrap();
    found.sort();
    assert_eq!(found, NAMES);
    for name in NAMES {
        let plugin = agent.plugin(name).unwrap();
        assert!(plugin.parameters.contains_key("use_uring"), "only POSIX has that: {plugin:?}");
    }
    let error = agent.backend("POSIX", []).unwrap_err();
    assert!(error.to_string().contains("installed: GDS, GDS_MT, HF3FS"), "{error}");
}
