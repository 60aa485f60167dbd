//! `cargo xtask crash`: a process that stores, loads, deletes and evicts at full speed is killed at a random instant, and
//! started again on the same directory, again and again. After each kill every object that is served is right, nothing
//! temporary is left, and the bytes that are counted are those on the disk.
#![forbid(unsafe_code)]

mod after;
mod worker;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use l2_core::testing::fixtures::Seeded;
use trials::{Cache, Universe};

/// More than fit, so that something is evicted all the time.
const KEYS: u64 = 500;
const CAPACITY_BYTES: u64 = 6 << 20;
/// Rounds with one configuration, on one directory.
const ROUNDS_OF_ONE: u64 = 8;

/// Kill a process that uses a cache, start it again, and see whether all is well
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash")]
struct Args {
    /// Kills
    #[arg(long, default_value_t = 50)]
    rounds: u64,
    /// What the instants, the configurations and the work follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the cache directories are made (below the system's temporary directory by default)
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Be the process that is killed, with an adapter of this JSON
    #[arg(long, hide = true, requires = "directory")]
    work: Option<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let (Some(json), Some(directory)) = (&args.work, &args.directory) {
        worker::work(&Cache::of(directory, json, CAPACITY_BYTES), Universe::new(KEYS), args.seed);
        return Ok(ExitCode::FAILURE);
    }
    let home = match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let home = home.context("cannot make a directory for the caches")?;
    let mut out = std::io::stdout();
    let (mut served, mut random) = (0, Seeded::new(args.seed));
    for round in 0..args.rounds {
        let of_one = round / ROUNDS_OF_ONE;
        let directory = home.path().join(of_one.to_string());
        let cache =
            Cache::dynamic(&directory, CAPACITY_BYTES, args.seed.wrapping_mul(1000).wrapping_add(of_one));
        // Now and then two at once on the directory, each with a capacity of its own.
        let processes = if round % 5 == 4 { 2 } else { 1 };
        kill_some(&cache, processes, &mut random)?;
        let found = after::check(&cache, Universe::new(KEYS))
            .with_context(|| format!("round {round} of seed {}, with {}", args.seed, cache.json()))?;
        served += found;
        if round % ROUNDS_OF_ONE == ROUNDS_OF_ONE - 1 {
            std::fs::remove_dir_all(&directory)?;
            writeln!(out, "{} rounds: {served} objects served after kills, all of them right", round + 1)?;
        }
    }
    ensure!(args.rounds < 8 || served > 0, "nothing was ever served: the trial tried nothing");
    writeln!(out, "{} kills, {served} objects served after them, 0 wrong", args.rounds)?;
    Ok(ExitCode::SUCCESS)
}

/// Starts workers and kills them all at once.
fn kill_some(cache: &Cache, processes: u64, random: &mut Seeded) -> Result<()> {
    let workers = (0..processes).map(|_| start(cache.directory(), cache.json(), random.next_u64()));
    let mut workers = workers.collect::<Result<Vec<Child>>>()?;
    // Half of the time while they open, and half while they work.
    if random.below(2) == 0 {
        for worker in &mut workers {
            let mut line = String::new();
            let output = worker.stdout.take().context("no pipe")?;
            BufReader::new(output).read_line(&mut line)?;
            ensure!(line.trim() == worker::READY, "the worker could not open its cache");
        }
    }
    thread::sleep(Duration::from_micros(random.next_u64() % 300_000));
    for worker in &mut workers {
        if let Some(status) = worker.try_wait()? {
            anyhow::bail!("the worker ended by itself, with {status}: it found something wrong");
        }
        worker.kill()?;
    }
    for mut worker in workers {
        worker.wait()?;
    }
    Ok(())
}

fn start(directory: &Path, json: &str, seed: u64) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--directory").arg(directory).args(["--work", json, "--seed", &seed.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the worker")
}
