//! `cargo xtask count`: the instructions that the index and the policies take, held against those that are recorded.
//!
//! Unlike times they are nearly the same on every machine and beside every load, so that CI can fail when they grow. They
//! belong to one compiler: record them anew when the toolchain changes, or when more of them are worth it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::shell::{self, print, say};
use crate::workspace::{self, Workspace};

/// What was recorded, a line `INSTRUCTIONS CASE` each.
const RECORDED: &str = "benches/counts/recorded.txt";
/// Rounds of the two runs whose difference counts.
const ROUNDS: [u64; 2] = [2, 12];
/// How many more than recorded are too many, in percent: other versions of the system's allocator are within it.
const MARGIN: u64 = 10;
/// Callgrind takes fifty times as long as the program.
const LIMIT: Duration = Duration::from_secs(120);

/// The command; with `record`, what is counted is what is held against from now on.
pub(crate) fn count(workspace: &Workspace, record: bool) -> Result<ExitCode> {
    let valgrind = match setup::valgrind(workspace) {
        Ok(valgrind) => valgrind,
        Err(why) if record => return Err(why),
        Err(why) => {
            say(format_args!("count: SKIPPED: {why:#}"));
            return Ok(ExitCode::SUCCESS);
        }
    };
    // By itself, which takes seconds: neither NIXL nor the rest of the workspace is in it.
    let mut build = workspace.cargo(&["build", "--release", "--locked", "--package", "counts"]);
    let program = workspace::build_executable(&mut build, "counts", "counts")?;
    let cases = shell::capture(&mut Command::new(&program), LIMIT)?.stdout;
    let file = workspace.root().join(RECORDED);
    let before = read(&file)?;
    let mut text = String::new();
    let mut grown = Vec::new();
    print(format_args!("{:<40} {:>12} {:>12} {:>8}", "instructions of", "now", "recorded", "change"));
    for case in cases.lines() {
        let now = of_a_round(&valgrind, &program, case)?;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{now} {case}");
        let Some(&recorded) = before.get(case) else {
            print(format_args!("{case:<40} {now:>12} {:>12}", "-"));
            grown.push(case.to_owned());
            continue;
        };
        let change = 100.0 * (now as f64 / recorded as f64 - 1.0);
        print(format_args!("{case:<40} {now:>12} {recorded:>12} {change:>+7.1}%"));
        if is_too_many(now, recorded) {
            grown.push(case.to_owned());
        }
    }
    if record {
        fs::write(&file, text).with_context(|| format!("cannot write {RECORDED}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !grown.is_empty() {
        bail!(
            "more than {MARGIN} % above what is recorded, or not recorded: {}. Take it out again, or, if it is worth it, \
             `cargo xtask count --record` and say why in the commit",
            grown.join("; ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn is_too_many(now: u64, recorded: u64) -> bool {
    now > recorded + recorded * MARGIN / 100
}

/// What is recorded, by case; nothing where there is no file yet.
fn read(file: &Path) -> Result<BTreeMap<String, u64>> {
    if !file.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {RECORDED}"))?;
    let line = |line: &str| {
        let (count, case) = line.split_once(' ')?;
        Some((case.to_owned(), count.parse().ok()?))
    };
    text.lines().map(line).collect::<Option<_>>().with_context(|| format!("{RECORDED} is not understood"))
}

/// The instructions of one round of a case.
fn of_a_round(valgrind: &setup::Valgrind, program: &Path, case: &str) -> Result<u64> {
    let [few, many] = ROUNDS.map(|rounds| {
        let mut command = valgrind.command();
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(program).arg(case).arg(rounds.to_string());
        let done = shell::capture(&mut command, LIMIT)?;
        if !done.status.success() {
            bail!("`{}` failed: {}", shell::render(&command), done.reason());
        }
        collected(&done.stderr).with_context(|| format!("callgrind counted nothing of {case:?}"))
    });
    Ok((many? - few?) / (ROUNDS[1] - ROUNDS[0]))
}

/// The number in callgrind's line `==1== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let after = said.lines().find_map(|line| line.split_once("Collected :"))?.1;
    after.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_count_is_read() {
        let said = "==1== Callgrind\n==1== Events    : Ir\n==1== Collected : 12345\n==1==\n";
        assert_eq!(collected(said), Some(12345));
        assert_eq!(collected("==1== Collected : \n"), None);
        assert_eq!(collected(""), None);
    }

    #[test]
    fn a_tenth_more_is_within_the_margin_and_one_above_is_not() {
        assert!(!is_too_many(1100, 1000));
        assert!(is_too_many(1101, 1000));
        assert!(!is_too_many(1, 1000));
    }

    #[test]
    fn what_is_recorded_is_read_and_what_is_not_understood_is_an_error() {
        let file = std::env::temp_dir().join(format!("nixl-l2-count-{}", std::process::id()));
        assert!(read(&file).unwrap().is_empty());
        fs::write(&file, "12 pin and unpin\n7 scan\n").unwrap();
        let recorded = read(&file).unwrap();
        fs::write(&file, "pin 12\n").unwrap();
        let error = read(&file).unwrap_err();
        fs::remove_file(&file).unwrap();
        assert_eq!(recorded, BTreeMap::from([("pin and unpin".to_owned(), 12), ("scan".to_owned(), 7)]));
        assert!(error.to_string().contains("not understood"), "{error}");
    }
}
