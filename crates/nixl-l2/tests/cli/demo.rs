//! The demo, and the words for a newcomer.

use std::fs;

use crate::harness::{Home, names, objects, run};

#[test]
fn the_demo_holds_and_leaves_nothing() {
    let home = Home::new();
    let directory = home.path("demos");
    fs::create_dir(&directory).unwrap();
    let said = run(["demo", "--dir", directory.to_str().unwrap()]).ok();
    for part in ["turn 5", "restarted", "libnixl_capi.so", "48 files", directory.to_str().unwrap()] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("WRONG"), "{said}");
    assert!(names(&directory).is_empty());
}

#[test]
fn the_demo_keeps_its_files_when_told_to() {
    let home = Home::new();
    run(["demo", "--keep", "--dir", home.path("").to_str().unwrap()]).ok();
    let [directory] = &home.names()[..] else { panic!("{:?}", home.names()) };
    assert_eq!(objects(&home.path(directory)).len(), 48);
}

#[test]
fn a_demo_without_a_place_is_refused() {
    let home = Home::new();
    let missing = home.path("none");
    run(["demo", "--dir", missing.to_str().unwrap()]).refused(&[missing.to_str().unwrap(), "No such file"]);
    assert!(home.names().is_empty());
}

#[test]
fn help_and_version_end_with_0_and_help_lists_the_keys_of_the_configuration() {
    let version = run(["--version"]).ok();
    assert_eq!(version, format!("nixl-l2 {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["replay", "put", "get", "doctor", "bench"] {
        let help = run([command, "--help"]).ok();
        for part in ["Example:", "max_capacity_gb", "use_direct_io"] {
            assert!(help.contains(part), "{part} in {help}");
        }
        let short = run([command, "-h"]).ok();
        assert!(short.lines().count() < 45 && short.contains("Example:"), "{short}");
    }
}
