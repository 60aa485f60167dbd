//! Asking before anything is removed or moved.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use super::print_lines;

/// The arguments of the commands that change something.
#[derive(Debug, clap::Args)]
pub(crate) struct Consent {
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
}

impl Consent {
    /// That somebody can be asked, if that will be needed: before the work that comes first.
    ///
    /// # Errors
    /// When there is nobody.
    pub(crate) fn must_be_possible(&self) -> Result<()> {
        if self.dry_run || self.yes || io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(());
        }
        bail!(
            "there is no terminal to ask for consent on; give --yes to go on without, or --dry-run to see what would be done"
        )
    }

    /// Says what would be done, before it is asked: on stdout, or with `--json`, which has stdout, on stderr if somebody will be
    /// asked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn say(&self, json: bool, lines: &[String]) -> Result<()> {
        if !json {
            return print_lines(lines);
        }
        if self.dry_run || self.yes {
            return Ok(());
        }
        let mut out = io::stderr().lock();
        lines.iter().try_for_each(|line| writeln!(out, "{line}")).context("cannot ask for consent")
    }

    /// Asks; without a yes it is an error, for nothing was done. With `--dry-run` the answer is no, and no error.
    ///
    /// # Errors
    /// When the answer is not yes.
    pub(crate) fn ask(&self, question: &str) -> Result<bool> {
        if self.dry_run || self.yes {
            return Ok(self.yes);
        }
        self.must_be_possible()?;
        let mut answer = String::new();
        let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
        asked.and_then(|()| io::stdin().lock().read_line(&mut answer)).context("cannot ask for consent")?;
        if is_yes(&answer) {
            return Ok(true);
        }
        bail!("nothing was changed, for the answer was not \"y\"")
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_yes_is_a_yes() {
        for answer in ["y\n", "Y", " yes \n", "YES"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n", "no", "yy", "yes please", "j"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
