//! `nixl-l2 gc`: what is of no use goes, and what is old or too much, if asked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use nixl_l2::tools::{SweepPlan, SweepTerms, Swept};
use serde_json::{Value, json};

use super::cache::{CacheArg, Objects, must_be_whole};
use super::consent::Consent;
use super::units::{count, objects, parse_bytes, parse_span};
use super::{print, table};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 gc /data/l2 --dry-run
  nixl-l2 gc /data/l2 --older-than 7d --to-bytes 500GiB --yes"#;

/// Remove what is of no use from a cache directory, and what is old or too much
///
/// Always: temporaries of processes that have ended (never one of a running process), and records whose object is gone, once
/// they are an hour old. A running adapter finds out that an object is gone when it is asked for it. Needs no NIXL.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    /// Remove objects that were stored longer ago than this: 36h, 7d
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    older_than: Option<Duration>,
    /// Remove those stored first until the rest is at most this: 4096, 500GiB, 2TB
    #[arg(long, value_name = "N", value_parser = parse_bytes)]
    to_bytes: Option<u64>,
    /// Remove what `verify --repair` or `migrate` set aside
    #[arg(long)]
    set_aside: bool,
    #[command(flatten)]
    consent: Consent,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    args.consent.must_be_possible()?;
    let cache = args.cache.open()?;
    let before = |span| SystemTime::now().checked_sub(span).unwrap_or(UNIX_EPOCH);
    let terms = SweepTerms {
        modified_before: args.older_than.map(before),
        to_bytes: args.to_bytes,
        set_aside: args.set_aside,
    };
    let plan = cache.plan_sweep(&terms);
    args.consent.say(args.json, &plan_lines(args, &plan))?;
    let swept = match !plan.is_empty() && args.consent.ask("Remove this?")? {
        true => Some(cache.sweep(&plan)),
        false => None,
    };
    match &swept {
        _ if args.json => print(as_json(args, &plan, swept.as_ref()))?,
        Some(swept) => print_swept(swept)?,
        None => {}
    }
    must_be_whole(&plan.failures)?;
    must_be_whole(swept.as_ref().map_or(&[], |swept| &swept.failures))
}

fn plan_lines(args: &Args, plan: &SweepPlan) -> Vec<String> {
    let mut lines = Vec::new();
    if plan.temporaries > 0 {
        lines.push(count(plan.temporaries as u64, "temporary") + " of dead processes");
    }
    if plan.side_files > 0 {
        lines.push(count(plan.side_files as u64, "record") + " without an object");
    }
    if plan.old.objects > 0 {
        let age = args.older_than.map(humantime::format_duration);
        lines.push(format!(
            "{} older than {}",
            objects(plan.old),
            age.map(|age| age.to_string()).unwrap_or_default()
        ));
    }
    if plan.over.objects > 0 {
        let most = table::bytes(args.to_bytes.unwrap_or_default());
        lines.push(format!("{} stored first, for the rest to be at most {most}", objects(plan.over)));
    }
    if plan.set_aside.objects > 0 {
        lines.push(format!("{} set aside", objects(plan.set_aside)));
    }
    if lines.is_empty() {
        return vec![format!("nothing to remove; {} stay", objects(plan.stay))];
    }
    let lines = lines.iter().map(|line| format!("to remove: {line}"));
    lines.chain([format!("to stay: {}", objects(plan.stay))]).collect()
}

fn print_swept(swept: &Swept) -> Result<()> {
    print(format_args!(
        "removed: {}, {}, {}, {} set aside",
        objects(swept.objects),
        count(swept.temporaries as u64, "temporary"),
        count(swept.side_files, "record"),
        objects(swept.set_aside),
    ))?;
    match swept.spared {
        0 => Ok(()),
        spared => print(format_args!("{} gone, or stored anew, meanwhile", count(spared, "object"))),
    }
}

fn as_json(args: &Args, plan: &SweepPlan, swept: Option<&Swept>) -> Value {
    let removed = swept.map(|swept| {
        json!({
            "temporaries": swept.temporaries, "side_files": swept.side_files,
            "objects": Objects::from(swept.objects), "set_aside": Objects::from(swept.set_aside),
            "spared": swept.spared,
        })
    });
    let failures = plan.failures.iter().chain(swept.iter().flat_map(|swept| &swept.failures));
    json!({
        "dry_run": args.consent.dry_run,
        "planned": {
            "temporaries": plan.temporaries, "side_files": plan.side_files, "old": Objects::from(plan.old),
            "over": Objects::from(plan.over), "set_aside": Objects::from(plan.set_aside),
        },
        "stay": Objects::from(plan.stay),
        "removed": removed,
        "failures": failures.map(ToString::to_string).collect::<Vec<_>>(),
    })
}
