//! `nixl-l2 replay`: a trace of a real service, played on an adapter.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::value_parser;
use nixl_l2::{L2Adapter, L2Listener, ObjectKey};

use super::metrics::MetricsArg;
use super::replayer::Replayer;
use super::session::{AdapterArg, LIMIT, long_help, open_each};
use super::slots::Slots;
use super::tally::{Each, Run, Summary, Tally};
use super::trace::{Survey, Trace};
use super::{print, progress};

/// Whose blocks the trace's are, in the keys that they are stored under.
const MODEL: &str = "mooncake/conversation";
/// Largest block, in bytes.
const BLOCK_MAX: i64 = 1 << 30;

const EXAMPLE: &str = r#"Example:
  nixl-l2 replay --trace conversation.jsonl --verify \
    --l2-adapter '{"type": "nixl_store_dynamic", "backend": "POSIX",
      "backend_params": {"file_path": "/data/l2", "use_direct_io": "false",
      "max_capacity_gb": "10"}}'"#;

/// Replay a trace of requests: load the prefix that is there, store the rest
///
/// For each request in turn: looks all its blocks up and pins them, loads the leading run that is there, gives the pins
/// back, and stores every block that is missing.
///
/// A block's bytes derive from its key and length, so that --verify can check every byte that is loaded, also in a
/// later run over the same files. The rates count the time in the adapter's loads and stores, in 10⁹ bytes a second;
/// making and checking bytes is not in them. A run in which no block could be stored, by an error, has the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = long_help(EXAMPLE))]
pub(crate) struct Args {
    /// The trace, in the Mooncake format: one JSON object a line, with the block ids of a request in "hash_ids"
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Length of a block in bytes
    #[arg(long, value_name = "N", default_value_t = 65536, value_parser = value_parser!(u32).range(1..=BLOCK_MAX))]
    block_bytes: u32,
    /// Replay only the first N requests
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Check every byte that is loaded; a wrong one makes the exit code 1
    #[arg(long)]
    verify: bool,
    /// Print one JSON object on the last line of stdout instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    metrics: MetricsArg,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let configs = args.adapter.configs()?;
    let survey = Survey::of(&args.trace, args.requests)?;
    let slots = Slots::allocate(survey.largest, usize::try_from(args.block_bytes)?)?;
    let metrics = args.metrics.serve()?;
    let opened = open_each(&configs, slots.region(), usize::try_from(args.block_bytes)?)?;
    let adapter = Arc::clone(&opened.all);
    if let Some(metrics) = &metrics {
        metrics.watch(opened.each.clone());
    }
    let deletions = Arc::new(Deletions::default());
    adapter.add_listener(Arc::clone(&deletions) as Arc<dyn L2Listener>);

    let start = Instant::now();
    let mut replayer = Replayer::new(&*adapter, &slots, MODEL, args.verify)?;
    let bar = progress::bar(survey.requests, "requests");
    for request in Trace::open(&args.trace, args.requests)? {
        let request = request?;
        replayer
            .play(&request.blocks)
            .map_err(|error| error.context(format!("request of line {}", request.line)))?;
        bar.set_message(format!("{:.2} % hits", 100.0 * replayer.tally().hit_rate()));
        bar.inc(1);
    }
    drop(bar);
    wait_until_counted(&*adapter)?;
    let elapsed_s = start.elapsed().as_secs_f64();
    // With it eviction ends: what is read after it belongs together. What closing deletes is nobody told of, and still counts.
    adapter.close()?;
    let usage = adapter.usage();
    if let Some(metrics) = &metrics {
        metrics.freeze();
    }
    let run = Run {
        block_bytes: args.block_bytes.into(),
        verified: args.verify,
        evicted: deletions.0.load(Ordering::Relaxed),
        elapsed_s,
        usage_bytes: usage.used_bytes,
        capacity_bytes: usage.capacity_bytes,
        adapters: opened.shortfalls().into_iter().map(Each::from).collect(),
    };
    let summary = Summary::new(replayer.tally().clone(), run);
    report(args.json, &summary)?;
    if let Some(metrics) = &metrics {
        metrics.linger(None);
    }
    verdict(&summary.tally)
}

/// Waits for the adapter to have counted what an earlier run left, so that its usage is right.
fn wait_until_counted(adapter: &dyn L2Adapter) -> Result<()> {
    let start = Instant::now();
    while adapter.status().recovering {
        if start.elapsed() > LIMIT {
            bail!("what is in the directory was not counted within {} s", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn report(json: bool, summary: &Summary) -> Result<()> {
    if json {
        return print(serde_json::to_string(summary)?);
    }
    print(summary.table())?;
    print(format_args!("{:.1} s in all", summary.elapsed_s()))?;
    for (number, error) in summary.first_errors() {
        print(format_args!("first error of adapter {number} alone: {error}"))?;
    }
    match &summary.tally.first_error {
        Some(error) => print(format_args!("first error: {error}")),
        None => Ok(()),
    }
}

fn verdict(tally: &Tally) -> Result<()> {
    let failed = tally.store_failed - tally.rejected;
    if failed > 0 && tally.stored + tally.already_present == 0 {
        let first = tally.first_error.as_deref().unwrap_or("no reason was given");
        bail!("nothing could be stored: {failed} blocks failed; the first: {first}");
    }
    match &tally.first_mismatch {
        Some(first) => bail!("{} blocks were loaded with wrong bytes; the first: {first}", tally.mismatches),
        None => Ok(()),
    }
}

/// Counts the objects that went.
#[derive(Debug, Default)]
struct Deletions(AtomicU64);

impl L2Listener for Deletions {
    fn on_stored(&self, _: &[(ObjectKey, u64)], _: bool) {}

    fn on_accessed(&self, _: &[ObjectKey]) {}

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.0.fetch_add(objects.len() as u64, Ordering::Relaxed);
    }

    fn hears_accesses(&self) -> bool {
        false
    }

    fn hears_what_is_there(&self) -> bool {
        false
    }
}
