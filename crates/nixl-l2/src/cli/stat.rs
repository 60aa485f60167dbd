//! `nixl-l2 stat`: all that is known of one object.

use anyhow::{Result, bail};
use nixl_l2::ObjectKey;
use nixl_l2::paths::Layout;
use nixl_l2::tools::{Found, KeptRecord, ObjectDetails, RecordPlace};
use serde_json::{Value, json};

use super::cache::{CacheArg, must_be_whole};
use super::key::{KeyArg, KeyText};
use super::units::time;
use super::{print, print_lines};

const EXAMPLE: &str = r#"Example:
  nixl-l2 stat /data/l2 \
    --key '{"model_name": "org/m", "kv_rank": 0, "object_group_id": 0,
      "chunk_hash_hex": "ab12"}'"#;

/// Show all that is known of one object
///
/// Its file in either layout, and the record beside it: in the attribute user.nixl_l2, or a file in .nixl-l2/beside. Without
/// such an object the exit code is 1. Needs no NIXL, and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArg,
    #[command(flatten)]
    key: KeyArg,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let key = args.key.key()?;
    let found = args.cache.open()?.find(&key)?;
    if found.objects.is_empty() {
        must_be_whole(&found.failures)?;
        match found.set_aside.as_slice() {
            [] => bail!("nothing is stored under key {key}"),
            [first, ..] => bail!("nothing is stored under key {key} but what was set aside: {first:?}"),
        }
    }
    if args.json { print(as_json(&key, &found)?) } else { print_text(&key, &found) }?;
    must_be_whole(&found.failures)
}

fn name(layout: Layout) -> &'static str {
    match layout {
        Layout::Flat => "flat",
        Layout::Sharded => "sharded",
    }
}

fn as_json(key: &ObjectKey, found: &Found) -> Result<Value> {
    let record = |KeptRecord { place, fields }: &KeptRecord| {
        let (place, path) = match place {
            RecordPlace::Attribute => ("attribute", None),
            RecordPlace::SideFile(path) => ("side_file", Some(path)),
        };
        let fields = fields.as_ref().map(|fields| {
            json!({
                "bytes": fields.bytes, "xxh3_128": fields.checksum, "layout_tag": fields.layout_tag,
                "is_of_key": fields.is_of_key,
            })
        });
        json!({"place": place, "path": path, "fields": fields})
    };
    let object = |object: &ObjectDetails| {
        json!({
            "path": object.path, "layout": name(object.layout), "bytes": object.bytes,
            "disk_bytes": object.disk_bytes, "modified": time(object.modified),
            "mode": format!("{:04o}", object.mode), "record": object.record.as_ref().map(record),
        })
    };
    let objects = found.objects.iter().map(object).collect::<Vec<_>>();
    let key = serde_json::to_value(KeyText::from(key))?;
    Ok(json!({"key": key, "objects": objects, "set_aside": found.set_aside}))
}

fn print_text(key: &ObjectKey, found: &Found) -> Result<()> {
    print(format_args!("key       {key}"))?;
    for object in &found.objects {
        print_lines([
            format!("path      {:?}", object.path),
            format!("layout    {}", name(object.layout)),
            format!("bytes     {} ({} on disk)", object.bytes, object.disk_bytes),
            format!("modified  {}", time(object.modified)),
            format!("mode      {:04o}", object.mode),
            format!("record    {}", record(object.record.as_ref())),
        ])?;
    }
    print_lines(found.set_aside.iter().map(|path| format!("set aside {path:?}")))
}

fn record(record: Option<&KeptRecord>) -> String {
    let Some(KeptRecord { place, fields }) = record else { return "none".to_owned() };
    let place = match place {
        RecordPlace::Attribute => "attribute user.nixl_l2".to_owned(),
        RecordPlace::SideFile(path) => format!("side file {path:?}"),
    };
    let Some(fields) = fields else { return format!("{place}: not understood") };
    let mut text = format!("{place}: {} bytes", fields.bytes);
    text += &fields.checksum.as_ref().map_or(", no checksum".to_owned(), |sum| format!(", xxh3_128 {sum}"));
    text += &fields.layout_tag.as_ref().map(|tag| format!(", layout tag {tag:?}")).unwrap_or_default();
    text + if fields.is_of_key { "" } else { ", of another key" }
}
