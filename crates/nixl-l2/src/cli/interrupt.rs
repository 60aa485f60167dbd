//! Ctrl-C: a command that has something to put back does so first; another one a moment later ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// What a command that was interrupted ends with.
pub(crate) const INTERRUPTED: &str = "interrupted";
/// What comes sooner is the same interrupt: `timeout` sends one to the program and one to its group.
const SAME: Duration = Duration::from_millis(300);

/// A flag that is set by the first SIGINT or SIGTERM.
pub(crate) fn watch() -> Result<Arc<AtomicBool>> {
    const WHAT: &str = "cannot catch interrupts";
    let mut signals = Signals::new([SIGINT, SIGTERM]).context(WHAT)?;
    let asked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&asked);
    // It ends with the program.
    let watcher = std::thread::Builder::new().name("nixl-l2:signals".to_owned()).spawn(move || {
        let mut first = None;
        for signal in &mut signals {
            flag.store(true, Ordering::Relaxed);
            let first = *first.get_or_insert_with(Instant::now);
            if first.elapsed() > SAME {
                // It ends the program; if it cannot, the command still ends by itself.
                let _ = emulate_default_handler(signal);
            }
        }
    });
    watcher.context(WHAT)?;
    Ok(asked)
}
