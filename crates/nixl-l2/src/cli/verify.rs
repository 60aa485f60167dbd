//! `nixl-l2 verify`: whether the objects of a cache directory are what was stored.

use std::io::{self, IsTerminal};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use nixl_l2::tools::{BadObject, CacheDirectory, ObjectFilter, Repaired, Verified, VerifyTerms};
use serde_json::{Value, json};

use super::cache::{CacheArg, Objects, must_be_whole, texts};
use super::consent::Consent;
use super::units::{count, objects, parse_length};
use super::{print, print_lines};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 verify /data/l2 --rate-limit 200
  nixl-l2 verify /data/l2 --repair --dry-run"#;

/// Compare the objects of a cache directory with their records
///
/// Lengths and keys of all that have a record, and the bytes of those whose record has a checksum ("integrity": "checksum" in
/// the adapter's JSON). An empty file is bad. One without a record, as LMCache's are, is counted, and not bad. Needs no NIXL.
///
/// With --repair bad ones are moved to .nixl-l2/set-aside/N/ in the directory, under their own paths, where no lookup finds
/// them; `gc --set-aside` removes them. The exit code is 1 when bad ones were found, unless all were set aside.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    /// Objects of another length are bad, too: 4096, 512KiB, 2MiB
    #[arg(long, value_name = "N", value_parser = parse_length)]
    expect_bytes: Option<u64>,
    /// Read at most so many MiB a second
    #[arg(long, value_name = "MiB/s", value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit: Option<u32>,
    /// Set bad objects aside
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    consent: Consent,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.repair {
        args.consent.must_be_possible()?;
    } else if args.consent.dry_run || args.consent.yes {
        bail!("--dry-run and --yes are for --repair: without it nothing is changed");
    }
    let cache = args.cache.open()?;
    let terms = VerifyTerms {
        expect_bytes: args.expect_bytes,
        bytes_per_second: args.rate_limit.map(|rate| u64::from(rate) << 20),
    };
    let bar = progress_bar(&cache);
    let verified = cache.verify(&terms, &mut |bytes| bar.inc(bytes));
    drop(bar);
    let repairs = args.repair && !verified.bad.is_empty();
    if !args.json {
        print_lines(found_lines(&verified))?;
    } else if repairs {
        args.consent.say(true, &found_lines(&verified))?;
    }
    let repaired = match repairs {
        true => repair(args, &cache, &verified)?,
        false => None,
    };
    if args.json {
        print(as_json(args, &verified, repaired.as_ref()))?;
    }
    verdict(args, &verified, repaired.as_ref())
}

/// Sets the bad ones aside, if that is wanted.
fn repair(args: &Args, cache: &CacheDirectory, verified: &Verified) -> Result<Option<Repaired>> {
    let what = count(verified.bad.len() as u64, "bad object");
    if !args.consent.ask(&format!("Set {what} aside?"))? {
        if !args.json {
            print(format_args!("would set {what} aside"))?;
        }
        return Ok(None);
    }
    let repaired = cache.repair(&verified.bad);
    if !args.json {
        let line =
            |(object, aside): &(BadObject, String)| format!("set aside: {:?}, as {aside:?}", object.path);
        print_lines(repaired.set_aside.iter().map(line))?;
        if repaired.gone > 0 {
            print(format_args!("{} gone, or stored anew, since", count(repaired.gone, "object")))?;
        }
    }
    Ok(Some(repaired))
}

fn found_lines(verified: &Verified) -> Vec<String> {
    let bad = verified.bad.iter().map(|bad| format!("bad: {bad}"));
    let sums = [
        format!("right: {}", objects(verified.right)),
        format!("without a checksum: {}", objects(verified.no_checksum)),
        format!("no record: {}", objects(verified.no_record)),
        format!("bad: {}", count(verified.bad.len() as u64, "object")),
    ];
    bad.chain(sums).collect()
}

fn as_json(args: &Args, verified: &Verified, repaired: Option<&Repaired>) -> Value {
    let bad = verified
        .bad
        .iter()
        .map(|bad| json!({"path": bad.path, "fault": bad.fault.as_str(), "what": bad.fault.to_string()}));
    let set_aside = repaired.map(|repaired| {
        let moved = repaired.set_aside.iter().map(|(bad, aside)| json!({"path": bad.path, "to": aside}));
        moved.collect::<Vec<_>>()
    });
    let failures = verified.failures.iter().chain(repaired.iter().flat_map(|repaired| &repaired.failures));
    json!({
        "dry_run": args.consent.dry_run,
        "right": Objects::from(verified.right),
        "no_checksum": Objects::from(verified.no_checksum),
        "no_record": Objects::from(verified.no_record),
        "bad": bad.collect::<Vec<_>>(),
        "set_aside": set_aside,
        "failures": failures.map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn verdict(args: &Args, verified: &Verified, repaired: Option<&Repaired>) -> Result<()> {
    if let Some(repaired) = repaired {
        must_be_whole(&repaired.failures)?;
    } else if !verified.bad.is_empty() {
        let bad = count(verified.bad.len() as u64, "bad object");
        let first = verified.bad.first().map(ToString::to_string).unwrap_or_default();
        let how =
            if args.repair { "without --dry-run they are set aside" } else { "--repair sets them aside" };
        bail!("{bad}; the first: {first}; {how}");
    }
    if !verified.failures.is_empty() {
        bail!("not all could be checked: {}", texts(&verified.failures).join("; "));
    }
    Ok(())
}

/// A bar on a terminal, nothing elsewhere; it goes when dropped.
fn progress_bar(cache: &CacheDirectory) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:32} {bytes}/{total_bytes} ({eta} left)");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let total = cache.usage(&ObjectFilter::default(), None).total.bytes;
    ProgressBar::new(total).with_style(style).with_finish(ProgressFinish::AndClear)
}
