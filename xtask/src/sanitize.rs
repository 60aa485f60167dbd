//! `cargo xtask sanitize`: the tests of the crates that hold `unsafe`, watched by AddressSanitizer and by valgrind.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::{self, CargoEnv};
use crate::shell::{self, say};
use crate::workspace::{self, Workspace};

/// Who holds `unsafe`, but for `l2-python`, which runs in a Python alone.
const CRATES: [&str; 4] = ["-p", "nixl-safe", "-p", "l2-memory"];
/// Everything that can run NIXL; xtask and the benches have nothing to watch.
const ALL_CRATES: [&str; 5] = ["--workspace", "--exclude", "xtask", "--exclude", "benches"];
/// The test binary that drives the real NIXL, run once under memcheck too.
const REAL_NIXL: (&str, &str) = ("nixl-safe", "real_nixl");
/// Enough to see a bad access, which does not hide in one case out of thousands.
const SHORT_PROPTEST_CASES: &str = "32";

/// The command: the short form, or with `full` every crate and every property-test case.
pub(crate) fn sanitize(workspace: &Workspace, full: bool) -> Result<()> {
    sanitize_by(workspace, full, &mut shell::run)
}

/// As [`sanitize`], with the caller's way of running the two commands.
pub(crate) fn sanitize_by(
    workspace: &Workspace,
    full: bool,
    run: &mut dyn FnMut(&mut Command) -> Result<()>,
) -> Result<()> {
    let environment = setup::ensure(workspace)?;
    say("sanitize: AddressSanitizer");
    run(&mut address_sanitizer(workspace, full, &environment)?)?;
    match memcheck(workspace, &environment)? {
        Ok(mut command) => {
            say("sanitize: valgrind's memcheck, with the real NIXL");
            run(&mut command)
        }
        Err(why) => {
            say(format_args!("sanitize: memcheck SKIPPED: {why}"));
            Ok(())
        }
    }
}

fn address_sanitizer(workspace: &Workspace, full: bool, environment: &CargoEnv) -> Result<Command> {
    let mut command = workspace.cargo(&["test", "--tests", "--target", &workspace::host()?]);
    command.args(if full { &ALL_CRATES[..] } else { &CRATES[..] });
    // A target directory of its own: other flags would rebuild everything back and forth.
    command.arg("--target-dir").arg(workspace.target_dir()?.join("sanitize"));
    environment.apply(&mut command);
    // The sanitizer is a nightly flag that this stable toolchain carries.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Leaks too: NIXL's own libraries leave none at exit.
    command.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1");
    if !full && env::var_os("PROPTEST_CASES").is_none() {
        command.env("PROPTEST_CASES", SHORT_PROPTEST_CASES);
    }
    Ok(command)
}

/// The command, or why there is none here.
fn memcheck(workspace: &Workspace, environment: &CargoEnv) -> Result<Result<Command, String>> {
    let (package, test) = REAL_NIXL;
    if !workspace.root().join(format!("crates/{package}/tests/{test}.rs")).is_file() {
        return Ok(Err(format!("{package} has no test {test}")));
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(Err("valgrind is not installed (Debian, Ubuntu: `apt-get install valgrind`)".into()));
    }
    // As `cargo xtask test` builds it: a part of the workspace alone would get other features and be built once more.
    let mut build = workspace.cargo(&["test", "--workspace", "--no-run"]);
    environment.apply(&mut build);
    let program =
        workspace::build_executable(&mut build, package, test).context("memcheck needs the test binary")?;
    let suppressions = workspace.root().join("xtask/memcheck.supp");
    let mut command = Command::new("valgrind");
    // A fair scheduler gives every thread its turn: without it, races between threads seldom show.
    command.args(["--quiet", "--fair-sched=yes", "--error-exitcode=1", "--num-callers=30"]);
    command.arg(format!("--suppressions={}", suppressions.display()));
    // One thread: valgrind runs one at a time anyway, and its reports then belong to the test just named.
    command.arg(program).arg("--test-threads=1").current_dir(workspace.root().join("crates").join(package));
    environment.apply(&mut command);
    Ok(Ok(command))
}
