//! Finding and opening the library, each case in a process of its own: a library is opened once in a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::*;
use nixl_safe::{ErrorKind, Nixl};

/// Where the child finds the real library's directory: not a variable that the layer reads.
const REAL: &str = "NIXL_SAFE_TEST_REAL";

pub(crate) fn real_directory() -> PathBuf {
    match std::env::var_os(REAL) {
        Some(directory) => PathBuf::from(directory),
        None => nixl().library().parent().unwrap().to_owned(),
    }
}

/// Lets another process write a program: a child of another test's thread may inherit this process's open file, and a
/// program that is open for writing cannot be run.
fn make_program(command: &str, arguments: &[&Path]) {
    let status = Command::new("sh").args(["-ec", command, "sh"]).args(arguments).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}

/// Runs the named test again, from a copy of this program in an empty directory, with these variables and no others.
/// No rule leads to NIXL from there, but the machine's own installation.
pub(crate) fn alone(test: &str, variables: &[(&str, &Path)]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("program");
    make_program(r#"cp "$1" "$2""#, &[&std::env::current_exe().unwrap(), &program]);
    let mut child = again(&program, test, home.path());
    child.env(REAL, real_directory()).env("NIXL_PREFIX", home.path()).current_dir(home.path());
    child.envs(variables.iter().copied()).output().unwrap()
}

/// Uses NIXL as far as a library that lacks something would let it get.
pub(crate) fn assert_usable(nixl: Nixl) {
    let backend = nixl.agent("test").unwrap().backend("POSIX", [("ios_pool_size", "64")]).unwrap();
    assert!(backend.query_files(&["/"]).unwrap()[0].is_some());
}

/// Whether the machine's loader finds NIXL by itself, so that "nowhere" cannot be had on it.
pub(crate) fn installed_for_all(nixl: &Nixl) -> bool {
    let installed = nixl.found_by() == "dynamic loader";
    if installed {
        skipped(&format!("the machine's dynamic loader finds {}", nixl.library().display()));
    }
    installed
}

#[test]
fn without_a_library_the_error_lists_every_place_and_a_later_try_succeeds() {
    if !in_child() {
        let empty = tempfile::tempdir().unwrap();
        let test = "loading::without_a_library_the_error_lists_every_place_and_a_later_try_succeeds";
        return assert_passed(&alone(test, &[("NIXL_LIB_DIR", empty.path())]));
    }
    let error = match Nixl::load() {
        Ok(nixl) => return assert!(installed_for_all(&nixl), "found by {}", nixl.found_by()),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::LibraryMissing);
    let rules: Vec<_> = error.tried().iter().map(|place| place.rule).collect();
    let wheel = "wheel nixl-cu12 or nixl-cu13 of the active Python";
    let setup = "fetched by `cargo xtask setup`";
    assert_eq!(
        rules,
        ["NIXL_LIB_DIR", "dynamic loader", "NIXL_PREFIX", "NIXL_PREFIX", "NIXL_PREFIX", wheel, setup]
    );
    let text = error.to_string();
    assert!(rules.iter().all(|rule| text.contains(rule)) && text.contains("pip install nixl-cu12"), "{text}");
    let lib_dir = std::env::var("NIXL_LIB_DIR").unwrap();
    assert!(text.contains(&lib_dir), "{text}");
    assert_eq!(text.lines().count(), 1);

    // A failure is not remembered, here or in nixl-sys's stubs.
    assert_eq!(Nixl::load().unwrap_err().kind(), ErrorKind::LibraryMissing);
    assert_eq!(Nixl::load_from("/nowhere").unwrap_err().kind(), ErrorKind::LibraryMissing);
    let nixl = Nixl::load_from(real_directory()).unwrap();
    assert_eq!(nixl.found_by(), "explicit path");
    assert_usable(nixl);
    assert_usable(Nixl::load().unwrap());
}

#[test]
fn a_library_is_found_by_each_variable_and_its_plugins_without_any() {
    if !in_child() {
        let real = real_directory();
        let test = "loading::a_library_is_found_by_each_variable_and_its_plugins_without_any";
        assert_passed(&alone(test, &[("NIXL_LIB_DIR", &real)]));
        // The loader's own search, and a prefix laid out as NIXL's installation is.
        assert_passed(&alone(test, &[("LD_LIBRARY_PATH", &real)]));
        let prefix = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&real, prefix.path().join("lib64")).unwrap();
        assert_passed(&alone(test, &[("NIXL_PREFIX", prefix.path())]));
        // The wheel of the Python on the path, which is asked where its packages are.
        let bin = tempfile::tempdir().unwrap();
        let python = bin.path().join("python3");
        let script = r##"printf '#!/bin/sh\necho "%s"\n' "$1" > "$2"; chmod 755 "$2""##;
        make_program(script, &[real.parent().unwrap(), &python]);
        assert_passed(&alone(test, &[("PATH", bin.path())]));
        // What `cargo xtask setup` fetched, where the build says that it is.
        return assert_passed(&alone(test, &[("NIXL_L2_SETUP_DIR", real.parent().unwrap())]));
    }
    let nixl = Nixl::load().unwrap();
    let expected = match (std::env::var_os("NIXL_LIB_DIR"), std::env::var_os("LD_LIBRARY_PATH")) {
        (Some(_), _) => "NIXL_LIB_DIR",
        (_, Some(_)) => "dynamic loader",
        _ if std::env::var_os("NIXL_L2_SETUP_DIR").is_some() => "fetched by `cargo xtask setup`",
        _ if Path::new(&std::env::var_os("PATH").unwrap()).join("python3").exists() => {
            "wheel nixl-cu12 or nixl-cu13 of the active Python"
        }
        _ => "NIXL_PREFIX",
    };
    assert!(nixl.found_by() == expected || installed_for_all(&nixl), "{expected}: {}", nixl.found_by());
    let real = fs::canonicalize(real_directory()).unwrap();
    assert!(nixl.library().starts_with(&real) || installed_for_all(&nixl), "{}", nixl.library().display());
    assert_eq!(nixl.plugin_directory(), Some(nixl.library().parent().unwrap().join("plugins")));
    assert_usable(nixl);
}

