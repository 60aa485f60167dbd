//! `cargo xtask soak`: threads that mix all operations on a cache and a pool that are too small, while its files are damaged, removed and
//! replaced, its directory loses its rights or is removed, descriptors run out, and the plugin is slow or stuck. At the end
//! everything adds up.
#![forbid(unsafe_code)]

mod faults;
mod plugin;
mod sums;
mod work;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use l2_core::testing::fixtures::Seeded;
use plugin::Plugin;
use trials::{Cache, Universe};

const KEYS: u64 = 400;
/// More than the small disk of the tests has, less than all keys.
const CAPACITY_BYTES: u64 = 10 << 20;
const POOL_FILES: u64 = 2;
const THREADS: u64 = 4;

/// Mix everything for a while, with faults, and see whether it adds up
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak")]
struct Args {
    /// How long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// What the work, the faults and the configuration follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the cache directory is made (below the system's temporary directory by default)
    #[arg(long)]
    directory: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let Some(plugin) = Plugin::of_this_process() else {
        return plugin::with_slow_plugin(std::env::args_os().skip(1));
    };
    let plugin = plugin?;
    let home = match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let home = home.context("cannot make a directory for the cache")?;
    let cache = Cache::for_faults(&home.path().join("l2"), CAPACITY_BYTES, args.seed);
    let pool = Cache::pool_for_faults(&home.path().join("pool"), POOL_FILES);
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{}", cache.json(), pool.json())?;

    let before = sums::Process::now()?;
    let (host, slots) = (cache.host(), pool.host());
    let (universe, done) = (Universe::new(KEYS), AtomicBool::new(false));
    let tally = work::Tally::default();
    let made = thread::scope(|scope| {
        for thread in 0..THREADS {
            let (host, slots, tally, done) = (&host, &slots, &tally, &done);
            let mut random = Seeded::new(args.seed.wrapping_mul(100).wrapping_add(thread));
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    // The pool, one time in four.
                    let host = if random.below(4) == 0 { slots } else { host };
                    work::step(host, universe, &mut random, tally);
                }
            });
        }
        let until = Instant::now() + Duration::from_secs(args.seconds);
        let faults = faults::Faults { directory: cache.directory(), plugin: &plugin };
        let made = faults.make_until(until, &mut Seeded::new(args.seed), tally.ended());
        done.store(true, Ordering::Relaxed);
        made
    });
    writeln!(out, "{tally}; faults: {made}")?;
    tally.must_have_tried_everything()?;
    sums::must_add_up(&slots, universe, None)?;
    sums::must_add_up(&host, universe, Some(&cache))?;
    drop((host, slots));
    sums::must_be_as_before(&before)?;
    writeln!(out, "all adds up")?;
    Ok(ExitCode::SUCCESS)
}
