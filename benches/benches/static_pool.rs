//! `nixl_store` on files: a fragmented pool against a fresh one, and large files against LMCache's file for each page.
//!
//! Prints a table in Markdown, a line as soon as it is measured. See `docs/benchmarks.md`.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use benches::{Lengths, Object, Pairs, Past, Pool, Shape, Storage};
use clap::Parser;
use fastrand::Rng;
use l2_memory::Region;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// The pools of the first table.
const FILES: u64 = 64;
const FILE_BYTES: u64 = 4 << 20;
/// Bytes in a batch that is measured.
const BATCH: usize = 32 * MIB;
/// Bytes of the pools of the second table: in files of a page, 12 288 of them.
const SMALL_POOL: u64 = 48 << 20;

/// What is measured, and how full the pools are then, in per cent.
const CASES: [(Shape, &[u64]); 8] = [
    (replaced("1 MiB", Lengths::Equal(MIB)), &[80, 95]),
    (replaced("3 MiB", Lengths::Equal(3 * MIB)), &[80, 95]),
    (replaced("1 or 4 MiB", Lengths::Either(MIB, 4 * MIB)), &[80, 95]),
    (replaced("64 KiB to 4 MiB", Lengths::Between(64 * KIB, 4 * MIB)), &[80, 95]),
    (in_holes("1 MiB in holes of 64 KiB", 64 * KIB, MIB), &[80, 95]),
    (in_holes("4 MiB in holes of 64 KiB", 64 * KIB, 4 * MIB), &[95]),
    (in_holes("1 MiB in holes of 4 KiB", 4 * KIB, MIB), &[80, 95]),
    (
        Shape { past: Past::EverySecond, ..in_holes("1 MiB in single pages", 4 * KIB, MIB) },
        // Half of the pool, and what is measured.
        &[62],
    ),
];

const fn replaced(name: &'static str, lengths: Lengths) -> Shape {
    Shape { name, filled: lengths, past: Past::Replaced, measured: lengths }
}

const fn in_holes(name: &'static str, hole: usize, length: usize) -> Shape {
    Shape { name, filled: Lengths::Equal(hole), past: Past::Deleted, measured: Lengths::Equal(length) }
}

/// Compares fragmented pools of `nixl_store` with fresh ones, and files of 4 MiB with files of a page
#[derive(Parser)]
#[command(name = "cargo xtask bench static_pool", bin_name = "cargo xtask bench static_pool")]
struct Cli {
    /// Pairs to measure for each line
    #[arg(long, default_value_t = 11)]
    pairs: usize,
    /// Five times as many pairs
    #[arg(long)]
    long: bool,
    /// Only lines that hold this text, such as `direct` or `1 MiB`
    #[arg(long, default_value = "")]
    only: String,
    /// NIXL's io_uring queue instead of its default, Linux AIO
    #[arg(long)]
    uring: bool,
    /// Where the pools lie; beside the build by default
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let place = cli.dir.clone().unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let place =
        tempfile::tempdir_in(&place).with_context(|| format!("cannot write to {}", place.display()))?;
    let l1 = Region::allocate(2 * (BATCH + 4 * MIB))?;
    let storage = |direct| Storage { place: place.path().to_owned(), direct, uring: cli.uring };
    let storages = [storage(false), storage(true)];

    say(
        "| | I/O | objects | full | fresh GiB/s | fragmented GiB/s | ratio |\n|---|---|---|---|---|---|---|",
    )?;
    for storage in &storages {
        for (shape, fullness) in CASES {
            for &percent in fullness {
                fragmented(&cli, storage, &l1, shape, percent)?;
            }
        }
    }
    say(
        "\n| | I/O | objects | files of 4 MiB GiB/s | files of 4 KiB GiB/s | ratio |\n|---|---|---|---|---|---|",
    )?;
    for storage in &storages {
        a_file_for_each_page(&cli, storage, &l1)?;
    }
    Ok(())
}

/// The same objects in a fresh pool and in a fragmented one.
fn fragmented(cli: &Cli, storage: &Storage, l1: &Region, shape: Shape, percent: u64) -> Result<()> {
    let case = format!("{} | {} | {percent} %", io(storage), shape.name);
    if !case.contains(&cli.only) {
        return Ok(());
    }
    fill(l1, 1)?;
    let objects = shape.measured(BATCH);
    let (fresh, used) =
        (Pool::open(storage, FILES, FILE_BYTES, l1)?, Pool::open(storage, FILES, FILE_BYTES, l1)?);
    fresh.store(&objects)?;
    shape.fragment(&used, &objects, percent)?;
    compare(cli, &case, &objects, l1, [&fresh, &used])
}

/// The same objects in few files and in as many as they have pages, as LMCache has them by default.
fn a_file_for_each_page(cli: &Cli, storage: &Storage, l1: &Region) -> Result<()> {
    let case = format!("{} | 1 MiB", io(storage));
    if !case.contains(&cli.only) {
        return Ok(());
    }
    fill(l1, 1)?;
    let objects = replaced("", Lengths::Equal(MIB)).measured(BATCH);
    let open = |file_bytes: u64| Pool::open(storage, SMALL_POOL / file_bytes, file_bytes, l1);
    let (large, small) = (open(FILE_BYTES)?, open(4096)?);
    large.store(&objects)?;
    small.store(&objects)?;
    compare(cli, &case, &objects, l1, [&large, &small])
}

fn io(storage: &Storage) -> &'static str {
    if storage.direct { "direct" } else { "buffered" }
}

/// Bytes to store, others for each seed.
fn fill(l1: &Region, seed: u64) -> Result<()> {
    Rng::with_seed(seed).fill(l1.lease(0, l1.len())?.as_mut_slice().context("L1 is DRAM")?);
    Ok(())
}

/// Loads and stores in turn; both pools hold the objects.
fn compare(cli: &Cli, case: &str, objects: &[Object], l1: &Region, pools: [&Pool; 2]) -> Result<()> {
    let pairs = if cli.long { 5 * cli.pairs } else { cli.pairs };
    let verify = || pools.iter().try_for_each(|pool| pool.verify(objects)).context(case.to_owned());
    let [base, other] = pools;
    verify()?;
    let loads = Pairs::measure(pairs, || base.load(objects), || other.load(objects))?;
    line("load", case, objects, &loads)?;
    // Other bytes, so that a store that writes nothing is found out.
    fill(l1, 2)?;
    // What was deleted leaves the pages free that it had.
    let again = |pool: &Pool| pool.delete(objects).and_then(|()| pool.store(objects));
    let stores = Pairs::measure(pairs, || again(base), || again(other))?;
    line("store", case, objects, &stores)?;
    verify()
}

fn line(what: &str, case: &str, objects: &[Object], pairs: &Pairs) -> Result<()> {
    let mib: f64 = objects.iter().map(|object| object.length as f64 / MIB as f64).sum();
    let speed = |seconds: f64| mib / 1024.0 / seconds;
    let (base, other) = (speed(pairs.base_seconds().median), speed(pairs.other_seconds().median));
    say(format_args!("| {what} | {case} | {base:.2} | {other:.2} | {} |", pairs.ratio()))
}

fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
