//! Counting what an earlier run left: in the background, so that opening is immediate.
//!
//! The index is empty at first, and lookups that miss ask the disk. Meanwhile this enters every object that is on the
//! disk, so that its bytes count towards the capacity, and so that eviction can reach it. Stores wait
//! for that (`held.rs`).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

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
    thread::Builder::new().name("nixl-l2:scan".to_owned()).spawn(move || run(&end.core)).map_err(|error| {
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

fn run(core: &Core) {
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
}

/// When a file was changed last, since 1970.
fn changed(stat: &Stat) -> Duration {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(stat.st_mtime_nsec))
}
