//! The table as it grows: a line as soon as its row is measured.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use benches::Pairs;

use crate::machine::Machine;
use crate::row::{Row, Work};

const HEAD: &str = "| work | against | ours | raw | ratio | bound | |\n|---|---|---|---|---|---|---|";

/// The rows so far.
#[derive(Debug)]
pub(crate) struct Table {
    machine: Machine,
    only: String,
    /// The names of all rows that could have been asked for so far.
    names: RefCell<Vec<&'static str>>,
    pairs: usize,
    rows: Vec<Row>,
}

impl Table {
    /// Of rows that hold `only`, with so many pairs each.
    pub(crate) fn new(machine: Machine, only: &str, pairs: usize) -> Self {
        Self { machine, only: only.to_owned(), names: RefCell::default(), pairs, rows: Vec::new() }
    }

    /// Whether a row is asked for.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.names.borrow_mut().push(work.ours);
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

    /// Prints a row, after the heads if it is the first, and keeps it.
    pub(crate) fn add(&mut self, row: Row) -> Result<()> {
        if self.rows.is_empty() {
            say(format_args!("{}\n{HEAD}", self.machine))?;
        }
        say(line(&row))?;
        self.rows.push(row);
        Ok(())
    }

    /// Says how many bounds were missed.
    ///
    /// # Errors
    /// When no row was asked for; with the names of those that there are.
    pub(crate) fn end(&self) -> Result<()> {
        if self.rows.is_empty() {
            let mut names = self.names.take();
            names.dedup();
            bail!("no row that holds {:?} was measured; there are:\n  {}", self.only, names.join("\n  "));
        }
        let held = self.rows.iter().filter_map(Row::is_met);
        let (met, missed): (Vec<bool>, Vec<bool>) = held.partition(|met| *met);
        say(format_args!("\n{} bounds met, {} missed", met.len(), missed.len()))
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
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
