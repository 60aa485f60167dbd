//! The end of the process: once it has begun, NIXL is not called any more.
//!
//! A plugin's libraries take themselves apart when the process exits (AWS's does, by `atexit`), whatever threads still run: one
//! that then polls a request which was parked, or ends its agent, reads freed memory. So every call that reaches a plugin is
//! made [inside](enter), and a handler that is registered when a plugin's first backend was made, after the libraries' own, and so
//! runs before them, waits for those who are inside and lets nobody in any more. What NIXL holds then ends with the process. (A
//! library that registered a handler later still would run before ours; none of the six plugins' is known to.)
//!
//! A process that was forked from one with backends inherits the handlers, and none of the threads: it waits for nobody.

use std::collections::BTreeSet;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};

/// How long the end waits for calls under way. Some take longer, when a server is away.
const LIMIT: Duration = Duration::from_secs(2);

static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The process whose threads may be inside; 0 before there is a handler.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// A call under way.
#[derive(Debug)]
pub(crate) struct Inside(());

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// For the time of a call; `None` when the process is ending, and NIXL must not be called.
pub(crate) fn enter() -> Option<Inside> {
    // First in, then the look: whoever is not seen by the handler sees it.
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let inside = Inside(());
    if HAS_BEGUN.load(Ordering::SeqCst) { None } else { Some(inside) }
}

/// What a caller is told instead.
pub(crate) fn error() -> Error {
    Error::new(ErrorKind::Failed, "the process is ending, and NIXL takes nothing more")
}

/// A backend of this plugin was made, and with it its libraries: from now on the process ends well with them.
pub(crate) fn heed(plugin: &str) {
    static HEEDED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut heeded = HEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    if heeded.contains(plugin) {
        return;
    }
    PROCESS.store(process::id(), Ordering::SeqCst);
    // SAFETY: a function without arguments, which unwinds for nothing and is there for as long as this library is.
    let refused = unsafe { libc::atexit(begin) };
    if refused == 0 {
        heeded.insert(plugin.to_owned());
    } else {
        tracing::warn!(
            plugin,
            "no exit handler could be registered: the process may end badly while transfers hang"
        );
    }
}

/// The handler; may run several times, and waits once.
extern "C" fn begin() {
    static START: OnceLock<Instant> = OnceLock::new();
    HAS_BEGUN.store(true, Ordering::SeqCst);
    // A fork: who was inside then never comes out in it.
    if PROCESS.load(Ordering::SeqCst) != process::id() {
        return;
    }
    let start = START.get_or_init(Instant::now);
    while INSIDE.load(Ordering::SeqCst) > 0 && start.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(1));
    }
}
