//! A progress bar for commands that take a while.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A bar of so many `things` on a terminal, nothing elsewhere; it goes when dropped, so that an error has its line for
/// itself.
pub(crate) fn bar(length: u64, things: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = format!(
        "{{elapsed_precise}} {{bar:32}} {{human_pos}}/{{human_len}} {things}, {{msg}} ({{eta}} left)"
    );
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_finish(ProgressFinish::AndClear)
}
