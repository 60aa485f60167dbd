//! `nixl-l2 ls`: which objects are in a cache directory.

use anyhow::{Result, bail};
use nixl_l2::paths::path_to_key;
use nixl_l2::tools::{Amount, FoundObject, Listing, ObjectFilter};
use serde::Serialize;

use super::cache::{CacheArg, must_be_whole};
use super::key::KeyText;
use super::units::{objects, parse_number, time};
use super::{print, print_lines};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 ls /data/l2
  nixl-l2 ls /data/l2 --model org/m --salt alice --limit 1000 --json"#;

/// List the objects of a cache directory
///
/// In the order of their paths, byte by byte, with length, time of the last change (UTC) and key. With --limit the last line
/// says where the next page starts; pages join up, whatever is stored and removed meanwhile. Needs no NIXL, and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    /// Only objects of this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only objects of this tenant; "" is the one without a salt
    #[arg(long, value_name = "SALT")]
    salt: Option<String>,
    /// Only objects of this rank, as "kv_rank" has it, or after 0x as names and this list do
    #[arg(long, value_name = "N", value_parser = parse_number)]
    rank: Option<u64>,
    /// Only objects of this group, as "object_group_id" has it, or after 0x as names and this list do
    #[arg(long, value_name = "N", value_parser = parse_number)]
    group: Option<u64>,
    /// Only objects whose chunk hash starts with these hexadecimal digits
    #[arg(long, value_name = "HEX")]
    prefix: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<std::num::NonZeroUsize>,
    /// Go on after what an earlier page ended with
    #[arg(long, value_name = "TEXT")]
    cursor: Option<String>,
    /// Print one JSON object a line, and {"cursor": …} last, which is null at the end
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    path: &'a str,
    key: KeyText<'a>,
    bytes: u64,
    modified: String,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let filter = filter(args)?;
    if let Some(cursor) = &args.cursor
        && path_to_key(cursor.as_ref()).is_none()
    {
        bail!("--cursor {cursor:?} is not one that ls has printed");
    }
    let limit = args.limit.map(std::num::NonZeroUsize::get);
    let listing = args.cache.open()?.list(&filter, args.cursor.as_deref(), limit);
    if args.json { print_json(&listing) } else { print_text(&listing) }?;
    must_be_whole(&listing.failures)
}

fn filter(args: &Args) -> Result<ObjectFilter> {
    if let Some(prefix) = &args.prefix
        && !prefix.bytes().all(|digit| digit.is_ascii_hexdigit())
    {
        bail!("--prefix {prefix:?} has something in it that is no hexadecimal digit");
    }
    Ok(ObjectFilter {
        model_name: args.model.clone(),
        cache_salt: args.salt.clone(),
        kv_rank: args.rank,
        object_group_id: args.group,
        chunk_hash_prefix: args.prefix.as_ref().map(|prefix| prefix.to_ascii_lowercase()),
    })
}

fn print_json(listing: &Listing) -> Result<()> {
    let line = |FoundObject { path, key, bytes, modified }: &FoundObject| {
        serde_json::to_string(&Line { path, key: key.into(), bytes: *bytes, modified: time(*modified) })
    };
    let lines = listing.objects.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    print_lines(lines)?;
    print(serde_json::json!({"cursor": listing.next}))
}

fn print_text(listing: &Listing) -> Result<()> {
    let width = listing.objects.iter().map(|object| object.bytes).max().unwrap_or(0).to_string().len().max(5);
    let lines = listing
        .objects
        .iter()
        .map(|object| format!("{:>width$}  {}  {}", object.bytes, time(object.modified), object.key));
    if !listing.objects.is_empty() {
        print(format_args!("{:>width$}  {:<20}  key", "bytes", "modified"))?;
    }
    print_lines(lines)?;
    let bytes = listing.objects.iter().map(|object| object.bytes).sum();
    let listed = objects(Amount { objects: listing.objects.len() as u64, bytes });
    match &listing.next {
        Some(next) => print(format_args!("{listed}, and more: --cursor {}", quoted(next))),
        None => print(listed),
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cursor_is_one_word_for_a_shell() {
        for text in ["a b", "it's", "$(x)`\"", "'"] {
            let echo = format!("printf %s {}", quoted(text));
            let output = std::process::Command::new("sh").args(["-c", &echo]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
