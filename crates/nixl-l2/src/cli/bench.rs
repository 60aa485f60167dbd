//! `nixl-l2 bench`: what an adapter does on this machine, alone or against another configuration.

mod fit;
mod numbers;
mod round;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow, bail};
use clap::value_parser;
use nixl_l2::{AdapterConfig, Nixl, RecoverScan, set_apart};
use serde_json::json;

use self::numbers::{Compared, Numbers};
use self::round::{PASSES, Round, SINGLES};
use super::metrics::{Metrics, MetricsArg};
use super::session::{AdapterArg, listed, long_help};
use super::slots::Slots;
use super::{interrupt, print, progress};

const EXAMPLE: &str = r#"Example:
  nixl-l2 bench --object-bytes 8388608 --objects 128 --batch 32 \
    --l2-adapter '{"type": "nixl_store_dynamic", "backend": "POSIX",
      "backend_params": {"file_path": "/data/l2", "use_direct_io": "true",
      "max_capacity_gb": "10"}}'"#;

/// Measure an adapter: opening, stores, lookups, loads, deletes
///
/// Stores so many objects in batches, looks all up, loads all three times (the best pass counts), loads up to 200 one by
/// one, and deletes all. GB/s are 10⁹ bytes a second of the time in the adapter; making and comparing bytes is not in it.
/// Every byte of every load is compared with what was stored.
///
/// The objects have keys of their own and are deleted at the end, also after a failure or Ctrl-C (the second one ends at
/// once). Other objects are never touched: what lies in the directory is neither counted nor evicted, so that for this
/// while it may hold more than the capacity. In a bucket or container the bench has names of its own, which begin with
/// OBJECT_PREFIXnixl-l2-bench/HOST-PROCESS/ (OBJECT_PREFIX is that of the configuration, or else nixl-l2/); its objects
/// stay there, for NIXL deletes none.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = long_help(EXAMPLE))]
pub(crate) struct Args {
    #[command(flatten)]
    adapter: AdapterArg,
    /// Length of one object in bytes
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    object_bytes: u64,
    /// How many objects
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    objects: u32,
    /// How many objects are stored, looked up or loaded in one call; L1 has room for so many
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    batch: u32,
    /// The page of L1 in bytes, a power of two from 4096 on: each object begins at a multiple of it
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = value_parser!(u64).range(4096..=1 << 30))]
    l1_align_bytes: u64,
    /// Another configuration, measured in turns with the first (A B, B A, …); the result has the ratios of the second to the first
    #[arg(long, value_name = "JSON")]
    compare: Option<String>,
    /// How many turns each configuration gets with --compare
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(3..=1000), requires = "compare")]
    rounds: u32,
    /// Print one JSON object on the last line of stdout instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    metrics: MetricsArg,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let first = args.adapter.config()?;
    let second = args
        .compare
        .as_deref()
        .map(|json| AdapterConfig::parse(json).map_err(|faults| anyhow!("--compare: {}", listed(&faults))));
    let second = second.transpose()?;
    if !args.l1_align_bytes.is_power_of_two() {
        bail!("--l1-align-bytes {} is no power of two", args.l1_align_bytes);
    }
    for (name, config) in [("--l2-adapter", Some(&first)), ("--compare", second.as_ref())] {
        if let Some(config) = config
            && let Some(warning) = fit::check(config, args)?
        {
            print(format_args!("warning: {name}: {warning}"))?;
        }
    }
    let (objects, batch) =
        (usize::try_from(args.objects)?, usize::try_from(args.batch)?.min(usize::try_from(args.objects)?));
    let (bytes, alignment) = (usize::try_from(args.object_bytes)?, usize::try_from(args.l1_align_bytes)?);
    let slots = Slots::aligned(batch, bytes, alignment)?;
    // Before any clock runs.
    Nixl::load()?.silence();
    let stop = interrupt::watch()?;
    let configs: Vec<AdapterConfig> = [Some(first), second].into_iter().flatten().map(undisturbing).collect();
    let metrics = args.metrics.serve()?;
    let results = measure(&configs, &slots, (objects, batch), args.rounds, (&stop, metrics.as_ref()))?;
    report(args.json, &results)?;
    if let Some(metrics) = &metrics {
        metrics.linger(Some(&stop));
    }
    let wrong = results.iter().flatten().find_map(|numbers| numbers.first_mismatch.as_ref());
    match wrong {
        Some(wrong) => bail!("loaded wrong bytes: {wrong}"),
        None => Ok(()),
    }
}

/// The configuration with what is in its directory or bucket left alone: files are kept, not counted, and so not evicted;
/// objects of a pool have names that no server's have, on whatever machine it runs.
fn undisturbing(mut config: AdapterConfig) -> AdapterConfig {
    set_apart(&mut config, "nixl-l2-bench");
    if let AdapterConfig::Dynamic(dynamic) = &mut config {
        dynamic.persist_enabled = true;
        dynamic.recover_scan = RecoverScan::Off;
    }
    config
}

/// The numbers of each configuration, round by round.
fn measure(
    configs: &[AdapterConfig],
    slots: &Slots,
    (objects, batch): (usize, usize),
    rounds: u32,
    (stop, metrics): (&Arc<AtomicBool>, Option<&Metrics>),
) -> Result<Vec<Vec<Numbers>>> {
    let rounds = if configs.len() > 1 { rounds } else { 1 };
    let steps = objects * (PASSES + 3) + objects.min(SINGLES);
    let bar = progress::bar(steps as u64 * u64::from(rounds) * configs.len() as u64, "steps");
    let mut results = vec![Vec::new(); configs.len()];
    for round in 0..rounds {
        let mut turns: Vec<_> = configs.iter().zip(&mut results).collect();
        order(round, &mut turns);
        for (config, numbers) in turns {
            numbers.push(Round { config, slots, objects, batch, stop, metrics, bar: &bar }.run()?);
        }
    }
    Ok(results)
}

/// Whoever is first in one round is last in the next: what comes first may find a cold disk, or leave a busy one.
fn order<T>(round: u32, turns: &mut [T]) {
    if !round.is_multiple_of(2) {
        turns.reverse();
    }
}

fn report(as_json: bool, results: &[Vec<Numbers>]) -> Result<()> {
    match (results, as_json) {
        ([first, second], true) => {
            let Compared { a, b, ratios } = Compared::of(first, second);
            print(json!({"a": a, "b": b, "ratios": ratios}))
        }
        ([first, second], false) => print(Compared::of(first, second).table()),
        (results, true) => print(serde_json::to_string(&results.iter().flatten().next())?),
        (results, false) => match results.iter().flatten().next() {
            Some(numbers) => print(numbers.table()),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_first_alternates() {
        let turns = (0..4).flat_map(|round| {
            let mut turns = ['a', 'b'];
            order(round, &mut turns);
            turns
        });
        assert_eq!(turns.collect::<String>(), "abbaabba");
    }
}
