//! Taking a key for a store, and the bytes with it; what is in the way is removed first.

use std::time::Duration;

use l2_core::{ErrorKind, L2Error, ObjectKey, Stamp, Stored};
use l2_index::{BeginDelete, EntryState, Reservation, Reserve};

use crate::core::Core;

/// Why a key was not taken.
pub(crate) enum NotTaken {
    /// It need not be, or cannot.
    Answer(Result<Stored, L2Error>),
    /// So many bytes are missing.
    Full { missing: u64, needed: u64, used: u64, capacity: u64 },
}

impl NotTaken {
    pub(crate) fn missing(&self) -> Option<u64> {
        match self {
            // What is larger than everything never fits.
            Self::Full { missing, needed, capacity, .. } if needed <= capacity => Some(*missing),
            _ => None,
        }
    }

    pub(crate) fn answer(self, core: &Core) -> Result<Stored, L2Error> {
        match self {
            Self::Answer(answer) => answer,
            Self::Full { needed, used, capacity, .. } => {
                let how = if needed > capacity {
                    "it will never fit: raise it"
                } else if core.desk.has_room_maker() {
                    "nothing more can be evicted: what is there is pinned, in use, or kept by the eviction policy"
                } else {
                    "raise it, or configure eviction"
                };
                let what = format!(
                    "{needed} bytes do not fit: {used} of the {capacity} bytes of max_capacity_gb are in use; {how}"
                );
                Err(L2Error::new(ErrorKind::Full, what))
            }
        }
    }
}

/// Reserves the key; `None` when an object of another length is in its way, or one that is being deleted.
pub(crate) fn reserve(
    core: &Core,
    key: &ObjectKey,
    bytes: u64,
    used: Stamp,
) -> Result<Option<Reservation>, NotTaken> {
    match core.index.reserve(key, bytes, used) {
        Reserve::Reserved(reservation) => Ok(Some(reservation)),
        Reserve::Storing => Err(NotTaken::Answer(Ok(Stored::AlreadyPresent))),
        Reserve::Present { bytes: stored } if stored == bytes => {
            Err(NotTaken::Answer(Ok(Stored::AlreadyPresent)))
        }
        Reserve::Full { needed, used, capacity } => {
            let missing = used.saturating_add(needed).saturating_sub(capacity);
            Err(NotTaken::Full { missing, needed, used, capacity })
        }
        Reserve::Present { .. } | Reserve::Deleting => Ok(None),
    }
}

/// Takes the key, after removing what is in its way.
pub(crate) fn take(
    core: &Core,
    key: &ObjectKey,
    path: &str,
    bytes: u64,
    used: Stamp,
) -> Result<Reservation, NotTaken> {
    /// How long to wait for a deletion of the key that is under way.
    const LIMIT: Duration = Duration::from_secs(5);
    /// So often others may store and evict the key meanwhile.
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        if let Some(reservation) = reserve(core, key, bytes, used)? {
            return Ok(reservation);
        }
        if !core.index.await_deletion(key, LIMIT) {
            break;
        }
        remove_other(core, key, path, bytes)?;
    }
    Err(NotTaken::Answer(Err(in_use())))
}

/// Removes an object of another length than `bytes`, or one that could not be deleted before, unless it is in use.
fn remove_other(core: &Core, key: &ObjectKey, path: &str, bytes: u64) -> Result<(), NotTaken> {
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
        return Err(NotTaken::Answer(Err(in_use())));
    }
    // What would not fit in its place must not cost the old object its own.
    let (used, capacity) = (core.index.used_bytes(), core.index.capacity_bytes());
    let after = used.saturating_sub(old.bytes).saturating_add(bytes);
    if after > capacity {
        return Err(NotTaken::Full { missing: after - capacity, needed: bytes, used, capacity });
    }
    match core.index.begin_delete(key) {
        BeginDelete::Started(deletion) => {
            crate::delete::free(core, deletion, path).map_err(|error| NotTaken::Answer(Err(error)))?;
            Ok(())
        }
        BeginDelete::InUse => Err(NotTaken::Answer(Err(in_use()))),
        BeginDelete::Absent | BeginDelete::Storing | BeginDelete::Deleting => Ok(()),
    }
}

fn in_use() -> L2Error {
    let what = "what was stored under this key before is in use, or not gone yet; store it later";
    L2Error::new(ErrorKind::Busy, what)
}
