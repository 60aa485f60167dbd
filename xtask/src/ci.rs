//! `cargo xtask ci`: what CI runs, cheap steps first, stopping at the first that fails. It never writes sources.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::count;
use crate::python;
use crate::sanitize;
use crate::setup;
use crate::shell::{self, print, say};
use crate::tidy;
use crate::workspace::Workspace;

/// The command; `fast` leaves docs and sanitize out.
///
/// The last line on stdout is always `tests: N passed, N failed`, over all steps.
pub(crate) fn ci(workspace: &Workspace, fast: bool) -> Result<ExitCode> {
    let mut report = Report::default();
    let outcome = steps(workspace, fast, &mut report);
    say(format_args!("\n{}", report.table()));
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    };
    let Count { passed, failed } =
        report.steps.iter().fold(Count::default(), |sum, step| sum.plus(step.count));
    print(format_args!("tests: {passed} passed, {failed} failed"));
    Ok(code)
}

fn steps(workspace: &Workspace, fast: bool, report: &mut Report) -> Result<()> {
    report.step("format", |_| run(&mut workspace.cargo(&["fmt", "--all", "--check"])))?;
    report.step("setup", |_| setup::setup(workspace, false))?;
    let environment = setup::ensure(workspace)?;
    let cargo = |arguments: &[&str]| {
        let mut command = workspace.cargo(arguments);
        environment.apply(&mut command);
        command
    };
    report.step("tidy", |_| match tidy::tidy(workspace)? == ExitCode::SUCCESS {
        true => Ok(()),
        false => bail!("mend what tidy lists; `cargo xtask tidy` lists it again"),
    })?;
    report.step("clippy", |_| {
        run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    })?;
    if !fast {
        report.step("docs", |_| {
            run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-Dwarnings"))
        })?;
    }
    report.step("tests", |count| {
        run_tests(&mut cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]), count)
    })?;
    report.step("count", |_| count::count(workspace, false).map(|_| ()))?;
    report.step("python", |count| run_tests(&mut python::tests(workspace, &environment)?, count))?;
    if !fast {
        report.step("sanitize", |count| {
            sanitize::sanitize_by(workspace, false, &mut |command| run_tests(command, count))
        })?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    shell::run(command.stdin(Stdio::null()))
}

/// Runs a command that runs tests, passing on what it prints and adding up its results.
fn run_tests(command: &mut Command, count: &mut Count) -> Result<()> {
    let mut child = command
        // Proptest would write what failed beside the sources.
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shell::render(command)))?;
    let mut output = BufReader::new(child.stdout.take().context("no pipe for stdout")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        *count = count.plus(Count::read(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    shell::check(child.wait()?, command)
}

/// Results of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// Reads a line of libtest: `test result: ok. 3 passed; 0 failed; ...`; any other counts nothing.
    fn read(line: &str) -> Self {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return Self::default() };
        let number = |what: &str| {
            let before = result.split(what).next().filter(|before| before.len() < result.len())?;
            before.rsplit(' ').next()?.parse().ok()
        };
        Self { passed: number(" passed;").unwrap_or(0), failed: number(" failed;").unwrap_or(0) }
    }

    fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

struct Step {
    name: &'static str,
    took: Duration,
    count: Count,
    is_done: bool,
}

#[derive(Default)]
struct Report {
    steps: Vec<Step>,
}

impl Report {
    /// Runs one step under a heading, and remembers how it went.
    fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Count) -> Result<()>) -> Result<()> {
        say(format_args!("\n=== {name}"));
        let (start, mut count) = (Instant::now(), Count::default());
        let outcome = work(&mut count);
        self.steps.push(Step { name, took: start.elapsed(), count, is_done: outcome.is_ok() });
        outcome.with_context(|| format!("ci stopped at step {name}"))
    }

    fn table(&self) -> String {
        let mut table = format!("{:<10} {:>8}  {:>7}  {:>7}\n", "step", "seconds", "passed", "failed");
        for Step { name, took, count: Count { passed, failed }, is_done } in &self.steps {
            let mark = if *is_done { "" } else { "  FAILED" };
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{name:<10} {:>8.1}  {passed:>7}  {failed:>7}{mark}", took.as_secs_f64());
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, passed: u64, failed: u64) {
        assert_eq!(Count::read(line), Count { passed, failed }, "{line}");
    }

    #[test]
    fn libtests_result_lines_are_read_plain_and_coloured() {
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s",
            12,
            0,
        );
        check("test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 2 failed; 0 ignored; 0 measured\n", 3, 2);
    }

    #[test]
    fn other_lines_count_nothing() {
        check("test tests::the_result_is_right ... ok", 0, 0);
        check("the test result: ok. 1 passed; 1 failed", 0, 0);
        check("", 0, 0);
    }

    #[test]
    fn a_failed_step_is_in_the_table_and_ends_the_run() {
        let mut report = Report::default();
        let good = report.step("good", |count| {
            *count = Count { passed: 2, failed: 0 };
            Ok(())
        });
        assert!(good.is_ok());
        let error = report.step("bad", |_| bail!("`x` failed")).unwrap_err();
        assert_eq!(format!("{error:#}"), "ci stopped at step bad: `x` failed");
        let table = report.table();
        let lines = table.lines().collect::<Vec<_>>();
        assert!(lines[1].starts_with("good") && lines[1].ends_with("2        0"), "{table}");
        assert!(lines[2].starts_with("bad") && lines[2].ends_with("FAILED"), "{table}");
    }
}
