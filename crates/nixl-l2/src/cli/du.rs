//! `nixl-l2 du`: how much of a cache directory is whose.

use anyhow::Result;
use clap::ValueEnum;
use nixl_l2::tools::{DirectoryUsage, ObjectFilter, Share, UsageBy, UsageOf};
use serde_json::{Value, json};

use super::cache::{CacheArg, must_be_whole};
use super::{print, table};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 du /data/l2 --by salt
  nixl-l2 du /data/l2 --by model --json"#;

/// Add up the objects of a cache directory
///
/// "bytes" are lengths, as the adapter's capacity counts them; "on disk" is what the file system has reserved. Needs no NIXL,
/// and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    /// By which part of the key; in all, if not given
    #[arg(long, value_name = "PART")]
    by: Option<By>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The model's name
    Model,
    /// The tenant's salt
    Salt,
    /// "kv_rank"
    Rank,
    /// "object_group_id"
    Group,
}

impl By {
    fn usage(self) -> UsageBy {
        match self {
            Self::Model => UsageBy::Model,
            Self::Salt => UsageBy::Salt,
            Self::Rank => UsageBy::Rank,
            Self::Group => UsageBy::Group,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Salt => "salt",
            Self::Rank => "rank",
            Self::Group => "group",
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let usage = args.cache.open()?.usage(&ObjectFilter::default(), args.by.map(By::usage));
    if args.json { print(as_json(args.by, &usage)) } else { print(as_table(args.by, &usage)) }?;
    must_be_whole(&usage.failures)
}

fn as_json(by: Option<By>, usage: &DirectoryUsage) -> Value {
    let share = |share: &Share| json!({"objects": share.objects, "bytes": share.bytes, "disk_bytes": share.disk_bytes});
    let mut all = share(&usage.total);
    if let (Some(by), Some(object)) = (by, all.as_object_mut()) {
        let shares = usage.shares.iter().map(|(of, of_it)| {
            let mut line = share(of_it);
            let value = match of {
                UsageOf::Text(text) => json!(text),
                UsageOf::Number(number) => json!(number),
            };
            if let Some(line) = line.as_object_mut() {
                line.insert(by.name().to_owned(), value);
            }
            line
        });
        object.insert("by".to_owned(), json!(by.name()));
        object.insert("shares".to_owned(), shares.collect());
    }
    all
}

fn as_table(by: Option<By>, usage: &DirectoryUsage) -> comfy_table::Table {
    let mut table = table::plain([by.map_or("", By::name), "objects", "bytes", "on disk"]);
    let mut row = |name: String, share: &Share| {
        table.add_row([
            name,
            share.objects.to_string(),
            table::bytes(share.bytes),
            table::bytes(share.disk_bytes),
        ]);
    };
    for (of, share) in &usage.shares {
        let name = of.to_string();
        row(if name.is_empty() { "(none)".to_owned() } else { name }, share);
    }
    row("total".to_owned(), &usage.total);
    table
}
