//! A run that is kept: `benches/runs/<date>T<time>-<machine>/`, with the command, the table, and every pair.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result};
use benches::in_repository;

use crate::table::Table;

/// Where it was kept, as seen from the repository.
pub(crate) fn keep(table: &Table) -> Result<PathBuf> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    // To the minute, as a name: 2026-11-26T1308.
    let date: String = now.chars().take(16).filter(|letter| *letter != ':').collect();
    let name: String = table
        .machine()
        .name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    let relative = PathBuf::from(format!("benches/runs/{date}-{name}"));
    let place = in_repository(&relative);
    let write = |file: &str, text: String| {
        fs::write(place.join(file), text)
            .with_context(|| format!("cannot write {}", relative.join(file).display()))
    };
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", relative.display()))?;
    write("README.md", readme(table, &now))?;
    write("raw.csv", raw(table))?;
    Ok(relative)
}

fn readme(table: &Table, now: &str) -> String {
    let quoted = |arg: String| if arg.contains([' ', '*']) { format!("'{arg}'") } else { arg };
    let args: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    let command = [&["cargo xtask bench --table".to_owned()][..], &args].concat().join(" ");
    let machine = table.machine();
    format!(
        "# {now}\n\n```sh\n{command}\n```\n\n{machine}\n{table}\n\
         [How to read it](../../../docs/benchmarks.md). Every pair is in `raw.csv`.\n"
    )
}

/// A line for each pair.
fn raw(table: &Table) -> String {
    let mut text = "work,against,unit,pair,ours,raw\n".to_owned();
    for row in table.rows() {
        let quoted =
            [row.work.ours, &row.against(), row.work.unit].map(|cell| format!("\"{cell}\"")).join(",");
        for ((ours, raw), number) in row.pairs.iter().zip(1..) {
            let raw = raw.map(|raw| raw.to_string()).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{quoted},{number},{ours},{raw}");
        }
    }
    text
}
