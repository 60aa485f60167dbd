//! The table as it grows: a line as soon as its row is measured.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use benches::Pairs;

use crate::machine::Machine;
use crate::row::{Row, Work};

const HEAD: &str = "| work | against | ours | raw | ratio | bound | |\n|---|---|---|---|---|---|---|";

/// The rows so far.
#[derive(Debug)]
pub(crate) struct Table {
    only: String,
    pairs: usize,
    rows: Vec<Row>,
}

impl Table {
    /// Prints the heads: the machine's, and the table's.
    pub(crate) fn begin(machine: &Machine, only: &str, pairs: usize) -> Result<Self> {
        say(format_args!("{machine}\n{HEAD}"))?;
        Ok(Self { only: only.to_owned(), pairs, rows: Vec::new() })
    }

    /// Whether a row is asked for.
    pub(crate) fn wants(&self, work: Work) -> bool {
        work.ours.contains(&self.only) || work.against.contains(&self.only)
    }

    /// How many pairs a row has.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs
    }

    /// Measures speeds, if the row is asked for: the raw way and ours, for so many bytes a time.
    pub(crate) fn speeds(
        &mut self,
        work: Work,
        bytes: u64,
        raw: impl FnMut() -> Result<Duration>,
        ours: impl FnMut() -> Result<Duration>,
    ) -> Result<()> {
        if !self.wants(work) {
            return Ok(());
        }
        let pairs = Pairs::measure(self.pairs, raw, ours).with_context(|| work.ours.to_owned())?;
        self.add(Row::of_speeds(work, bytes, &pairs))
    }

    /// Prints a row, and keeps it.
    pub(crate) fn add(&mut self, row: Row) -> Result<()> {
        say(line(&row))?;
        self.rows.push(row);
        Ok(())
    }

    /// Says how many bounds were missed.
    pub(crate) fn end(&self) -> Result<()> {
        let held = self.rows.iter().filter_map(Row::is_met);
        let (met, missed): (Vec<bool>, Vec<bool>) = held.partition(|met| *met);
        say(format_args!("\n{} bounds met, {} missed", met.len(), missed.len()))
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// As Markdown.
impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{HEAD}")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", line(row)))
    }
}

fn line(row: &Row) -> String {
    format!("| {} |", row.cells().join(" | "))
}

/// Prints a line.
pub(crate) fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
