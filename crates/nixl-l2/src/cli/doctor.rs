//! `nixl-l2 doctor`: whether a server can start with a configuration on this machine, and what to mend.

use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::value_parser;
use nixl_l2::{Diagnosis, DoctorOptions, Finding, Nixl, State, examine};
use serde_json::{Value, json};

use super::interrupt::{self, INTERRUPTED};
use super::session::{AdapterArg, long_help};
use super::{one_line, print};

const EXAMPLE: &str = r#"Example:
  nixl-l2 doctor --object-bytes 33554432 \
    --l2-adapter '{"type": "nixl_store_dynamic", "backend": "POSIX",
      "backend_params": {"file_path": "/data/l2", "use_direct_io": "false",
      "max_capacity_gb": "10"}}'"#;

/// Check a machine before a server starts: NIXL, directory, limits, and one object
///
/// One line for each check: ok, warning, failed, or skipped because an earlier one failed; with what to do. With a
/// failure the exit code is 1. Run it as the user, and with the limits, that the server will have.
///
/// At the end one object is stored, loaded, compared and deleted, beside a running server if there is one: nothing of its
/// own is evicted or removed. Directories that had to be made go again. In a bucket or container the object stays, for
/// NIXL deletes none; it is named, and the next run writes over it. Each step waits at most a few seconds longer than
/// "io_timeout_seconds" (30 s unless given).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = long_help(EXAMPLE))]
pub(crate) struct Args {
    #[command(flatten)]
    adapter: AdapterArg,
    /// Length of one chunk in bytes, as the server stores it: what fits, and the object that is tried, go by it
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    object_bytes: Option<u64>,
    /// Print one JSON object on the last line of stdout instead of the lines
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stop = interrupt::watch()?;
    if let Ok(nixl) = Nixl::load() {
        // What fails is told anyway.
        nixl.silence();
    }
    let options = DoctorOptions::default().object_bytes(args.object_bytes).stop(&stop);
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut printed = Ok(());
    let diagnosis = examine(args.adapter.text()?, &options, &mut |finding| {
        // A closed stdout is reported once all is put back.
        if !args.json && printed.is_ok() {
            printed = print(line(finding, colours));
        }
    });
    printed?;
    if args.json {
        print(json(&diagnosis))?;
    }
    if stop.load(Ordering::Relaxed) {
        bail!("{INTERRUPTED}");
    }
    match diagnosis.first_failure() {
        Some(first) => {
            let (failed, all) = (diagnosis.count(State::Failed), diagnosis.findings().len());
            bail!("{failed} of {all} checks failed; the first: {first}")
        }
        None => Ok(()),
    }
}

fn line(finding: &Finding, colours: bool) -> String {
    let state = format!("{:<8}", finding.state.name());
    let text = one_line(&finding.to_string());
    if !colours {
        return format!("{state} {text}");
    }
    let colour = match finding.state {
        State::Ok => "32",
        State::Warning => "33",
        State::Failed => "31",
        State::Skipped => "2",
    };
    format!("\u{1b}[{colour}m{state}\u{1b}[0m {text}")
}

/// A promise to programs that read it.
fn json(diagnosis: &Diagnosis) -> Value {
    let check = |finding: &Finding| {
        json!({
            "check": finding.check,
            "state": finding.state.name(),
            "text": finding.text,
            "advice": finding.advice,
        })
    };
    let checks: Vec<Value> = diagnosis.findings().iter().map(check).collect();
    json!({"checks": checks, "state": diagnosis.state().name()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_state_in_front_and_colours_only_where_asked_for() {
        let mut plain = Vec::new();
        examine("{\"\u{1b}\": 1}", &DoctorOptions::default(), &mut |finding| plain.push(finding.clone()));
        let finding = plain.first().unwrap();
        let text = line(finding, false);
        assert!(text.starts_with("failed   configuration: ") && !text.contains('\u{1b}'), "{text}");
        assert!(line(finding, true).starts_with("\u{1b}[31mfailed  "), "{text}");
    }
}
