//! Rules for single files: what a Rust file begins with, how long it may be, and no machine's paths.

use super::{Finding, Source};

/// About one concept; longer is listed.
const TARGET_LINES: usize = 400;
/// Longer is refused.
const MOST_LINES: usize = 500;
/// The crates that may hold `unsafe`.
const WITH_UNSAFE: [&str; 3] = ["l2-memory", "l2-python", "nixl-safe"];
/// The home of root. In two parts, for this file is searched too.
const ROOT_HOME: &str = concat!("/ro", "ot/");

/// Checks every file by itself.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(machine_path(source));
        if source.path.ends_with(".rs") {
            findings.extend(rust_file(source));
        }
    }
    findings
}

/// The Rust files above the length that is aimed at, though not refused.
pub(crate) fn long(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let counted = rust.map(|source| (source, source.text.lines().count()));
    let long = counted.filter(|(_, lines)| (TARGET_LINES + 1..=MOST_LINES).contains(lines));
    long.map(|(source, lines)| {
        Finding::new(&source.path, lines, format!("{lines} lines; aim at {TARGET_LINES}"))
    })
    .collect()
}

fn rust_file(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.text.starts_with("//!") {
        findings.push(Finding::new(
            &source.path,
            1,
            "the first line is not `//!`; say there what the file is about",
        ));
    }
    let lines = source.text.lines().count();
    if lines > MOST_LINES {
        let what = format!("{lines} lines, and {MOST_LINES} is the most; split it by concept");
        findings.push(Finding::new(&source.path, lines, what));
    }
    if is_root_of_safe_crate(&source.path)
        && !source.text.lines().any(|line| line == "#![forbid(unsafe_code)]")
    {
        let what = format!(
            "no `#![forbid(unsafe_code)]`; add it, for only {} may hold unsafe",
            WITH_UNSAFE.join(" and ")
        );
        findings.push(Finding::new(&source.path, 1, what));
    }
    findings
}

/// Where a crate, or one of its programs, states what holds for all of it.
fn is_root_of_safe_crate(path: &str) -> bool {
    let Some((package, file)) = path.split_once("/src/") else { return false };
    let is_root = match file.strip_prefix("bin/") {
        Some(program) => !program.contains('/') || program.ends_with("/main.rs"),
        None => file == "lib.rs" || file == "main.rs",
    };
    let is_safe = package
        .strip_prefix("crates/")
        .map_or(["test-servers", "trials", "xtask"].contains(&package), |name| !WITH_UNSAFE.contains(&name));
    is_root && is_safe
}

fn machine_path(source: &Source) -> Option<Finding> {
    let names_home = |line: &str| {
        let homes = line.split("/home/").skip(1);
        let mut users = homes.map(|rest| rest.split_once('/').map_or("", |(user, _)| user));
        users.any(|user| {
            !user.is_empty()
                && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
    };
    let index = source.text.lines().position(|line| line.contains(ROOT_HOME) || names_home(line))?;
    Some(Finding::new(
        &source.path,
        index + 1,
        "a path of one machine; write it relative to the workspace, or make it up",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_file(path: &str, text: &str, expect: &[&str]) {
        let found = check(&[Source { path: path.into(), text: text.into() }]);
        let found = found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{found}");
        }
    }

    #[test]
    fn every_rust_file_begins_with_its_subject() {
        check_file("crates/a/tests/t.rs", "//! About t.\n", &[]);
        check_file(
            "crates/a/tests/t.rs",
            "use a;\n",
            &["crates/a/tests/t.rs:1: the first line is not `//!`"],
        );
        check_file("crates/a/tests/t.rs", "", &["the first line"]);
        check_file("script.py", "import a\n", &[]);
    }

    #[test]
    fn length_is_listed_above_400_and_refused_above_500() {
        for (lines, listed, refused) in [(400, 0, 0), (401, 1, 0), (500, 1, 0), (501, 0, 1)] {
            let source = Source { path: "a.rs".into(), text: "//! a\n".repeat(lines) };
            assert_eq!(long(std::slice::from_ref(&source)).len(), listed, "{lines}");
            assert_eq!(check(&[source]).len(), refused, "{lines}");
        }
    }

    #[test]
    fn only_two_crates_may_hold_unsafe() {
        let (without, with) = ("//! a\n", "//! a\n#![forbid(unsafe_code)]\n");
        check_file("crates/l2-core/src/lib.rs", with, &[]);
        check_file("crates/l2-core/src/lib.rs", without, &["forbid(unsafe_code)"]);
        check_file("crates/nixl-l2/src/main.rs", without, &["forbid(unsafe_code)"]);
        check_file("crates/nixl-l2/src/bin/nixl-l2.rs", without, &["forbid(unsafe_code)"]);
        check_file("crates/nixl-l2/src/bin/tool/parts.rs", without, &[]);
        check_file("crates/nixl-safe/src/lib.rs", without, &[]);
        check_file("crates/l2-memory/src/lib.rs", without, &[]);
        check_file("crates/l2-core/src/key.rs", without, &[]);
    }

    #[test]
    fn paths_of_a_machine_are_found_in_any_file() {
        check_file("README.md", &format!("a\nsee {ROOT_HOME}x\n"), &["README.md:2: a path of one machine"]);
        check_file("a.toml", &format!("x = '/home/{}/y'\n", "ada"), &["a.toml:1:"]);
        check_file("a.toml", "x = '/home/<name>/y' # /home/ is where they live\n", &[]);
    }
}
