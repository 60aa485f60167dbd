//! Loading: open, read into the caller's memory, and drop what turns out to be damaged.
//!
//! On the caller's thread the index protects each object from deletion. On a worker, [`prepare`] opens its file and
//! compares the lengths, NIXL reads it, and [`loaded`] answers. A file that is gone, short or unreadable takes its
//! entry with it, so that lookups miss and the next store writes it again.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use l2_core::{
    Breaker, Damage, ErrorKind, ItemSlot, L2Error, LoadItem, LoadOutcome, LoadReport, ObjectKey, Stamp, Task,
    timed,
};
use l2_engine::{Class, Engine, EngineError, Move, Moved, Piece, Request, Storage};
use l2_files::{Identity, is_absent, regular_length};
use l2_index::{Read, Reader};
use l2_memory::Lease;
use rustix::io::Errno;

use crate::core::{Core, Recovered};
use crate::record::Promise;

/// An object that somebody wants.
///
/// Here and below the slot comes last: dropped, it reports the loss when all else is free again.
struct Wanted {
    key: ObjectKey,
    memory: Lease,
    /// `None` when the index does not know it: the disk may.
    reader: Option<Reader>,
    /// When.
    used: Stamp,
    slot: ItemSlot<LoadOutcome>,
}

/// An object whose file is open.
struct Reading {
    path: String,
    file: Arc<OwnedFd>,
    /// What must be true of its bytes.
    promise: Promise,
    reader: Reader,
    slot: ItemSlot<LoadOutcome>,
}

pub(crate) fn submit(core: &Arc<Core>, engine: &Engine, batch: Vec<LoadItem>) -> Task<LoadReport> {
    let (task, items) = core.desk.load_task(batch);
    let stamps = core.index.stamps(items.len());
    let items = items.into_iter().zip(stamps).collect();
    for group in core.grouping.cut(items, |((_, item), _)| (item.memory.region().id(), item.memory.len())) {
        // A worker begins with the first group while the next is claimed.
        let wanted = group.into_iter().filter_map(|((slot, item), used)| claim(core, slot, item, used));
        let wanted: Vec<Wanted> = wanted.collect();
        if !wanted.is_empty() {
            let core = Arc::clone(core);
            engine.submit(Class::Read, Box::new(move || run(&core, wanted)));
        }
    }
    task
}

fn fail(slot: ItemSlot<LoadOutcome>, memory: Option<Lease>, key: &ObjectKey, error: L2Error) {
    slot.finish(LoadOutcome { result: Err(error.with_key(key)), memory });
}

/// Protects the object for this load, or answers at once.
fn claim(core: &Arc<Core>, slot: ItemSlot<LoadOutcome>, item: LoadItem, used: Stamp) -> Option<Wanted> {
    let LoadItem { key, memory } = item;
    let alignment = core.direct.map_or(Ok(()), |direct| direct.check(memory.as_ptr().addr(), memory.len()));
    let error = if core.desk.is_closed() {
        L2Error::closed()
    } else if core.desk.breakers().loads.is_open() {
        Breaker::error()
    } else if let Err(error) = alignment {
        error
    } else if core.rules.of_all && memory.as_slice().is_none() {
        L2Error::unreadable_memory()
    } else {
        match core.index.read(&key, used) {
            Read::Started(reader) => match check_length(&reader, &memory) {
                Ok(()) => return Some(Wanted { slot, key, memory, reader: Some(reader), used }),
                Err(error) => error,
            },
            Read::Absent => return Some(Wanted { slot, key, memory, reader: None, used }),
            Read::Storing | Read::Deleting => L2Error::not_found(),
            Read::Overflow => L2Error::new(ErrorKind::Busy, "the object is being read too often at once"),
        }
    };
    fail(slot, Some(memory), &key, error);
    None
}

fn check_length(reader: &Reader, memory: &Lease) -> Result<(), L2Error> {
    let (stored, wanted) = (reader.bytes(), memory.len() as u64);
    if stored == wanted {
        return Ok(());
    }
    Err(L2Error::length_mismatch(stored, wanted))
}

/// The job: opens the files of a group, and asks for one request that reads them all.
fn run(core: &Arc<Core>, group: Vec<Wanted>) -> Vec<Move> {
    // A directory that is gone holds nothing: every file is missed below.
    core.refresh(false);
    let (mut pieces, mut files) = (Vec::new(), Vec::new());
    for wanted in group {
        if let Some((piece, reading)) = prepare(core, wanted) {
            pieces.push(piece);
            files.push(reading);
        }
    }
    if pieces.is_empty() { Vec::new() } else { vec![request(core, pieces, files)] }
}

