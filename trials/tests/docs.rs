//! What the documentation says of tests.
#![expect(clippy::unwrap_used, reason = "what the tests share may fail loudly as well")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all tests in the sources below a directory that run by default.
fn tests_of(directory: &Path, found: &mut HashSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            tests_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.extend(text.split("#[test]").skip(1).filter_map(name_of));
            if path.to_string_lossy().contains("/l2-core/src/testing/conformance/") {
                // Each adapter's tests run them all.
                found.extend(text.split("pub fn ").skip(1).filter_map(up_to_bracket));
            }
        }
    }
}

/// Of what follows the mark of a test, unless it is ignored.
fn name_of(rest: &str) -> Option<String> {
    let (attributes, rest) = rest.split_once("fn ")?;
    up_to_bracket(rest).filter(|_| !attributes.contains("#[ignore"))
}

fn up_to_bracket(rest: &str) -> Option<String> {
    Some(rest.split_once('(')?.0.to_owned())
}

#[test]
fn every_test_that_the_table_of_defects_names_is_one() {
    let text = fs::read_to_string(root().join("docs/integrity.md")).unwrap();
    let mut tests = HashSet::new();
    for part in ["crates", "trials", "test-servers"] {
        tests_of(&root().join(part), &mut tests);
    }
    // In the table, what is in backticks and reads like a sentence is a test.
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let named: Vec<&str> = quoted.filter(|name| name.matches('_').count() > 3).collect();
    assert!(named.len() > 50, "{} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
