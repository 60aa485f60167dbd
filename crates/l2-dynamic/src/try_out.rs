//! Trying the storage out, after it has failed again and again.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use l2_core::Access;
use l2_engine::{Class, Engine, Move, Moved, Piece, Request, Storage};
use l2_files::{HiddenFile, is_absent, is_full};
use l2_memory::{Lease, MemoryError, Region, SharedLease};

use crate::core::Core;

/// What is written and read to test the storage, or one block of direct I/O where that is more.
const TEST_BYTES: usize = 4096;

/// Where the answer goes. Nobody may be waiting any more; dropped without one, it is that the storage does not work.
type Answer = Sender<bool>;

impl Core {
    /// Whether a file can be made, written and read back through NIXL; or, for loads alone, an object be read that is there.
    pub(crate) fn works(self: &Arc<Self>, engine: &Engine, access: Access) -> bool {
        match self.try_out(engine, access) {
            Ok(works) => works,
            Err(error) => {
                tracing::debug!(%error, "the storage does not work yet");
                false
            }
        }
    }

    fn try_out(self: &Arc<Self>, engine: &Engine, access: Access) -> Result<bool, MemoryError> {
        /// Longer than any transfer may take: the worker answers by then.
        const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
        let length = self.direct.map_or(TEST_BYTES, |direct| direct.length.max(TEST_BYTES));
        let region = Region::allocate(2 * length)?;
        let (mut written, read) = (region.lease(0, length)?, region.lease(length, length)?);
        if let Some(bytes) = written.as_mut_slice() {
            bytes.fill(0x5a);
        }
        let (core, (answer, answered)) = (Arc::clone(self), channel());
        engine.submit(
            Class::Read,
            Box::new(move || match access {
                Access::Write => write_then_read(core, written.freeze(), read, answer),
                Access::Read => {
                    // Objects may be shorter.
                    drop((written, read));
                    read_what_is_there(&core, &region, answer)
                }
            }),
        );
        Ok(answered.recv_timeout(LIMIT).unwrap_or(false))
    }
}

/// Writes to a file that nobody sees, which is gone when this has ended, and reads it again. That there is no room says
/// nothing against the storage.
fn write_then_read(core: Arc<Core>, memory: SharedLease, read: Lease, answer: Answer) -> Vec<Move> {
    core.refresh(true);
    let file = match HiddenFile::make(&core.directory, core.writing, "test", core.direct.is_some()) {
        Ok(file) => file,
        Err(error) => return say(&answer, is_full(&error)),
    };
    let length = memory.len() as u64;
    let piece = Piece { memory, storage: Storage::File(Arc::clone(file.file())), offset: 0 };
    let store = Request::new(vec![piece], move |moved: Moved<SharedLease>| {
        if moved.result.is_err() {
            // While NIXL has the memory it may still write.
            let has_ended = moved.memory.is_some();
            return say(&answer, has_ended && file.finds_no_room(&core.directory, length));
        }
        // It was opened to be written.
        let Ok(file) = file.open_to_read(core.direct.is_some()) else { return Vec::new() };
        let piece = Piece { memory: read, storage: Storage::File(Arc::new(file)), offset: 0 };
        vec![load(piece, answer, |bytes| bytes.iter().all(|byte| *byte == 0x5a))]
    });
    vec![Move::Store(store)]
}

/// Reads the beginning of an object. Where there is none that could be, nothing speaks against loads.
fn read_what_is_there(core: &Core, region: &Region, answer: Answer) -> Vec<Move> {
    /// So many may have gone meanwhile.
    const OBJECTS: usize = 8;
    core.refresh(false);
    for (key, _) in core.index.residents().take(OBJECTS) {
        let (file, length) = match core.directory.open_to_read(&core.path(&key), core.direct.is_some()) {
            Ok(opened) => opened,
            Err(error) if is_absent(&error) => continue,
            Err(_) => return Vec::new(),
        };
        let length = usize::try_from(length).map_or(region.len(), |length| length.min(region.len()));
        let Ok(memory) = region.lease(0, length) else { continue };
        let piece = Piece { memory, storage: Storage::File(Arc::new(file)), offset: 0 };
        return vec![load(piece, answer, |_| true)];
    }
    say(&answer, true)
}

fn load(piece: Piece<Lease>, answer: Answer, is_right: fn(&[u8]) -> bool) -> Move {
    Move::Load(Request::new(vec![piece], move |moved: Moved<Lease>| {
        let memory = moved.memory.unwrap_or_default();
        let are_right = memory.iter().all(|lease| lease.as_slice().is_none_or(is_right));
        say(&answer, moved.result.is_ok() && are_right)
    }))
}

fn say(answer: &Answer, works: bool) -> Vec<Move> {
    let _ = answer.send(works);
    Vec::new()
}
