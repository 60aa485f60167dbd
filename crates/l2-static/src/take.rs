//! Taking a key and pages for a store; what is in the way is removed first.

use std::sync::Arc;
use std::time::Duration;

use l2_core::{ErrorKind, L2Error, ObjectKey, Stamp, Stored};
use l2_index::{BeginDelete, EntryState, Reservation, Reserve};

use crate::core::Core;
use crate::kept::Kept;
use crate::pool::Taken;
use crate::slots::NoRoom;

/// Why a key was not taken.
pub(crate) enum NotTaken {
    /// It need not be, or cannot.
    Answer(Result<Stored, L2Error>),
    NoRoom(NoRoom),
}

impl NotTaken {
    /// The bytes that have to be free besides, if that helps.
    pub(crate) fn missing(&self) -> Option<u64> {
        match self {
            Self::NoRoom(NoRoom::Now { missing, .. }) => Some(*missing),
            Self::NoRoom(NoRoom::Ever(_)) | Self::Answer(_) => None,
        }
    }

    pub(crate) fn answer(self, core: &Core) -> Result<Stored, L2Error> {
        match self {
            Self::Answer(answer) => answer,
            Self::NoRoom(no_room) => Err(no_room.error(core.desk.has_room_maker())),
        }
    }
}

/// Takes the key, in place of an object of another length if there is one, and the pages.
pub(crate) fn take(
    core: &Core,
    key: &ObjectKey,
    bytes: u64,
    used: Stamp,
) -> Result<(Reservation<Arc<Kept>>, Taken), NotTaken> {
    /// How long to wait for a deletion of the key that is under way on another thread, which takes no I/O.
    const LIMIT: Duration = Duration::from_secs(1);
    /// So often others may store and evict the key meanwhile.
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match core.index.reserve(key, bytes, used) {
            // Without pages, the reservation is dropped, and the key is absent again.
            Reserve::Reserved(reservation) => {
                let taken = core.slots.take(bytes).map_err(NotTaken::NoRoom)?;
                return Ok((reservation, taken));
            }
            Reserve::Storing => return Err(NotTaken::Answer(Ok(Stored::AlreadyPresent))),
            Reserve::Present { bytes: stored } if stored == bytes => {
                return Err(NotTaken::Answer(Ok(Stored::AlreadyPresent)));
            }
            Reserve::Present { .. } | Reserve::Deleting => {}
            // The index has no bound of its own: the pool is the bound.
            Reserve::Full { .. } => {
                let error = L2Error::new(ErrorKind::Bug, "the index has counted past 2^64");
                return Err(NotTaken::Answer(Err(error)));
            }
        }
        if !core.index.await_deletion(key, LIMIT) {
            break;
        }
        remove_other(core, key, bytes)?;
    }
    Err(in_use())
}

/// Removes an object of another length than `bytes`, or one whose deletion nobody has finished, unless it is in use.
fn remove_other(core: &Core, key: &ObjectKey, bytes: u64) -> Result<(), NotTaken> {
    let mut found = core.index.get(key);
    if found.is_some_and(|old| old.pins > 0) {
        // Those whose time is over do not count.
        core.index.expire_pins();
        found = core.index.get(key);
    }
    let Some(old) = found.filter(|old| old.state != EntryState::Storing) else { return Ok(()) };
    if old.state == EntryState::Resident && old.bytes == bytes {
        // Another store was quicker.
        return Ok(());
    }
    if old.pins > 0 {
        return Err(in_use());
    }
    // What would not fit in its place must not cost the old object its own (unless others take the room meanwhile).
    core.slots.check_room(bytes, old.bytes).map_err(NotTaken::NoRoom)?;
    match core.index.begin_delete(key) {
        BeginDelete::Started(deletion) => {
            core.free(deletion);
            Ok(())
        }
        BeginDelete::InUse => Err(in_use()),
        BeginDelete::Absent | BeginDelete::Storing | BeginDelete::Deleting => Ok(()),
    }
}

fn in_use() -> NotTaken {
    let what = "what was stored under this key before is in use, or not gone yet; store it later";
    NotTaken::Answer(Err(L2Error::new(ErrorKind::Busy, what)))
}
