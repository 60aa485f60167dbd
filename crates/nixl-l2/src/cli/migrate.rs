//! `nixl-l2 migrate`: objects moved to the other layout, as `shard_dirs` has changed.

use anyhow::Result;
use nixl_l2::paths::Layout;
use nixl_l2::tools::{Migrated, MigrationPlan};
use serde_json::{Value, json};

use super::cache::{CacheArg, Objects, must_be_whole};
use super::consent::Consent;
use super::print;
use super::units::{count, objects};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 migrate /data/l2 --shard --dry-run
  nixl-l2 migrate /data/l2 --flat --yes"#;

/// Move the objects of a cache directory to the layout of "shard_dirs" true or false
///
/// Each by one rename, never over another, with its record; directories that this empties go. Ended in the middle, it does the
/// rest when it is run again. Where a key has an object in both layouts, that in the new one stays unless the other has a
/// better record or it is bad; what does not stay is removed if it has the same bytes, and set aside otherwise. Needs no NIXL.
///
/// An adapter sees one layout alone: end it, migrate, set "shard_dirs", and start it again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    consent: Consent,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// To the layout of "shard_dirs": "true"
    #[arg(long)]
    shard: bool,
    /// To the layout of "shard_dirs": "false", the default
    #[arg(long)]
    flat: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    args.consent.must_be_possible()?;
    let cache = args.cache.open()?;
    let to = if args.target.shard { Layout::Sharded } else { Layout::Flat };
    let plan = cache.plan_migration(to);
    args.consent.say(args.json, &plan_lines(&plan))?;
    let migrated = match plan.moves.objects > 0 && args.consent.ask("Move them?")? {
        true => Some(cache.migrate(&plan)?),
        false => None,
    };
    match &migrated {
        _ if args.json => print(as_json(args, &plan, migrated.as_ref()))?,
        Some(migrated) => print_migrated(migrated)?,
        None => {}
    }
    must_be_whole(&plan.failures)?;
    must_be_whole(migrated.as_ref().map_or(&[], |migrated| &migrated.failures))
}

fn plan_lines(plan: &MigrationPlan) -> Vec<String> {
    let moves = format!("to move: {}; in the layout already: {}", objects(plan.moves), objects(plan.stay));
    let taken = || format!("{} to move have another object in their place", count(plan.taken, "object"));
    [moves].into_iter().chain((plan.taken > 0).then(taken)).collect()
}

fn print_migrated(migrated: &Migrated) -> Result<()> {
    print(format_args!("moved: {}", objects(migrated.moved)))?;
    if migrated.same.objects > 0 {
        print(format_args!("removed, for there were two with the same bytes: {}", objects(migrated.same)))?;
    }
    if migrated.set_aside.objects > 0 {
        print(format_args!(
            "set aside, for there were two with other bytes: {}",
            objects(migrated.set_aside)
        ))?;
    }
    match migrated.gone {
        0 => Ok(()),
        gone => print(format_args!("{} gone, or stored anew, meanwhile", count(gone, "object"))),
    }
}

fn as_json(args: &Args, plan: &MigrationPlan, migrated: Option<&Migrated>) -> Value {
    let done = migrated.map(|migrated| {
        json!({
            "moved": Objects::from(migrated.moved), "same": Objects::from(migrated.same),
            "set_aside": Objects::from(migrated.set_aside), "gone": migrated.gone,
        })
    });
    let failures = plan.failures.iter().chain(migrated.iter().flat_map(|migrated| &migrated.failures));
    json!({
        "to": if args.target.shard { "sharded" } else { "flat" },
        "dry_run": args.consent.dry_run,
        "planned": Objects::from(plan.moves), "taken": plan.taken, "stay": Objects::from(plan.stay),
        "done": done,
        "failures": failures.map(ToString::to_string).collect::<Vec<_>>(),
    })
}
