//! What the documentation says of tests.
#![expect(clippy::unwrap_used, reason = "what the tests share may fail loudly as well")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all functions in the sources below a directory.
fn functions(directory: &Path, found: &mut HashSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let name = |rest: &str| rest.split('(').next().unwrap_or_default().to_owned();
            found.extend(text.split("fn ").skip(1).map(name));
        }
    }
}

#[test]
fn every_test_that_the_table_of_defects_names_is_one() {
    let text = fs::read_to_string(root().join("docs/INTEGRITY.md")).unwrap();
    let mut tests = HashSet::new();
    for part in ["crates", "trials", "test-servers"] {
        functions(&root().join(part), &mut tests);
    }
    // In the table, what is in backticks and reads like a sentence is a test.
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let named: Vec<&str> = quoted.filter(|name| name.matches('_').count() > 3).collect();
    assert!(named.len() > 50, "{} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
