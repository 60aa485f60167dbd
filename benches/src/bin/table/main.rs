//! `cargo xtask bench --table`: each of the project's bounds on speed, held against raw I/O in paired runs.
//!
//! A row is the median of the ratios of at least five pairs: ours and the raw way, in turn, in this process, on the same file
//! system. Loads from the page cache have the same number of threads and the same memory, too. Every byte that is loaded is compared
//! when the time is taken; what io_uring reads, once before. A bound that is missed is said and no error: the machine may be busy.

mod adapters;
mod bed;
mod cpu;
mod crew;
mod device;
mod interference;
mod latency;
mod loads;
mod lookup;
mod machine;
mod plain;
mod record;
mod replay;
mod row;
mod sizes;
mod stores;
mod table;
mod threads;
mod uring;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};
use benches::in_repository;
use clap::{Parser, value_parser};
use nixl_l2::HugePages;

use bed::Bed;
use machine::Machine;
use table::Table;

/// Fewest pairs that a ratio is the median of.
const FEWEST: i64 = 5;

/// Measure the adapters against raw I/O, row by row; fails on wrong bytes and errors, and not on a bound that is missed
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench --table", bin_name = "cargo xtask bench --table")]
struct Args {
    /// Only rows that hold this text, such as `load` or `32 MiB`
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Where the files lie; beside the build by default. About 14 GB are needed for the replay, 2 GB without it
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Pairs for each row; the replay has five
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(FEWEST..=1000))]
    pairs: u32,
    /// The trace of the replay, in the Mooncake format: ../shared/data/mooncake_conversation_trace.jsonl by default, seen from the
    /// repository; where that is not, the replay is left out
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Replay only the first N requests: the whole trace takes some forty minutes
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Instead of the table, measure loads over the size of an object, and draw them as SVG files into this directory, seen from the
    /// repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["only", "record", "trace", "requests"])]
    plots: Option<PathBuf>,
    /// Keep the run under benches/runs/DATE-MACHINE/, with the time in DATE
    #[arg(long)]
    record: bool,
}

/// Measures some rows.
type Group = fn(&Bed, &mut Table) -> Result<()>;
/// In the order of the table.
const GROUPS: [Group; 9] = [
    loads::dynamic,
    loads::pool,
    stores::measure,
    device::measure,
    latency::measure,
    lookup::measure,
    interference::measure,
    cpu::measure,
    threads::measure,
];

fn main() -> Result<()> {
    let args = Args::parse();
    let bed = Bed::make(args.dir.as_deref(), HugePages::default())?;
    let machine = Machine::describe(bed.place())?;
    if let Some(directory) = &args.plots {
        table::say(&machine)?;
        return sizes::measure(&bed, usize::try_from(args.pairs)?, &in_repository(directory));
    }
    if let Some(trace) = &args.trace {
        File::open(trace).with_context(|| format!("cannot read {}", trace.display()))?;
    }
    let mut table = Table::new(machine, &args.only, usize::try_from(args.pairs)?);
    for group in GROUPS {
        group(&bed, &mut table)?;
    }
    replay::measure(&bed, &mut table, args.trace.as_deref(), args.requests)?;
    table.end()?;
    if args.record {
        table::say(format_args!("\nkept in {}", record::keep(&table)?.display()))?;
    }
    Ok(())
}