fn request(core: &Arc<Core>, pieces: Vec<Piece<Lease>>, files: Vec<Reading>) -> Move {
    let core = Arc::clone(core);
    Move::Load(Request::new(pieces, move |moved| loaded(&core, files, moved)))
}

/// Opens an object's file; or answers.
fn prepare(core: &Arc<Core>, wanted: Wanted) -> Option<(Piece<Lease>, Reading)> {
    let Wanted { slot, key, memory, reader, used } = wanted;
    let path = core.path(&key);
    let opened = reader
        .map_or_else(|| find(core, &key, &path, &memory, used), Ok)
        .and_then(|reader| timed(&core.desk.meters().stages().opened, || open(core, reader, &path)));
    match opened {
        Ok((reader, file, promise)) => {
            let file = Arc::new(file);
            let piece = Piece { memory, storage: Storage::File(Arc::clone(&file)), offset: 0 };
            Some((piece, Reading { slot, path, file, promise, reader }))
        }
        Err(error) => {
            fail(slot, Some(memory), &key, error);
            None
        }
    }
}

/// Looks on the disk for an object that the index does not know.
fn find(
    core: &Arc<Core>,
    key: &ObjectKey,
    path: &str,
    memory: &Lease,
    used: Stamp,
) -> Result<Reader, L2Error> {
    match core.recover(key, path, used, None) {
        Recovered::Failed(error) => Err(error),
        Recovered::Absent => Err(L2Error::not_found()),
        Recovered::Here { .. } => match core.index.read(key, used) {
            Read::Started(reader) => check_length(&reader, memory).map(|()| reader),
            _ => Err(L2Error::not_found()),
        },
    }
}

/// Opens the file, which must be what the index says.
fn open(core: &Core, reader: Reader, path: &str) -> Result<(Reader, OwnedFd, Promise), L2Error> {
    match core.open_to_load(path) {
        Ok((file, length)) if length == reader.bytes() => match core.check(reader.key(), &file, length) {
            Ok(Ok(promise)) => Ok((reader, file, promise)),
            Ok(Err(damage)) => {
                heal(core, reader, path, damage, None);
                let what = "the file has no record, or another's, or another layout_tag; it counts as a miss";
                Err(L2Error::new(ErrorKind::NotFound, what).with_path(core.directory.full(path)))
            }
            Err(error) => Err(core.directory.error("cannot read what is kept beside a file", path, error)),
        },
        Ok((file, length)) => {
            let what = format!("the file has {length} bytes instead of {}; it was dropped", reader.bytes());
            let error = L2Error::new(ErrorKind::Corrupt, what).with_path(core.directory.full(path));
            heal(core, reader, path, Damage::Length, identity(&file));
            Err(error)
        }
        Err(error) if is_absent(&error) => {
            heal(core, reader, path, Damage::Gone, None);
            let what = "the file is gone, and was dropped from the index";
            Err(L2Error::new(ErrorKind::NotFound, what).with_path(core.directory.full(path)))
        }
        Err(error) if is_forbidden(&error) => {
            // Not ours to read, nor to remove, and perhaps for a moment only: its bytes count, a lookup misses it until it may
            // be read again, and a store replaces it.
            heal(core, reader, path, Damage::Forbidden, None);
            let what = "the file may not be read, and counts as a miss until it may; check its rights";
            let error = L2Error::new(ErrorKind::NotFound, what).with_source(error);
            Err(error.with_path(core.directory.full(path)))
        }
        Err(error) if is_no_file(&error) => {
            let there = core.directory.stat(path).ok().flatten();
            let wrong =
                there.filter(|there| regular_length(there).is_none()).map(|there| Identity::of(&there));
            heal(core, reader, path, Damage::NotAFile, wrong);
            let what = "it is not a regular file, and was dropped";
            let error = L2Error::new(ErrorKind::Corrupt, what).with_source(error);
            Err(error.with_path(core.directory.full(path)))
        }
        // Of this moment or this process: it says nothing against the file.
        Err(error) => Err(core.directory.error("cannot open a file", path, error)),
    }
}

pub(crate) fn is_forbidden(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM))
}

/// Whether there is something in the file's place that can never be read as one: a link, a directory, a pipe.
pub(crate) fn is_no_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
        || matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO))
}

fn identity(file: &OwnedFd) -> Option<Identity> {
    rustix::fs::fstat(file).ok().map(|stat| Identity::of(&stat))
}

