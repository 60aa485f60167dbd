//! `cargo xtask scale`: what an index of ten million objects costs, beside one of ten thousand.
//!
//! Each size is measured in a process of its own, so that memory is counted from nothing. In it the index in question and
//! one of ten thousand objects are used in turn, so that the ratio of their times says something on a machine that others
//! use, too. The figures of the largest size are held against [`bounds`].

mod bounds;
mod measure;
mod world;

use std::io::Write as _;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;
use comfy_table::{Table, presets::ASCII_MARKDOWN};

use measure::Figures;

/// How often the largest size is measured before it has broken a bound: others who use the machine make figures worse, and
/// never better.
const TRIES: u32 = 3;

/// Measure index and eviction at growing numbers of objects; fail when the largest breaks a bound
#[derive(Debug, Parser)]
#[command(name = "cargo xtask scale")]
struct Args {
    /// Numbers of objects, one row each
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000, 10_000_000])]
    entries: Vec<u64>,
    /// Measure this number in this process, and print JSON
    #[arg(long, hide = true)]
    only: Option<u64>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let mut out = std::io::stdout();
    if let Some(entries) = args.only {
        writeln!(out, "{}", serde_json::to_string(&Figures::measure(entries)?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header([
        "objects",
        "bytes each, at the peak",
        "million keys/s: looked up and unlocked, looked up",
        "time against 10000, a prompt's keys: both, lookup",
        "any keys: both, lookup",
        "batch of 64: p50, p99 µs",
        "evict a tenth, s",
        "batch p99 meanwhile, µs",
    ]);
    let mut largest = Figures::default();
    for entries in args.entries {
        let figures = in_a_process_of_its_own(entries)?;
        table.add_row(figures.row());
        if figures.entries >= largest.entries {
            largest = figures;
        }
    }
    let mut broken = bounds::broken(&largest);
    for _ in 1..TRIES {
        if broken.is_empty() {
            break;
        }
        largest = in_a_process_of_its_own(largest.entries)?;
        table.add_row(largest.row());
        broken = bounds::broken(&largest);
    }
    writeln!(out, "{table}")?;
    for bound in &broken {
        writeln!(std::io::stderr(), "{} objects: {bound}", largest.entries)?;
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_a_process_of_its_own(entries: u64) -> Result<Figures> {
    let program = std::env::current_exe().context("which program is this?")?;
    let output = Command::new(program).arg("--only").arg(entries.to_string()).output()?;
    if !output.status.success() {
        bail!("{entries} objects: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("a measurement is not understood")
}
