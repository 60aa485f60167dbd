//! `cargo xtask`: the one door to NIXL's setup, the program, its tests and its checks.
//!
//! One module per command. This crate must build on a machine that has neither NIXL nor libclang, so it depends on no
//! other crate of the workspace.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod count;
mod lmcache;
mod python;
mod run;
mod sanitize;
mod setup;
mod shell;
mod test;
mod tidy;
mod venv;
mod wheel;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Setup, demo, tests and checks of nixl-l2."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch NIXL, libclang where this machine has none, and Azurite where npm is, into target/nixl-l2 (no root needed)
    Setup {
        /// Fetch again what is already in place
        #[arg(long)]
        force: bool,
    },
    /// Run `nixl-l2 demo`: store, hit, reject what does not fit, restart and recover, in under a minute once it is built
    #[command(disable_help_flag = true)]
    Demo {
        /// Arguments for `nixl-l2 demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run the `nixl-l2` command line with NIXL in place: `cargo xtask run -- replay --help`
    #[command(disable_help_flag = true)]
    Run {
        /// Arguments for `nixl-l2`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run an object-store server on loopback and print the `--l2-adapter` that uses it: `s3` or `azurite`
    #[command(disable_help_flag = true)]
    Server {
        /// Arguments for the server: `s3 [--root DIR] [--port N]` or `azurite [--root DIR]`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run every test, as `cargo test --workspace` does, and those of the Python package
    Test {
        /// Arguments for `cargo test`
        #[arg(allow_hyphen_values = true)]
        args: Vec<OsString>,
        /// Arguments for the test programs where `--` comes first (later it is among the others)
        #[arg(last = true)]
        program_args: Vec<OsString>,
    },
    /// Build the Python package as a wheel into target/wheels, and try it in a fresh virtual environment
    Wheel,
    /// Run benchmarks: `cargo xtask bench static_pool --help`; or `cargo xtask bench --table`, each bound on speed against raw I/O
    #[command(disable_help_flag = true)]
    Bench {
        /// One of those in benches/benches (all by default), or --table, and arguments for it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure memory, lookups and eviction of an index of ten thousand to ten million objects
    #[command(disable_help_flag = true)]
    Scale {
        /// Arguments: `--entries 10000,10000000` for other numbers
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Count the instructions of index and policies under callgrind; fail when they have grown by more than a tenth
    Count {
        /// Keep what is counted, to be held against from now on
        #[arg(long)]
        record: bool,
    },
    /// Kill a process that uses a cache, again and again, and see whether all is well: `--rounds N --seed S`
    #[command(disable_help_flag = true)]
    Crash {
        /// Arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Mix everything for a while on a cache whose files are damaged meanwhile: `--seconds N --seed S`
    #[command(disable_help_flag = true)]
    Soak {
        /// Arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run the Python plugin's tests on LMCache itself (5 GB under target/), or with `--bench` compare the two adapters
    Lmcache {
        /// Compare with LMCache's own adapters instead: a table on stdout, in a few minutes
        #[arg(long)]
        bench: bool,
        /// Arguments for pytest, or for the comparison (`cargo xtask lmcache --bench -- --help`)
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Run what CI runs: format, setup, tidy, clippy, docs, tests, count, python, sanitize
    Ci {
        /// Leave out docs and sanitize
        #[arg(long)]
        fast: bool,
    },
    /// Check what compilers do not: layering, file lengths, docs that name every crate (read-only)
    Tidy,
    /// Run the tests of the crates that hold `unsafe` under AddressSanitizer, and valgrind where installed
    Sanitize {
        /// Every crate and every property-test case, instead of the short form CI runs
        #[arg(long)]
        full: bool,
    },
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            shell::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup { force } => setup::setup(&workspace, force).map(|()| ExitCode::SUCCESS),
        Command::Demo { mut args } => {
            args.insert(0, "demo".into());
            run::run(&workspace, &args)
        }
        Command::Run { args } => run::run(&workspace, &args),
        Command::Server { args } => run::server(&workspace, &args),
        Command::Test { args, program_args } => test::test(&workspace, &args, &program_args),
        Command::Wheel => wheel::wheel(&workspace).map(|()| ExitCode::SUCCESS),
        Command::Bench { args } => {
            if let Some((first, args)) = args.split_first()
                && first == "--table"
            {
                return run::table(&workspace, args);
            }
            if args.first().is_some_and(|first| first == "--help" || first == "-h") {
                return bench::help(&workspace);
            }
            let named = args.split_first().filter(|(name, _)| !name.to_string_lossy().starts_with('-'));
            let (name, args) = named.map_or((None, args.as_slice()), |(name, args)| (Some(name), args));
            bench::bench(&workspace, name, args)
        }
        Command::Scale { args } => run::scale(&workspace, &args),
        Command::Count { record } => count::count(&workspace, record),
        Command::Crash { args } => run::trial(&workspace, "crash", &args),
        Command::Soak { args } => run::trial(&workspace, "soak", &args),
        Command::Lmcache { bench, args } => lmcache::lmcache(&workspace, bench, &args),
        Command::Ci { fast } => ci::ci(&workspace, fast),
        Command::Tidy => tidy::tidy(&workspace),
        Command::Sanitize { full } => sanitize::sanitize(&workspace, full).map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: &str) {
        let command = Cli::try_parse_from(line.split(' ')).unwrap().command;
        let (args, rest) = match command {
            Command::Demo { args }
            | Command::Run { args }
            | Command::Server { args }
            | Command::Scale { args }
            | Command::Crash { args }
            | Command::Soak { args }
            | Command::Bench { args } => (args, Vec::new()),
            Command::Test { args, program_args } => (args, program_args),
            _ => panic!("{line}"),
        };
        let words = args.into_iter().chain(["|".into()]).chain(rest).map(|word| word.into_string().unwrap());
        assert_eq!(words.collect::<Vec<_>>().join(" "), expect);
    }

    #[test]
    fn what_follows_a_command_is_passed_on_as_it_is() {
        check("xtask run -- replay --trace t --json", "replay --trace t --json |");
        check("xtask run replay -- --help", "replay -- --help |");
        check("xtask run -- --help", "--help |");
        check("xtask server s3 --port 9000", "s3 --port 9000 |");
        check("xtask scale --entries 10000", "--entries 10000 |");
        check("xtask demo --keep dir", "--keep dir |");
        check("xtask bench static_pool --long --only direct", "static_pool --long --only direct |");
        check("xtask bench static_pool --help", "static_pool --help |");
        check("xtask bench --table --only load --record", "--table --only load --record |");
        check("xtask bench", "|");
        check("xtask test -p l2-core name", "-p l2-core name |");
        check("xtask test -p l2-core -- --nocapture --exact", "-p l2-core -- --nocapture --exact |");
        check("xtask test -- --list", "| --list");
    }
}
