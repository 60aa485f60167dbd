//! Counting what an earlier run left: in the background, so that opening is immediate.
//!
//! The index is empty at first, and lookups that miss ask the disk. Meanwhile this enters every object that is on the
//! disk, so that its bytes count towards the capacity, and so that eviction can reach it. Stores wait
//! for that (`held.rs`).

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, UNIX_EPOCH};

use l2_core::{ErrorKind, L2Error};
use l2_engine::Engine;
use l2_files::Version;

use crate::core::{Core, Recovered};
use crate::removal::places;
use crate::walk::{Met, walk};

/// Who asks for another scan, until the adapter closes.
#[derive(Debug, Default)]
pub(crate) struct Scans(Mutex<Option<SyncSender<()>>>);

impl Scans {
    fn asked(&self) -> MutexGuard<'_, Option<SyncSender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the directory scanned once more, where it is scanned at all.
    pub(crate) fn ask(&self) {
        if let Some(ask) = &*self.asked() {
            // One that is asked for already will see all that is there by now.
            let _ = ask.try_send(());
        }
    }

    /// From now on nothing is scanned.
    pub(crate) fn close(&self) {
        drop(self.asked().take());
    }
}

/// Starts the scan; it ends soon after [`Scans::close`].
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(core: &Arc<Core>, engine: &Arc<Engine>) -> Result<JoinHandle<()>, L2Error> {
    let (ask, asked) = sync_channel(1);
    *core.scans.asked() = Some(ask);
    let end = End { core: Arc::clone(core), engine: Arc::clone(engine) };
    let run = move || {
        end.run(&asked);
        while asked.recv().is_ok() {
            end.run(&asked);
        }
    };
    thread::Builder::new().name("nixl-l2:scan".to_owned()).spawn(run).map_err(|error| {
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
    fn run(&self, asked: &Receiver<()>) {
        const AGAIN_AFTER: [Duration; 3] =
            [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
        let uncounted = scan(&self.core);
        // For the rest nobody waits.
        self.core.held.release(&self.engine);
        let goes_on = || !self.core.desk.is_closed();
        let (directory, beside) = (&self.core.directory, &self.core.beside);
        let orphans = beside.remove_orphans(directory, &places(directory), goes_on);
        tracing::debug!(orphans, "removed what was kept beside files that are gone");
        if uncounted == 0 {
            return;
        }
        for pause in AGAIN_AFTER {
            let is_closed = matches!(asked.recv_timeout(pause), Err(RecvTimeoutError::Disconnected));
            if is_closed || scan(&self.core) == 0 {
                return;
            }
        }
        tracing::error!(
            path = %self.core.directory.path().display(),
            "a part of the cache directory cannot be read: its bytes are not counted before the next start"
        );
    }
}

/// Enters what is on the disk. How much could not be.
fn scan(core: &Core) -> u64 {
    let _span = tracing::debug_span!("scan", path = %core.directory.path().display()).entered();
    let (mut objects, mut failures) = (0u64, 0u64);
    let ended = walk(&core.directory, &mut |met| {
        if core.desk.is_closed() {
            return ControlFlow::Break(());
        }
        match met {
            // In the other layout it is not an object of this adapter: no lookup would find it.
            Met::Object { path, key } if core.path(&key) == path => {
                // Cold until somebody asks for it, the oldest first.
                let changed =
                    core.directory.stat(&path).ok().flatten().map(|stat| Version::of(&stat).modified());
                let since = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
                let used = core.index.cold_stamp_since(since.unwrap_or_default());
                match core.recover(&key, &path, used, None) {
                    Recovered::Here { .. } => objects += 1,
                    Recovered::Absent => {}
                    Recovered::Failed(error) => {
                        failures += 1;
                        tracing::warn!(%error, "an object could not be counted");
                    }
                }
            }
            Met::Object { .. } | Met::Unfinished { .. } | Met::Left { .. } => {}
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