/// Drops an object whose file is wrong. `wrong` is the file that goes, if one is to go and is still there.
fn heal(core: &Core, reader: Reader, path: &str, damage: Damage, wrong: Option<Identity>) {
    core.heals.count(damage);
    tracing::warn!(key = %reader.key(), %damage, "dropped a damaged object");
    // Others may be reading it: the last of them to find it wrong, or the next store or delete, frees it.
    let Some(deletion) = reader.heal() else { return };
    match (damage, wrong) {
        // Good for others perhaps, or for us again. It takes up room, and is the first to go.
        (Damage::Unverified | Damage::Forbidden, _) => deletion.set_aside(),
        (_, Some(wrong)) => {
            if let Err(error) = crate::delete::free_wrong(core, deletion, path, &wrong) {
                tracing::warn!(%error, "a damaged object could not be removed");
            }
        }
        // What may be there by now is a new file, of another process.
        (_, None) => drop(crate::delete::forget(core, deletion)),
    }
}

/// What happens when a request has ended.
fn loaded(core: &Arc<Core>, files: Vec<Reading>, moved: Moved<Lease>) -> Vec<Move> {
    let Moved { result, memory } = moved;
    match (result, memory) {
        (Ok(()), Some(memory)) => {
            files.into_iter().zip(memory).for_each(|(file, memory)| finish(core, file, memory));
            Vec::new()
        }
        // One outcome for all: each is tried by itself, so that a bad one does not take its neighbours with it.
        (Err(_), Some(memory)) if files.len() > 1 => {
            let alone = files.into_iter().zip(memory).map(|(file, memory)| {
                let piece = Piece { memory, storage: Storage::File(Arc::clone(&file.file)), offset: 0 };
                request(core, vec![piece], vec![file])
            });
            alone.collect()
        }
        (result, memory) => {
            let mut memory = memory.unwrap_or_default().into_iter();
            let cause = result.err().unwrap_or(EngineError::Closed);
            files.into_iter().for_each(|file| failed(core, file, memory.next(), &cause));
            Vec::new()
        }
    }
}

/// One object was read. If its file was cut meanwhile, zeros may have been read for what was cut off.
fn finish(core: &Core, file: Reading, memory: Lease) {
    let Reading { path, file, promise, reader, slot } = file;
    let bytes = reader.bytes();
    let length = rustix::fs::fstat(&*file).ok().and_then(|stat| regular_length(&stat));
    let (damage, what) = if length != Some(bytes) {
        (Damage::Length, "the file was cut while it was read, and was dropped")
    } else if promise.is_of_bytes() && !memory.as_slice().is_some_and(|bytes| promise.is_kept_by(bytes)) {
        (Damage::Checksum, "the bytes are not those that were stored, and were dropped")
    } else {
        drop(reader);
        return slot.finish(LoadOutcome { result: Ok(bytes), memory: Some(memory) });
    };
    let key = reader.key().clone();
    heal(core, reader, &path, damage, identity(&file));
    let error = L2Error::new(ErrorKind::Corrupt, what).with_path(core.directory.full(&path));
    fail(slot, Some(memory), &key, error);
}

/// One object could not be read. If the file is to blame, it goes.
fn failed(core: &Core, file: Reading, memory: Option<Lease>, cause: &EngineError) {
    let Reading { slot, path, reader, file, .. } = file;
    let (key, bytes) = (reader.key().clone(), reader.bytes());
    let by_transfer =
        matches!(cause, EngineError::Nixl(error) if error.kind() == nixl_safe::ErrorKind::Failed);
    let error = if by_transfer && !is_readable(core, &path, bytes) {
        heal(core, reader, &path, Damage::Unreadable, identity(&file));
        L2Error::new(
            ErrorKind::Corrupt,
            format!("{cause}; the file cannot be read otherwise either, and was dropped"),
        )
    } else {
        L2Error::new(cause.kind(), cause.to_string())
    };
    fail(slot, memory, &key, error.with_path(core.directory.full(&path)).with_range(0, bytes));
}

/// Reads the whole file without NIXL, to learn whose fault a failed transfer was. In doubt it is not the file's.
fn is_readable(core: &Core, path: &str, bytes: u64) -> bool {
    let Ok((file, length)) = core.directory.open_to_read(path, false) else { return true };
    let mut left = bytes;
    let mut file = File::from(file);
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        match file.read(&mut buffer) {
            Ok(0) => return false,
            Ok(read) => left = left.saturating_sub(read as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The device cannot read it, as NIXL could not. Any other error is not the file's fault.
            Err(error) => return Errno::from_io_error(&error) != Some(Errno::IO),
        }
    }
    length == bytes
}
