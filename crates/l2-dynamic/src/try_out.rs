//! Trying the storage out, after it has failed again and again.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use l2_engine::{Class, Engine, Move, Moved, Piece, Request, Storage};
use l2_files::HiddenFile;
use l2_memory::{Lease, MemoryError, Region, SharedLease};

use crate::core::Core;

/// What is written and read to test the storage.
const TEST_BYTES: usize = 4096;

impl Core {
    /// Whether a file can be made, written and read back through NIXL.
    pub(crate) fn works(self: &Arc<Self>, engine: &Engine) -> bool {
        match self.try_out(engine) {
            Ok(works) => works,
            Err(error) => {
                tracing::debug!(%error, "the storage does not work yet");
                false
            }
        }
    }

    fn try_out(self: &Arc<Self>, engine: &Engine) -> Result<bool, MemoryError> {
        /// Longer than any transfer may take: the worker answers by then.
        const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
        let region = Region::allocate(2 * TEST_BYTES)?;
        let mut written = region.lease(0, TEST_BYTES)?;
        if let Some(bytes) = written.as_mut_slice() {
            bytes.fill(0x5a);
        }
        let (memory, read) = (written.freeze(), region.lease(TEST_BYTES, TEST_BYTES)?);
        let (core, (answer, answered)) = (Arc::clone(self), channel());
        engine.submit(
            Class::Read,
            Box::new(move || {
                core.refresh(true);
                let made = HiddenFile::make(&core.directory, core.writing, "test", core.direct.is_some());
                let Ok(file) = made else { return Vec::new() };
                vec![write_then_read(core, file, memory, read, answer)]
            }),
        );
        // A job that is dropped takes its end of the channel with it.
        Ok(answered.recv_timeout(LIMIT).unwrap_or(false))
    }
}

/// Writes to a file that nobody sees, which is gone when this has ended, and reads it again.
fn write_then_read(
    core: Arc<Core>,
    file: HiddenFile,
    memory: SharedLease,
    read: Lease,
    answer: Sender<bool>,
) -> Move {
    let piece = Piece { memory, storage: Storage::File(Arc::clone(file.file())), offset: 0 };
    Move::Store(Request::new(vec![piece], move |moved: Moved<SharedLease>| {
        if moved.result.is_err() {
            return Vec::new();
        }
        // It was opened to be written.
        let Ok(file) = file.open_to_read(core.direct.is_some()) else { return Vec::new() };
        let piece = Piece { memory: read, storage: Storage::File(Arc::new(file)), offset: 0 };
        vec![Move::Load(Request::new(vec![piece], move |moved: Moved<Lease>| {
            let memory = moved.memory.unwrap_or_default();
            let is_right =
                |lease: &Lease| lease.as_slice().is_none_or(|bytes| bytes.iter().all(|b| *b == 0x5a));
            // Nobody may be waiting any more.
            let _ = answer.send(moved.result.is_ok() && memory.iter().all(is_right));
            Vec::new()
        }))]
    }))
}
