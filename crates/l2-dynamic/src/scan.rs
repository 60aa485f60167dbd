//! Counting what an earlier run left: in the background, so that opening is immediate.
//!
//! The index is empty at first, and lookups that miss ask the disk. Meanwhile this enters every object that is on the
//! disk, so that its bytes count towards the capacity, and so that eviction can reach it. Stores wait
//! for that (`held.rs`).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use l2_core::{ErrorKind, L2Error};
use l2_engine::Engine;
use rustix::fs::Stat;

use crate::core::{Core, Recovered};
use crate::walk::{Met, walk};

/// Starts the scan; it ends by itself, or soon after the adapter is closed.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(core: &Arc<Core>, engine: &Arc<Engine>) -> Result<JoinHandle<()>, L2Error> {
    let end = End { core: Arc::clone(core), engine: Arc::clone(engine) };
    thread::Builder::new().name("nixl-l2:scan".to_owned()).spawn(move || end.run()).map_err(|error| {
        L2Error::new(ErrorKind::Io, "cannot start a thread; check the limit of threads").with_source(error)
    })
}

/// Hands the stores on that waited for the scan, however it ended.
struct End {
    core: Arc<Core>,
    engine: Arc<Engine>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.core.held.release(&self.engine);
    }
}

impl End {
    /// Scans, and once more later where a part could not be read: what is not counted takes room nevertheless.
    fn run(&self) {
        const AGAIN_AFTER: [Duration; 3] =
            [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
        let uncounted = scan(&self.core);
        // For the rest nobody waits.
        self.core.held.release(&self.engine);
        let orphans = self.core.beside.remove_orphans(&self.core.directory);
        tracing::debug!(orphans, "removed what was kept beside files that are gone");
        if uncounted == 0 {
            return;
        }
        for pause in AGAIN_AFTER {
            if !self.pause(pause) || scan(&self.core) == 0 {
                return;
            }
        }
        tracing::error!(
            path = %self.core.directory.path().display(),
            "a part of the cache directory cannot be read: its bytes are not counted before the next start"
        );
    }

    /// Waits. Whether the adapter is still open.
    fn pause(&self, pause: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(200);
        let since = Instant::now();
        while since.elapsed() < pause && !self.core.desk.is_closed() {
            thread::sleep(STEP.min(pause));
        }
        !self.core.desk.is_closed()
    }
}

/// Enters what is on the disk. How much could not be.
fn scan(core: &Core) -> u64 {
    let (mut objects, mut failures) = (0u64, 0u64);
    let ended = walk(&core.directory, &mut |met| {
        if core.desk.is_closed() {
            return ControlFlow::Break(());
        }
        match met {
            // In the other layout it is not an object of this adapter: no lookup would find it.
            Met::Object { path, key } if core.path(&key) == path => {
                // Cold until somebody asks for it, the oldest first.
                let changed = core.directory.stat(&path).ok().flatten().map(|stat| changed(&stat));
                let used = core.index.cold_stamp_since(changed.unwrap_or_default());
                match core.recover(&key, &path, used, None) {
                    Recovered::Here { .. } => objects += 1,
                    Recovered::Absent => {}
                    Recovered::Failed(error) => {
                        failures += 1;
                        tracing::warn!(%error, "an object could not be counted");
                    }
                }
            }
            Met::Object { .. } | Met::Left { .. } => {}
            Met::Failed { path, error } => {
                failures += 1;
                tracing::warn!(path, %error, "a part of the cache directory could not be read");
            }
        }
        ControlFlow::Continue(())
    });
    tracing::debug!(objects, failures, whole = ended.is_continue(), "counted what is on the disk");
    failures
}

/// When a file was changed last, since 1970.
fn changed(stat: &Stat) -> Duration {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(stat.st_mtime_nsec))
}
