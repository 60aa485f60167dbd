//! Deleting: out of sight first, off the disk next, and only then out of the count.

use std::io;
use std::sync::Arc;

use l2_core::{DeleteReport, Deleted, L2Error, ObjectKey};
use l2_files::Identity;
use l2_index::{BeginDelete, Deletion};

use crate::core::{Core, Recovered};
use crate::removal::remove_with_record;

pub(crate) fn delete(core: &Arc<Core>, keys: &[ObjectKey]) -> DeleteReport {
    if core.desk.is_closed() {
        let closed = |key| Deleted::Failed(L2Error::closed().with_key(key));
        return DeleteReport { answers: keys.iter().map(closed).collect() };
    }
    // A directory that is gone holds nothing: its entries are freed all the same.
    core.refresh(false);
    DeleteReport { answers: keys.iter().map(|key| delete_one(core, key)).collect() }
}

fn delete_one(core: &Core, key: &ObjectKey) -> Deleted {
    let path = core.path(key);
    let mut begun = core.index.begin_delete(key);
    if matches!(begun, BeginDelete::Absent) {
        // An object that was never looked up is entered first, so that nobody stores or finds it meanwhile.
        match core.recover(key, &path, core.index.cold_stamp(), None) {
            // Also one that may not be served is there now.
            Recovered::Here { .. } | Recovered::Absent => begun = core.index.begin_delete(key),
            Recovered::Failed(error) => return Deleted::Failed(error.with_key(key)),
        }
    }
    if matches!(begun, BeginDelete::Absent) {
        match core.enter_leftover(key, &path) {
            Ok(true) => begun = core.index.begin_delete(key),
            Ok(false) => {}
            Err(error) => {
                let error = core.directory.error("cannot look for a file", &path, error);
                return Deleted::Failed(error.with_key(key));
            }
        }
    }
    match begun {
        BeginDelete::Started(deletion) => match free(core, deletion, &path) {
            Ok(bytes) => Deleted::Freed { bytes },
            Err(error) => Deleted::Failed(error.with_key(key)),
        },
        BeginDelete::Absent => Deleted::Absent,
        BeginDelete::InUse | BeginDelete::Storing | BeginDelete::Deleting => Deleted::Busy,
    }
}

/// Removes the file of an object that is out of sight, and tells the listeners. The bytes that are free.
pub(crate) fn free(core: &Core, deletion: Deletion, path: &str) -> Result<u64, L2Error> {
    free_with(core, deletion, path, || core.directory.remove(path))
}

/// As [`free`], for an object whose file was found wrong. A file that has taken its place since, of another process, stays,
/// and is found by the next who looks for it.
pub(crate) fn free_wrong(
    core: &Core,
    deletion: Deletion,
    path: &str,
    wrong: &Identity,
) -> Result<u64, L2Error> {
    free_with(core, deletion, path, || core.directory.remove_if_same(path, wrong))
}

fn free_with(
    core: &Core,
    deletion: Deletion,
    path: &str,
    remove: impl FnOnce() -> io::Result<bool>,
) -> Result<u64, L2Error> {
    if let Err(error) = remove_with_record(&core.directory, &core.beside, path, remove) {
        // It stays out of sight, and counts, until somebody deletes or stores it again.
        deletion.fail();
        return Err(core.directory.error("cannot remove a file", path, error));
    }
    Ok(forget(core, deletion))
}

/// Takes an object that has no file any more out of the count, and tells the listeners. The bytes that are free.
pub(crate) fn forget(core: &Core, deletion: Deletion) -> u64 {
    let (key, bytes) = (deletion.key().clone(), deletion.bytes());
    deletion.finish();
    core.desk.tell_deleted(&[(key, bytes)]);
    bytes
}
