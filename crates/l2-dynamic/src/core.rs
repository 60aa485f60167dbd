//! What all operations of one adapter share.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use l2_config::Durability;
use l2_core::{Backlog, Damage, Desk, ErrorKind, Heals, L2Error, ObjectKey, Stamp, TaskId};
use l2_engine::Grouping;
use l2_files::{Alignment, Beside, Directory, Writing, is_absent, open_again, regular_length};
use l2_index::paths::{Layout, key_to_path};
use l2_index::{Adopt, BeginDelete, Index};

use crate::held::Held;
use crate::record::{Promise, Rules};
use crate::scan::Scans;
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
    /// Whether the plugin takes files with plain flags alone.
    pub(crate) plainly: bool,
    pub(crate) grouping: Grouping,
    /// Stores that wait for the scan.
    pub(crate) held: Held,
    /// Whoever scans, to be asked for another.
    pub(crate) scans: Scans,
    /// Stores that wait for room.
    pub(crate) backlog: Backlog<Write>,
    pub(crate) heals: Heals,
    /// What is kept beside each file, and compared.
    pub(crate) rules: Rules,
    pub(crate) beside: Beside,
    pub(crate) durability: Durability,
    /// How often loads were tried out.
    pub(crate) load_tests: AtomicUsize,
    /// Bytes of the file system that are left to others.
    pub(crate) min_free: u64,
}

impl Core {
    /// How often the disk is looked at again because it changed meanwhile.
    const LOOKS: usize = 8;

    pub(crate) fn path(&self, key: &ObjectKey) -> String {
        key_to_path(key, self.layout)
    }

    /// Opens the file of an object, for the plugin to read: with its length in bytes.
    pub(crate) fn open_to_load(&self, path: &str) -> io::Result<(OwnedFd, u64)> {
        let direct = self.direct.is_some();
        let (file, length) = self.directory.open_to_read(path, direct)?;
        Ok((if self.plainly { open_again(&file, direct)? } else { file }, length))
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
        file: &OwnedFd,
        length: u64,
    ) -> io::Result<Result<Promise, Damage>> {
        let beside = match self.rules.keeps_records() {
            true => self.beside.read(&self.directory, file)?,
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
            Ok((file, _)) => Ok(self.check(key, &file, bytes)?.is_ok()),
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
        for _ in 0..Self::LOOKS {
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
                Adopt::Deleting if is_wanted && let Some(unwanted) = self.index.reconsider(key) => {
                    // Of what was there before nothing is left.
                    crate::delete::forget(self, unwanted);
                }
                Adopt::Storing | Adopt::Deleting => return Recovered::Absent,
                Adopt::Overflow => {
                    return Recovered::Failed(L2Error::new(ErrorKind::Busy, "the object has too many pins"));
                }
                Adopt::Stale => {}
            }
        }
        Recovered::Absent
    }

    /// Enters whatever file is in an object's place, also one that is never served (an empty one, or one that this process
    /// may not read), so that it can be deleted. Whether there is one.
    pub(crate) fn enter_leftover(&self, key: &ObjectKey, path: &str) -> io::Result<bool> {
        for _ in 0..Self::LOOKS {
            let epoch = self.index.epoch(key);
            let length = self.directory.stat(path)?.and_then(|stat| regular_length(&stat));
            let Some(bytes) = length else { return Ok(false) };
            if self.index.adopt_unwanted(key, bytes, epoch) != Adopt::Stale {
                break;
            }
        }
        // It is there, whoever has entered it.
        Ok(true)
    }

    /// Takes up a directory that was removed and made again, or put in the place of another (with `make`, makes it).
    pub(crate) fn refresh(&self, make: bool) {
        match self.directory.refresh(make) {
            Ok(false) => {}
            Ok(true) => {
                self.reconcile();
                // It may hold objects that nobody has counted.
                self.scans.ask();
            }
            // It holds nothing now.
            Err(error) => {
                tracing::debug!(%error, path = %self.directory.path().display(), "no cache directory")
            }
        }
    }

    /// Drops the objects that have no file any more, pinned ones excepted: a load finds those out.
    fn reconcile(&self) {
        let mut dropped = 0u64;
        for (key, _) in self.index.entries() {
            let path = self.path(&key);
            if !matches!(self.length_on_disk(&path), Ok(None)) {
                continue;
            }
            if let BeginDelete::Started(deletion) = self.index.begin_delete(&key) {
                self.heals.count(Damage::Gone);
                crate::delete::forget(self, deletion);
                // It may have been stored again since it was looked at.
                let _ = self.recover(&key, &path, self.index.cold_stamp(), None);
                dropped += 1;
            }
        }
        tracing::warn!(dropped, "dropped the objects whose files are gone");
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
