//! `nixl-l2 purge`: a tenant's or a model's objects erased, and the proof that nothing is left.

use anyhow::{Context, Result, bail};
use nixl_l2::KeyScope;
use nixl_l2::tools::{Erased, ObjectFilter, Traces};
use serde_json::{Value, json};

use super::cache::{CacheArg, Objects, must_be_whole, texts};
use super::consent::Consent;
use super::units::{count, objects};
use super::{print, print_lines};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 purge /data/l2 --salt alice --dry-run
  nixl-l2 purge /data/l2 --salt alice --model org/m --yes"#;

/// Erase all objects of a tenant or model, and prove that nothing is left
///
/// Also their records, what was set aside of them, and directories that have the name in their own; and temporaries of dead
/// processes, whoever's they were. Then the whole directory is gone through again. Where somebody stores anew meanwhile that is
/// removed, too, five times at most. What was removed is listed by its path. If anything is left it is named, and the exit code is 1.
/// Needs no NIXL.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    consent: Consent,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Whose {
    /// The tenant; "" is the one without a salt. With --model, only that model's objects of the tenant
    #[arg(long, value_name = "SALT")]
    salt: Option<String>,
    /// The model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    // A name that no key can have is a slip, which must not look like a proof.
    let (model, salt) = (args.whose.model.as_deref(), args.whose.salt.as_deref());
    KeyScope::new(model.unwrap_or("m"), 0, 0, salt.unwrap_or_default())
        .context("nothing can have this name")?;
    args.consent.must_be_possible()?;
    let cache = args.cache.open()?;
    let whose = ObjectFilter {
        model_name: args.whose.model.clone(),
        cache_salt: args.whose.salt.clone(),
        ..ObjectFilter::default()
    };
    let traces = cache.traces(&whose);
    args.consent.say(args.json, &trace_lines(&traces))?;
    let erased = match !traces.is_empty() && args.consent.ask(&format!("Erase this of {}?", named(args)))? {
        true => Some(cache.erase(&whose)?),
        false => None,
    };
    if args.json {
        print(as_json(args, &traces, erased.as_ref()))?;
    }
    match &erased {
        Some(erased) => verdict(args, erased),
        None if traces.is_empty() && !args.json => print(format_args!("nothing is there of {}", named(args))),
        None => must_be_whole(&traces.failures),
    }
}

fn named(args: &Args) -> String {
    let salt = args.whose.salt.as_ref().map(|salt| match salt.as_str() {
        "" => "the tenant without a salt".to_owned(),
        salt => format!("the tenant {salt:?}"),
    });
    let model = args.whose.model.as_ref().map(|model| format!("the model {model:?}"));
    salt.into_iter().chain(model).collect::<Vec<_>>().join(" and ")
}

fn trace_lines(traces: &Traces) -> Vec<String> {
    let mut lines = Vec::new();
    if traces.objects.objects > 0 {
        lines.push(objects(traces.objects));
    }
    if traces.set_aside.objects > 0 {
        lines.push(objects(traces.set_aside) + " set aside");
    }
    for (number, what) in [(traces.side_files, "side file"), (traces.directories, "directory")] {
        if number > 0 {
            lines.push(count(number, what));
        }
    }
    if traces.temporaries > 0 {
        lines.push(count(traces.temporaries as u64, "temporary") + " of dead processes, whoever's they were");
    }
    let lines = lines.iter().map(|line| format!("to erase: {line}"));
    lines
        .chain(traces.unfinished.iter().map(|path| format!("LMCache's own, not touched: {path:?}")))
        .collect()
}

fn verdict(args: &Args, erased: &Erased) -> Result<()> {
    if !args.json {
        print_lines(erased.removed.iter().map(|path| format!("removed: {path:?}")))?;
        print(format_args!(
            "erased: {}, {} set aside, {}, {}, {} of dead processes",
            objects(erased.objects),
            objects(erased.set_aside),
            count(erased.side_files, "side file"),
            count(erased.directories, "directory"),
            count(erased.temporaries as u64, "temporary"),
        ))?;
        if erased.came_meanwhile > 0 {
            let came = count(erased.came_meanwhile, "object");
            print(format_args!("{came} stored meanwhile, in {}", count(u64::from(erased.passes), "pass")))?;
        }
        print_lines(erased.left.iter().map(|left| format!("left: {left}")))?;
    }
    if !erased.is_proved() {
        let first = erased.left.first().map(ToString::to_string).unwrap_or_default();
        bail!(
            "not all of {} is erased: {} left; the first: {first}",
            named(args),
            count(erased.left.len() as u64, "thing")
        );
    }
    if args.json {
        return Ok(());
    }
    print(format_args!("looked through again: nothing is left of {}", named(args)))
}

fn as_json(args: &Args, traces: &Traces, erased: Option<&Erased>) -> Value {
    let counts = erased.map(|erased| {
        json!({
            "objects": Objects::from(erased.objects), "set_aside": Objects::from(erased.set_aside),
            "side_files": erased.side_files, "directories": erased.directories,
            "temporaries": erased.temporaries, "came_meanwhile": erased.came_meanwhile, "passes": erased.passes,
        })
    });
    let left = erased.map_or_else(|| texts(&traces.failures), |erased| texts(&erased.left));
    json!({
        "salt": args.whose.salt, "model": args.whose.model, "dry_run": args.consent.dry_run,
        "found": {
            "objects": Objects::from(traces.objects), "set_aside": Objects::from(traces.set_aside),
            "side_files": traces.side_files, "directories": traces.directories,
            "temporaries": traces.temporaries, "unfinished": traces.unfinished,
        },
        "erased": counts,
        "removed": erased.map_or(&[][..], |erased| &erased.removed),
        "left": left,
        "proved": erased.map_or(traces.is_empty(), Erased::is_proved),
    })
}
