//! Trying the storage out, after it has failed again and again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use std::vec;

use l2_core::{Access, ObjectKey};
use l2_engine::{Class, Engine, Move, Moved, Piece, Request, Storage};
use l2_files::{HiddenFile, is_absent, is_full};
use l2_memory::{Lease, MemoryError, Region, SharedLease};

use crate::core::Core;
use crate::load::{is_forbidden, is_no_file};

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
                    read_what_is_there(core, region, answer)
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
        let load = Request::new(vec![piece], move |moved: Moved<Lease>| {
            let memory = moved.memory.unwrap_or_default();
            let is_right =
                |lease: &Lease| lease.as_slice().is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0x5a));
            say(&answer, moved.result.is_ok() && memory.iter().all(is_right))
        });
        vec![Move::Load(load)]
    });
    vec![Move::Store(store)]
}

/// Reads the beginning of an object, and of another where that fails: one may be to blame itself. Which are tried changes from
/// test to test. Where there is none that could be, nothing speaks against loads.
fn read_what_is_there(core: Arc<Core>, region: Region, answer: Answer) -> Vec<Move> {
    const OBJECTS: usize = 8;
    core.refresh(false);
    let known = usize::try_from(core.index.objects()).unwrap_or(usize::MAX).max(1);
    let first = core.load_tests.fetch_add(1, Ordering::Relaxed).wrapping_mul(OBJECTS) % known;
    let some: Vec<_> = core.index.residents().skip(first).take(OBJECTS).map(|(key, _)| key).collect();
    read_one_of(core, region, some.into_iter(), false, answer)
}

/// `failed`: whether the storage has failed for one of them already.
fn read_one_of(
    core: Arc<Core>,
    region: Region,
    mut keys: vec::IntoIter<ObjectKey>,
    mut failed: bool,
    answer: Answer,
) -> Vec<Move> {
    while let Some(key) = keys.next() {
        let (file, length) = match core.open_to_load(&core.path(&key)) {
            Ok(opened) => opened,
            Err(error) => {
                // It is gone, no file, or not ours to read: that says nothing of the others.
                failed |= !(is_absent(&error) || is_forbidden(&error) || is_no_file(&error));
                continue;
            }
        };
        let length = usize::try_from(length).map_or(region.len(), |length| length.min(region.len()));
        let Ok(memory) = region.lease(0, length) else { continue };
        if core.direct.is_some_and(|direct| direct.check(memory.as_ptr().addr(), length).is_err()) {
            continue;
        }
        let piece = Piece { memory, storage: Storage::File(Arc::new(file)), offset: 0 };
        let load = Request::new(vec![piece], move |moved: Moved<Lease>| match moved {
            Moved { result: Ok(()), .. } => say(&answer, true),
            Moved { memory: Some(memory), .. } => {
                drop(memory);
                read_one_of(core, region, keys, true, answer)
            }
            // It did not answer.
            Moved { memory: None, .. } => say(&answer, false),
        });
        return vec![Move::Load(load)];
    }
    say(&answer, !failed)
}

fn say(answer: &Answer, works: bool) -> Vec<Move> {
    let _ = answer.send(works);
    Vec::new()
}
