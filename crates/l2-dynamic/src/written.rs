//! The end of storing: what was written gets its name and is made visible, what was not is told, or tried once more.

use std::io;
use std::sync::Arc;

use l2_config::Durability;
use l2_core::{ErrorKind, L2Error, ObjectKey, Stored, Turn, timed};
use l2_engine::{EngineError, Move, Moved, Piece, Storage};
use l2_files::is_full;
use l2_memory::SharedLease;

use crate::core::Core;
use crate::publish::{Draft, Published};
use crate::store::{Write, Writing, done, give_up, make_room, place, request, resume};

/// What happens when a request has ended.
pub(crate) fn written(core: &Arc<Core>, files: Vec<Writing>, moved: Moved<SharedLease>) -> Vec<Move> {
    let Moved { result, memory } = moved;
    let again: Vec<Write> = match (result, memory) {
        (Ok(()), Some(memory)) => {
            files.into_iter().zip(memory).filter_map(|(file, memory)| publish(core, file, memory)).collect()
        }
        // One outcome for all: each is tried by itself, so that a bad one does not take its neighbours with it.
        (Err(_), Some(memory)) if files.len() > 1 => {
            let alone = files.into_iter().zip(memory).map(|(file, memory)| {
                let piece =
                    Piece { memory, storage: Storage::File(Arc::clone(file.draft.file())), offset: 0 };
                request(core, vec![(piece, file)])
            });
            return alone.collect();
        }
        (result, memory) => {
            let cause = result.err().unwrap_or(EngineError::Closed);
            let mut memory = memory.unwrap_or_default().into_iter();
            let failed = files.into_iter().filter_map(|file| failed(core, file, memory.next(), &cause));
            let again = failed.collect();
            if cause.is_no_answer() {
                give_up(core, &cause);
            }
            again
        }
    };
    let mut ready = Vec::new();
    for write in again {
        place(core, write, Turn::First, &mut ready);
    }
    let mut moves: Vec<Move> = ready.into_iter().map(|object| request(core, vec![object])).collect();
    moves.extend(resume(core));
    moves
}

/// An object could not be written: it is to be tried once more, or its end is reported.
fn failed(core: &Core, file: Writing, memory: Option<SharedLease>, cause: &EngineError) -> Option<Write> {
    let Writing { slot, key, path, draft, claimed, used, is_again } = file;
    let bytes = claimed.bytes();
    // NIXL does not say why. Where space was reserved that cannot be it.
    let is_full = memory.is_some() && !cause.is_no_answer() && draft.finds_no_room(&core.directory, bytes);
    drop(draft);
    // Who has no memory back does not know what NIXL still writes.
    if memory.is_none() {
        claimed.park()
    } else {
        claimed.release()
    }
    let write = match memory {
        Some(memory) if is_full => {
            match make_room(core, Write { slot, key, memory, claimed: None, used, is_again }) {
                Ok(again) => return Some(again),
                Err(Write { slot, key, memory, .. }) => (slot, key, Some(memory)),
            }
        }
        memory => (slot, key, memory),
    };
    let (slot, key, memory) = write;
    let kind = if is_full { ErrorKind::Full } else { cause.kind() };
    let what = if is_full { format!("the disk is full: {cause}") } else { cause.to_string() };
    let error =
        L2Error::new(kind, what).with_path(core.directory.full(&path)).with_range(0, bytes).with_key(&key);
    done(slot, memory, Err(error));
    None
}

/// An object is written: it is made visible, or is to be tried once more, or its end is reported.
fn publish(core: &Core, file: Writing, memory: SharedLease) -> Option<Write> {
    let Writing { slot, key, path, draft, claimed, used, is_again } = file;
    let bytes = claimed.bytes();
    let publish = || try_to_publish(core, draft, &key, &path, &memory);
    let error = match timed(&core.desk.meters().stages().published, publish) {
        Ok(published) => {
            claimed.commit();
            let stored = match published {
                Published::Now => Stored::Written { bytes },
                Published::Before => {
                    core.desk.tell_recovered(&[(key.clone(), bytes)]);
                    Stored::AlreadyPresent
                }
            };
            done(slot, Some(memory), Ok(stored));
            return None;
        }
        Err(error) => error,
    };
    claimed.release();
    // It may have its name, and not be safe from a power cut.
    let _ = core.recover(&key, &path, core.index.cold_stamp(), None);
    let mut write = Write { slot, key, memory, claimed: None, used, is_again };
    if is_full(&error) {
        write = match make_room(core, write) {
            Ok(again) => return Some(again),
            Err(write) => write,
        };
    }
    let Write { slot, key, memory, .. } = write;
    let error = core.directory.error("cannot publish a file", &path, error).with_range(0, bytes);
    done(slot, Some(memory), Err(error.with_key(&key)));
    None
}

/// Puts beside the file what is to be there, and gives it its name. Of files that go, what was kept beside them goes, too.
fn try_to_publish(
    core: &Core,
    draft: Draft,
    key: &ObjectKey,
    path: &str,
    memory: &SharedLease,
) -> io::Result<Published> {
    let (directory, beside) = (&core.directory, &core.beside);
    let before = beside.of(directory, path);
    let mut ours = None;
    if core.rules.keeps_records() {
        let record = core.rules.record_of(key, memory.as_slice(), memory.len() as u64);
        ours = Some(beside.write(directory, draft.file(), path, &record)?);
    }
    let published = give_name(core, draft, key, path, memory.len() as u64);
    let gone = if matches!(published, Ok(Published::Now)) { Some(before) } else { ours };
    if let Some(Err(error)) = gone.map(|of| beside.remove(directory, of)) {
        tracing::debug!(%error, path, "what was kept beside a file that is gone could not be removed");
    }
    published
}

fn give_name(core: &Core, draft: Draft, key: &ObjectKey, path: &str, bytes: u64) -> io::Result<Published> {
    let flush = core.durability == Durability::Fsync;
    if flush {
        draft.flush()?;
    }
    let published = draft.publish(&core.directory, path, || core.is_there(key, path, bytes))?;
    if flush {
        core.directory.flush_names(path)?;
    }
    Ok(published)
}
