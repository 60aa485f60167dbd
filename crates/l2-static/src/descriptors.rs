//! Room for a descriptor per file of the pool: the process's limit of open files is raised where that is allowed.

use std::fs;

use l2_core::{ErrorKind, L2Error};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for what the process opens later: the rings of NIXL's queues, event descriptors, logs, and some
/// connections. With a soft limit that had to be raised there are as many more as the hard limit allows.
const RESERVE: u64 = 64;
/// What is taken to be open where the process cannot see it.
const ASSUMED_OPEN: u64 = 64;
/// A suggested pool has at most so many files: descriptors no longer matter then.
const FEW_FILES: u64 = 128;

/// The pool that needs the room.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    files: u64,
    slot_bytes: u64,
    /// Descriptors for one file.
    each: u64,
}

impl Wanted {
    fn descriptors(self) -> u64 {
        self.files.saturating_mul(self.each)
    }
}

/// Makes sure that `pool_files` more files can be opened, `each` of which takes so many descriptors: raises the soft limit to the hard limit if it is too low.
///
/// The hard limit is never changed. If that is too low as well the error says how many descriptors are needed, and which
/// pool of larger files has the same capacity. Descriptors are counted, not held: what opens many at the same time can
/// still take them first.
pub(crate) fn make_room(pool_files: u64, slot_bytes: u64, each: u64) -> Result<(), L2Error> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Wanted { files: pool_files, slot_bytes, each };
    let Some(raised) = room(wanted, open_now(), &limit)? else { return Ok(()) };
    let text = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let (from, to) = (text(limit.current), text(raised.current));
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        let what = format!(
            "pool_size {pool_files} needs more open files than the limit of {from}, which cannot be raised to {to} \
             (RLIMIT_NOFILE): start the process with a higher limit (ulimit -n, LimitNOFILE=)"
        );
        L2Error::new(ErrorKind::Unsupported, what).with_source(std::io::Error::from(error))
    })
}

/// Whether [`make_room`] would succeed; changes nothing.
pub(crate) fn check(pool_files: u64, slot_bytes: u64, each: u64) -> Result<(), L2Error> {
    let wanted = Wanted { files: pool_files, slot_bytes, each };
    room(wanted, open_now(), &getrlimit(Resource::Nofile)).map(|_| ())
}

/// The descriptors that this process has open.
fn open_now() -> u64 {
    match fs::read_dir("/proc/self/fd") {
        // The directory that is read is open too, and no longer when this returns.
        Ok(entries) => (entries.count() as u64).saturating_sub(1),
        // As many as there may be.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MFILE) => {
            getrlimit(Resource::Nofile).current.unwrap_or(ASSUMED_OPEN)
        }
        Err(_) => ASSUMED_OPEN,
    }
}

/// The limit to set, or `None` if the present one is enough, with `open` descriptors open.
fn room(wanted: Wanted, open: u64, limit: &Rlimit) -> Result<Option<Rlimit>, L2Error> {
    let needed = wanted.descriptors().saturating_add(open).saturating_add(RESERVE);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| needed <= limit);
    match limit.maximum {
        _ if enough(limit.current) => Ok(None),
        Some(hard) if !enough(limit.maximum) => Err(too_many(wanted, open, needed, hard)),
        hard => Ok(Some(Rlimit { current: hard, maximum: hard })),
    }
}

fn too_many(wanted: Wanted, open: u64, needed: u64, hard: u64) -> L2Error {
    let Wanted { files, slot_bytes, each } = wanted;
    let times = if each == 1 { String::new() } else { format!(", {each} for each file") };
    let descriptors = wanted.descriptors();
    let mut what = format!(
        "pool_size {files} needs {descriptors} file descriptors{times}; {open} that are open and {RESERVE} in reserve make it \
         {needed}, but this process may have {hard} (hard limit of RLIMIT_NOFILE): raise that (ulimit -Hn, LimitNOFILE=)"
    );
    let left = hard.saturating_sub(open).saturating_sub(RESERVE);
    if let Some(fewer) = fewer(wanted, left) {
        // At most 128 times a file of less than 2⁶³ bytes.
        let bytes = u128::from(fewer.files) * u128::from(fewer.slot_bytes);
        let same = u128::from(files) * u128::from(slot_bytes);
        let of = if bytes == same { String::new() } else { format!(" ({bytes} bytes)") };
        what += &format!(
            ", or have the capacity of {same} bytes in fewer, larger files: pool_size {} with file_size {}{of}",
            fewer.files, fewer.slot_bytes
        );
    }
    L2Error::new(ErrorKind::Unsupported, what)
}

/// As many bytes in at most `most` files, and not many in any case. Their size is the first one times a power of two, and
/// so still whole pages.
fn fewer(wanted: Wanted, most: u64) -> Option<Wanted> {
    let most = u128::from((most / wanted.each.max(1)).min(FEW_FILES));
    let bytes = u128::from(wanted.files) * u128::from(wanted.slot_bytes);
    if most == 0 || bytes == 0 {
        return None;
    }
    let mut size = wanted.slot_bytes;
    while bytes.div_ceil(u128::from(size)) > most {
        // No file is as long as 2⁶³ bytes.
        size = size.checked_mul(2).filter(|size| i64::try_from(*size).is_ok())?;
    }
    let files = u64::try_from(bytes.div_ceil(u128::from(size))).ok()?;
    Some(Wanted { files, slot_bytes: size, ..wanted })
}

#[cfg(test)]
mod tests;
