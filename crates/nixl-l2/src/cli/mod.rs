//! The command line: what can be asked for, and how an answer or an error comes out.
//!
//! Each command is a module with its arguments and one function that runs it; what several share is below them. A
//! command prints its result on stdout and fails with an error, which is printed here: one line, exit code 1.

mod bench;
mod cache;
mod check;
mod consent;
mod content;
mod conversation;
mod demo;
mod doctor;
mod du;
mod gc;
mod get;
mod interrupt;
mod key;
mod ls;
mod metrics;
mod migrate;
mod pages;
mod progress;
mod purge;
mod put;
mod replay;
mod replayer;
mod session;
mod slots;
mod stat;
mod table;
mod tally;
mod trace;
mod units;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use signal_hook::consts::SIGXFSZ;
use tracing_subscriber::EnvFilter;

/// Names what is logged, in the form of tracing-subscriber's `EnvFilter`.
const LOG_VARIABLE: &str = "NIXL_L2_LOG";

/// Stores, looks up and loads KV cache chunks on storage, through NVIDIA's NIXL.
#[derive(Debug, Parser)]
#[command(
    name = "nixl-l2",
    version,
    arg_required_else_help = true,
    after_help = "Example: `nixl-l2 demo` shows the whole story in a temporary directory.\n\
                  Where NIXL is looked for: NIXL_LIB_DIR, the dynamic loader's path, NIXL_PREFIX, the Python wheel, \
                  and what `cargo xtask setup` fetched. NIXL_LOG_LEVEL=WARN shows NIXL's own messages."
)]
struct Cli {
    /// Log to stderr, as does setting NIXL_L2_LOG, which says what ("debug", "l2_dynamic=trace")
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

/// Each is described, for people too, where its arguments are.
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Doctor(doctor::Args),
    Bench(bench::Args),
    Replay(replay::Args),
    Put(put::Args),
    Get(get::Args),
    Ls(ls::Args),
    Du(du::Args),
    Stat(stat::Args),
    Verify(verify::Args),
    Gc(gc::Args),
    Purge(purge::Args),
    Migrate(migrate::Args),
    Demo(demo::Args),
}

/// Runs the command of this process's arguments.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version come this way too, with the exit code 0.
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let result = log(cli.verbose).and_then(|()| survive_file_size_limit()).and_then(|()| match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Put(args) => put::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Du(args) => du::run(&args),
        Command::Stat(args) => stat::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Gc(args) => gc::run(&args),
        Command::Purge(args) => purge::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Demo(args) => demo::run(&args),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves the exit code to say it.
            let _ = writeln!(io::stderr(), "nixl-l2: {}", one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// A file that passes the process's size limit (RLIMIT_FSIZE) is then an error of one write, like a full disk, instead
/// of a signal that ends the process.
fn survive_file_size_limit() -> Result<()> {
    let caught = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, caught).context("cannot catch SIGXFSZ")?;
    Ok(())
}

fn log(verbose: bool) -> Result<()> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(filter) => filter,
        Err(_) if verbose => "debug".to_owned(),
        Err(_) => return Ok(()),
    };
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("{LOG_VARIABLE}={filter:?}"))?;
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
    Ok(())
}

/// The text without anything that would end the line or move the cursor; messages may quote what a user gave.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.trim_end().chars().map(escaped).collect()
}

/// Writes lines to stdout, where results go.
fn print(text: impl std::fmt::Display) -> Result<()> {
    writeln!(io::stdout(), "{text}").context("cannot write to standard output")
}

/// Writes many lines to stdout, in few calls of the system.
fn print_lines<T: std::fmt::Display>(lines: impl IntoIterator<Item = T>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = lines.into_iter().try_for_each(|line| writeln!(out, "{line}"));
    written.and_then(|()| out.flush()).context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_sound_and_every_help_text_has_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for mut command in std::iter::once(command.clone()).chain(command.get_subcommands().cloned()) {
            let help = command.render_help().to_string();
            assert!(help.contains("Example") || command.get_name() == "help", "{help}");
        }
    }

    #[test]
    fn an_error_stays_on_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc\n"), "a\\nb\\u{1b}[2Jc");
    }
}
