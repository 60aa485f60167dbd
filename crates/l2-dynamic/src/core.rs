//! What all operations of one adapter share.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use l2_core::{Completer, ErrorKind, EventFds, L2Error, Listeners, ObjectKey, Task};
use l2_engine::{Class, Engine, EngineError};
use l2_index::paths::{Layout, key_to_path};
use l2_index::{Adopt, BeginDelete, Index};

use crate::direct::Alignment;
use crate::directory::{Directory, is_full, regular_length};
use crate::groups::Grouping;
use crate::held::Held;
use crate::publish::Writing;

/// What all operations of one adapter share. Jobs hold it, so it must not hold the engine.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) index: Arc<Index>,
    pub(crate) directory: Directory,
    pub(crate) layout: Layout,
    pub(crate) writing: Writing,
    /// Set with direct I/O.
    pub(crate) direct: Option<Alignment>,
    pub(crate) grouping: Grouping,
    /// Stores that wait for the scan.
    pub(crate) held: Held,
    pub(crate) listeners: Listeners,
    pub(crate) events: OnceLock<EventFds>,
    pub(crate) closed: AtomicBool,
    pub(crate) next_task: AtomicU64,
    pub(crate) tasks_in_flight: AtomicU64,
    pub(crate) healed: AtomicU64,
    /// A store was rejected since the directory was last looked at for that.
    pub(crate) was_full: AtomicBool,
}

/// Which event descriptor a task raises.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Store,
    Lookup,
    Load,
}

/// The end of a task: completes it, then raises its event.
pub(crate) struct Ending<T> {
    core: Arc<Core>,
    kind: Kind,
    completer: Completer<T>,
}

impl<T> Ending<T> {
    pub(crate) fn end(self, result: T) {
        let Self { core, kind, completer } = self;
        core.tasks_in_flight.fetch_sub(1, Ordering::AcqRel);
        completer.complete(result);
        if let Some(events) = core.events.get() {
            let event: BorrowedFd<'_> = match kind {
                Kind::Store => events.store(),
                Kind::Lookup => events.lookup(),
                Kind::Load => events.load(),
            };
            EventFds::raise(event);
        }
    }
}

impl Core {
    /// A new task and its end.
    pub(crate) fn task<T>(
        self: &Arc<Self>,
        kind: Kind,
        abandon: Option<Arc<dyn Fn(T) + Send + Sync>>,
    ) -> (Task<T>, Ending<T>) {
        let id = self.next_task.fetch_add(1, Ordering::Relaxed);
        self.tasks_in_flight.fetch_add(1, Ordering::AcqRel);
        let (task, completer) = Task::pair(id, abandon);
        (task, Ending { core: Arc::clone(self), kind, completer })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn path(&self, key: &ObjectKey) -> String {
        key_to_path(key, self.layout)
    }

    /// The length of the object on the disk, if there is one: a regular file that can be read and is not empty.
    pub(crate) fn length_on_disk(&self, path: &str) -> io::Result<Option<u64>> {
        let length = self.directory.stat(path)?.and_then(|stat| regular_length(&stat));
        Ok(length.filter(|&length| length > 0 && self.directory.may_read(path)))
    }

    /// Looks on the disk for an object that the index does not know, and enters it with `pins` pins.
    pub(crate) fn recover(&self, key: &ObjectKey, path: &str, pins: u32) -> Recovered {
        /// How often the disk is looked at again because it changed meanwhile.
        const LOOKS: usize = 8;
        for _ in 0..LOOKS {
            let epoch = self.index.epoch(key);
            let bytes = match self.length_on_disk(path) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Recovered::Absent,
                Err(error) => return Recovered::Failed(self.io_error("cannot look for a file", path, error)),
            };
            match self.index.adopt(key, bytes, pins, epoch) {
                Adopt::Adopted => {
                    self.listeners.tell(|listener| listener.on_stored(&[(key.clone(), bytes)], true));
                    return Recovered::Here { bytes };
                }
                Adopt::Present { bytes } => return Recovered::Here { bytes },
                Adopt::Storing | Adopt::Deleting => return Recovered::Absent,
                Adopt::Overflow => {
                    return Recovered::Failed(L2Error::new(ErrorKind::Busy, "the object has too many pins"));
                }
                Adopt::Stale => {}
            }
        }
        Recovered::Absent
    }

    /// Takes up a directory that was removed and made again (with `make`, makes it), without what it held.
    pub(crate) fn refresh(&self, make: bool) {
        match self.directory.refresh(make) {
            Ok(false) => {}
            Ok(true) => self.reconcile(),
            Err(error) => {
                tracing::warn!(%error, path = %self.directory.path().display(), "the cache directory is gone");
            }
        }
    }

    /// Drops the objects that have no file any more, pinned ones excepted: a load finds those out.
    fn reconcile(&self) {
        let mut dropped = 0u64;
        for (key, _) in self.index.entries() {
            if matches!(self.length_on_disk(&self.path(&key)), Ok(None))
                && let BeginDelete::Started(deletion) = self.index.begin_delete(&key)
            {
                crate::delete::forget(self, deletion);
                dropped += 1;
            }
        }
        tracing::warn!(dropped, "dropped the objects whose files are gone");
    }

    /// Has a worker see whether the directory was removed under a full index, which rejects stores before any of them
    /// gets there.
    pub(crate) fn reconcile_if_full(self: &Arc<Self>, engine: &Engine) {
        if self.was_full.swap(false, Ordering::AcqRel) {
            let core = Arc::clone(self);
            let look = move || {
                core.refresh(true);
                Vec::new()
            };
            engine.submit(Class::Read, Box::new(look));
        }
    }

    /// An error of the file system, with the path.
    pub(crate) fn io_error(&self, what: &str, path: &str, error: io::Error) -> L2Error {
        let kind = if is_full(&error) { ErrorKind::Full } else { ErrorKind::Io };
        L2Error::new(kind, what).with_path(self.directory.full(path)).with_source(error)
    }
}

/// What looking on the disk found.
#[derive(Debug)]
pub(crate) enum Recovered {
    /// It is in the index now, with the pins asked for.
    Here { bytes: u64 },
    /// It is not there, or on its way in or out.
    Absent,
    /// It cannot be told.
    Failed(L2Error),
}

/// What a caller should do about a move that failed.
pub(crate) fn kind_of(error: &EngineError) -> ErrorKind {
    match error {
        EngineError::TimedOut(_) => ErrorKind::TimedOut,
        EngineError::Closed => ErrorKind::Closed,
        EngineError::Nixl(error) if error.kind() == nixl_safe::ErrorKind::InvalidInput => {
            ErrorKind::InvalidInput
        }
        EngineError::Malformed(_) => ErrorKind::Bug,
        _ => ErrorKind::Io,
    }
}
