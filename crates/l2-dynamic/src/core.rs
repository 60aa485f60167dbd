//! What all operations of one adapter share.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use l2_config::Durability;
use l2_core::{Backlog, Damage, Desk, ErrorKind, Heals, L2Error, ObjectKey, Stamp, TaskId};
use l2_engine::{Class, Engine, Grouping};
use l2_files::{Alignment, Beside, Directory, Writing, is_absent, regular_length};
use l2_index::paths::{Layout, key_to_path};
use l2_index::{Adopt, BeginDelete, Index};

use crate::held::Held;
use crate::record::{Promise, Rules};
use crate::store::Write;

/// What all operations of one adapter share. Jobs hold it, so it must not hold the engine.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) desk: Arc<Desk>,
    pub(crate) index: Arc<Index>,
    pub(crate) directory: Directory,
    pub(crate) layout: Layout,
    pub(crate) writing: Writing,
    /// Set with direct I/O.
    pub(crate) direct: Option<Alignment>,
    pub(crate) grouping: Grouping,
    /// Stores that wait for the scan.
    pub(crate) held: Held,
    /// Stores that wait for room.
    pub(crate) backlog: Backlog<Write>,
    pub(crate) heals: Heals,
    /// What is kept beside each file, and compared.
    pub(crate) rules: Rules,
    pub(crate) beside: Beside,
    pub(crate) durability: Durability,
    /// Bytes of the file system that are left to others.
    pub(crate) min_free: u64,
    /// A store was rejected since the directory was last looked at for that.
    pub(crate) was_full: AtomicBool,
}

impl Core {
    pub(crate) fn path(&self, key: &ObjectKey) -> String {
        key_to_path(key, self.layout)
    }

    /// Gives pins back: `owner`'s, or whoever's is the oldest.
    pub(crate) fn unlock(&self, keys: &[ObjectKey], owner: Option<TaskId>) {
        let unlocked = self.index.unpin_batch(keys, owner);
        if unlocked < keys.len() {
            tracing::debug!(unlocked, keys = keys.len(), "keys were unlocked that were not locked");
        }
    }

    /// The length of the object on the disk, if there is one: a regular file that can be read and is not empty.
    pub(crate) fn length_on_disk(&self, path: &str) -> io::Result<Option<u64>> {
        let length = self.directory.stat(path)?.and_then(|stat| regular_length(&stat));
        Ok(length.filter(|&length| length > 0 && self.directory.may_read(path)))
    }

    /// Whether the file of an object, open and of this length, may be served.
    pub(crate) fn check(
        &self,
        key: &ObjectKey,
        path: &str,
        file: &OwnedFd,
        length: u64,
    ) -> io::Result<Result<Promise, Damage>> {
        let beside = match self.rules.keeps_records() {
            true => self.beside.read(&self.directory, file, path)?,
            false => None,
        };
        Ok(self.rules.check(key, length, beside.as_deref()))
    }

    /// Whether the object on the disk is as good as one of this length that would be written; its bytes are not looked at.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(crate) fn is_there(&self, key: &ObjectKey, path: &str, bytes: u64) -> io::Result<bool> {
        Ok(self.length_on_disk(path)? == Some(bytes) && self.is_wanted(key, path, bytes)?)
    }

    /// Whether what is kept beside the file is what it should be.
    fn is_wanted(&self, key: &ObjectKey, path: &str, bytes: u64) -> io::Result<bool> {
        if !self.rules.keeps_records() {
            return Ok(true);
        }
        match self.directory.open_to_read(path, false) {
            Ok((file, _)) => Ok(self.check(key, path, &file, bytes)?.is_ok()),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks on the disk for an object that the index does not know, and enters it as last used at `used`, with a pin for
    /// `owner` if there is one.
    pub(crate) fn recover(
        &self,
        key: &ObjectKey,
        path: &str,
        used: Stamp,
        owner: Option<TaskId>,
    ) -> Recovered {
        /// How often the disk is looked at again because it changed meanwhile.
        const LOOKS: usize = 8;
        for _ in 0..LOOKS {
            let epoch = self.index.epoch(key);
            let found = self.length_on_disk(path).and_then(|found| match found {
                Some(bytes) => Ok(Some((bytes, self.is_wanted(key, path, bytes)?))),
                None => Ok(None),
            });
            let (bytes, is_wanted) = match found {
                Ok(Some(found)) => found,
                Ok(None) => return Recovered::Absent,
                Err(error) => {
                    return Recovered::Failed(self.directory.error("cannot look for a file", path, error));
                }
            };
            // What may not be served takes up room all the same, and is the first to go.
            let adopted = match is_wanted {
                true => self.index.adopt(key, bytes, used, owner, epoch),
                false => self.index.adopt_unwanted(key, bytes, epoch),
            };
            match adopted {
                Adopt::Adopted if !is_wanted => {
                    self.heals.count(Damage::Unverified);
                    return Recovered::Absent;
                }
                Adopt::Present { .. } if !is_wanted => return Recovered::Absent,
                Adopt::Adopted => {
                    self.desk.tell_recovered(&[(key.clone(), bytes)]);
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
