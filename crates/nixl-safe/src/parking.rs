//! Where transfers wait that nobody waits for any more: NIXL may still be writing to their memory.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Something that may be freed once it has ended, and not before.
pub(crate) trait Parked: Send {
    /// Lets it make progress, and says whether it has ended.
    fn has_ended(&mut self) -> bool;
}

struct Lot {
    waiting: Vec<Box<dyn Parked>>,
    /// A thread is polling.
    watched: bool,
}

static LOT: Mutex<Lot> = Mutex::new(Lot { waiting: Vec::new(), watched: false });

fn lot() -> MutexGuard<'static, Lot> {
    LOT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps `parked` until it has ended. A thread polls for it, and ends when nothing is left.
pub(crate) fn park(parked: Box<dyn Parked>) {
    let mut lot = lot();
    lot.waiting.push(parked);
    if lot.watched {
        return;
    }
    // Without a thread it stays here for good: a leak, rather than memory freed under a transfer. The next one that
    // is parked tries again.
    match thread::Builder::new().name("nixl-safe:parked".to_owned()).spawn(watch) {
        Ok(_) => lot.watched = true,
        Err(error) => tracing::error!(%error, "no thread to watch a parked transfer"),
    }
}

fn watch() {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(100);
    let mut pause = SHORTEST;
    loop {
        thread::sleep(pause);
        // Polled, and freed, outside the lock: whoever parks must not wait for NIXL.
        let mut waiting = std::mem::take(&mut lot().waiting);
        let before = waiting.len();
        waiting.retain_mut(|parked| !parked.has_ended());
        pause = if waiting.len() < before { SHORTEST } else { (pause * 2).min(LONGEST) };
        let mut lot = lot();
        lot.waiting.append(&mut waiting);
        if lot.waiting.is_empty() {
            lot.watched = false;
            return;
        }
    }
}

/// Whether the thread is at work.
#[cfg(test)]
pub(crate) fn is_watched() -> bool {
    lot().watched
}
