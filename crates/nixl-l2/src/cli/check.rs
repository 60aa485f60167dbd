//! `nixl-l2 check`: whether configurations are right, without opening anything.

use anyhow::{Result, bail};
use nixl_l2::AdapterConfig;

use super::print;
use super::session::{listed, long_help};

const EXAMPLE: &str = r#"Examples:
  nixl-l2 check --l2-adapter '{"type": "nixl_store_dynamic", "backend": "POSIX",
    "backend_params": {"file_path": "/data/l2", "use_direct_io": "false",
    "max_capacity_gb": "10"}}'
  nixl-l2 check --schema > l2-adapter.schema.json"#;

/// Check configurations, without NIXL and without opening anything
///
/// Prints each as it is understood, defaults written out and secrets hidden, and notes about keys without effect. With
/// faults the exit code is 1, and each is named: where, what was given, what is allowed, and what was probably meant.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = long_help(EXAMPLE))]
pub(crate) struct Args {
    /// The configuration of an adapter, one JSON object as LMCache takes it; may be given several times
    #[arg(long = "l2-adapter", id = "l2-adapter", value_name = "JSON", required_unless_present = "schema")]
    json: Vec<String>,
    /// Print a JSON Schema of a configuration
    #[arg(long, conflicts_with = "l2-adapter")]
    schema: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.schema {
        return print(format_args!("{:#}", nixl_l2::json_schema()));
    }
    let mut faults = Vec::new();
    for (number, json) in (1..).zip(&args.json) {
        match AdapterConfig::parse(json) {
            Ok(config) => {
                print(format_args!("--l2-adapter #{number}: ok: {config}"))?;
                for note in config.notes() {
                    print(format_args!("--l2-adapter #{number}: note: {note}"))?;
                }
            }
            Err(found) => faults.push(format!("--l2-adapter #{number}: {}", listed(&found))),
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("; "));
    }
    Ok(())
}