#[test]
fn another_library_than_the_open_one_is_refused_and_the_open_one_is_not() {
    if !in_child() {
        let test = "loading::another_library_than_the_open_one_is_refused_and_the_open_one_is_not";
        return assert_passed(&alone(test, &[]));
    }
    let real = real_directory();
    let nixl = Nixl::load_from(real.join("libnixl_capi.so")).unwrap();
    assert_eq!(Nixl::load_from(&real).unwrap().library(), nixl.library(), "by its directory");
    let link = PathBuf::from("link.so");
    std::os::unix::fs::symlink(nixl.library(), &link).unwrap();
    assert_eq!(Nixl::load_from(&link).unwrap().library(), nixl.library(), "through a link");
    let error = Nixl::load_from("/elsewhere").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("can open only one"), "{error}");
    assert_usable(nixl);
}

#[test]
fn many_threads_open_one_library() {
    if !in_child() {
        return assert_passed(&alone("loading::many_threads_open_one_library", &[]));
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_usable(Nixl::load_from(real_directory()).unwrap()));
        }
    });
}

#[test]
fn an_empty_plugin_directory_is_an_error_that_names_the_variable() {
    if !in_child() {
        let test = "loading::an_empty_plugin_directory_is_an_error_that_names_the_variable";
        return assert_passed(&alone(test, &[("NIXL_PLUGIN_DIR", Path::new(""))]));
    }
    let agent = Nixl::load_from(real_directory()).unwrap().agent("test").unwrap();
    let error = agent.backend("POSIX", []).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginMissing);
    assert!(error.to_string().contains("NIXL_PLUGIN_DIR"), "{error}");
}

/// A transfer that fails, about which NIXL writes lines of its own unless it is silenced.
const QUIET: &str = "NIXL_SAFE_TEST_QUIET";

#[test]
fn a_silenced_nixl_writes_nothing_about_a_transfer_that_fails() {
    if !in_child() {
        let test = "loading::a_silenced_nixl_writes_nothing_about_a_transfer_that_fails";
        let loud = alone(test, &[]);
        assert_passed(&loud);
        assert!(!loud.stderr.is_empty(), "NIXL is loud, else this test shows nothing");
        let quiet = alone(test, &[(QUIET, Path::new("1"))]);
        assert_passed(&quiet);
        return assert_eq!(String::from_utf8_lossy(&quiet.stderr), "");
    }
    let nixl = Nixl::load_from(real_directory()).unwrap();
    if std::env::var_os(QUIET).is_some() {
        assert!(nixl.silence());
    }
    let backend = nixl.agent("test").unwrap().backend("POSIX", [("ios_pool_size", "64")]).unwrap();
    let region = nixl_safe::memory::Region::allocate(4096).unwrap();
    let memory = backend.register_memory(&region).unwrap();
    let files = register(&backend, tempfile::tempfile_in(".").unwrap());
    let part = nixl_safe::Part { memory: region.lease(0, 4096).unwrap(), index: 0, offset: 0 };
    assert!(finished(backend.start_read(&memory, &files, vec![part]).unwrap()).result.is_err());
    assert!(nixl.agent("test").unwrap().backend("NOWHERE", []).is_err());
}
