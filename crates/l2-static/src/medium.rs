//! What the pool is made of: files that are open, or names of objects.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use l2_core::L2Error;
use l2_engine::{Move, ObjectName, Piece, Question, Request, Storage, Stretch};
use l2_files::{Alignment, PoolName};
use l2_memory::Lease;
use rustix::io::Errno;

use crate::claim::Claim;
use crate::names::Names;
use crate::pool::Taken;

/// What the pool is made of.
#[derive(Debug)]
pub(crate) enum Medium {
    Files(Files),
    Objects(Objects),
}

/// Files, open until the adapter closes, and without a name unless the plugin wants one.
#[derive(Debug)]
pub(crate) struct Files {
    /// Where they are, for messages.
    pub(crate) path: PathBuf,
    /// Set with direct I/O.
    pub(crate) direct: Option<Alignment>,
    /// Whether loads are compared with a checksum: where that is asked for, and for GDS and HF3FS, which say that a
    /// transfer succeeded that was cut short or failed.
    pub(crate) checked: bool,
    /// Their names, where they have any.
    pub(crate) names: Mutex<Vec<PoolName>>,
    pub(crate) open: Mutex<Vec<Arc<OwnedFd>>>,
}

/// Objects of a bucket or container.
#[derive(Debug)]
pub(crate) struct Objects {
    names: Names,
    /// Until the adapter closes, and until NIXL has ended what was in flight then.
    claim: Mutex<Option<Arc<Claim>>>,
}

impl Medium {
    /// Where an object of `length` bytes lies, in NIXL's terms.
    pub(crate) fn storage(&self, taken: &Taken, page_bytes: u64, length: u64) -> Storage {
        match self {
            Self::Files(_) => {
                let stretch = |extent: &crate::space::Extent| Stretch {
                    file: usize::try_from(extent.file).unwrap_or(usize::MAX),
                    offset: extent.first * page_bytes,
                    length: extent.pages * page_bytes,
                };
                Storage::Pool(taken.extents().iter().map(stretch).collect())
            }
            Self::Objects(objects) => Storage::Objects(objects.of(taken, page_bytes, length)),
        }
    }

    /// Whether memory at `address` of `length` bytes can be moved.
    pub(crate) fn check(&self, address: usize, length: usize) -> Result<(), L2Error> {
        match self {
            Self::Files(Files { direct: Some(direct), .. }) => direct.check(address, length),
            _ => Ok(()),
        }
    }

    /// Whether loads are compared with a checksum. Unless it is asked for, not for files that nobody else can reach, moved
    /// by a plugin that reports what went wrong. An object store tells nothing of an object that is shorter than it was, or another's.
    pub(crate) fn is_to_be_checked(&self) -> bool {
        match self {
            Self::Files(files) => files.checked,
            Self::Objects(_) => true,
        }
    }

    /// Where an object lies, for messages.
    pub(crate) fn place(&self, taken: &Taken) -> PathBuf {
        let first = taken.extents().first().map_or(0, |extent| extent.file);
        match self {
            Self::Files(files) => files.path.join(format!("(pool file {first})")),
            Self::Objects(objects) => objects.names.name(first).into(),
        }
    }

    /// What is asked of the storage to learn whether it works, and answered through `works`: the first bytes of the pool, read
    /// into `memory`, or whether its first object is there, which a server can only say if it answers.
    pub(crate) fn try_out(&self, memory: Lease, works: Sender<bool>) -> Move {
        match self {
            Self::Files(_) => {
                let length = memory.len() as u64;
                let stretch = Stretch { file: 0, offset: 0, length };
                let piece = Piece { memory, storage: Storage::Pool(vec![stretch]), offset: 0 };
                Move::Load(Request::new(vec![piece], move |moved| {
                    // Nobody may be waiting any more.
                    let _ = works.send(moved.result.is_ok());
                    Vec::new()
                }))
            }
            Self::Objects(objects) => Move::Ask(Question::new(vec![objects.names.name(0)], move |answer| {
                let _ = works.send(answer.is_ok());
                Vec::new()
            })),
        }
    }

    /// What keeps the names this pool's own.
    pub(crate) fn claim(&self) -> Option<Arc<Claim>> {
        match self {
            Self::Files(_) => None,
            Self::Objects(objects) => objects.claim.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Lets go of files or names.
    pub(crate) fn close(&self) {
        match self {
            Self::Files(files) => {
                files.names.lock().unwrap_or_else(PoisonError::into_inner).clear();
                files.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            Self::Objects(objects) => {
                drop(objects.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        }
    }
}

impl Objects {
    pub(crate) fn new(names: Names, claim: Claim) -> Self {
        Self { names, claim: Mutex::new(Some(Arc::new(claim))) }
    }

    /// The names of the objects that hold it, in order. A slot is one page: each run is one.
    pub(crate) fn names_of(&self, taken: &Taken) -> impl Iterator<Item = String> {
        taken.extents().iter().map(|extent| self.names.name(extent.file))
    }

    fn of(&self, taken: &Taken, slot_bytes: u64, length: u64) -> Vec<ObjectName> {
        let mut left = length;
        let object = |name| {
            let length = left.min(slot_bytes);
            left -= length;
            ObjectName { name, length }
        };
        self.names_of(taken).map(object).collect()
    }
}

impl Files {
    /// Reads what is taken without NIXL, to learn whose fault a failed transfer was: the device's, or not.
    pub(crate) fn is_readable(&self, taken: &Taken, page_bytes: u64) -> bool {
        const STEP: u64 = 1 << 20;
        let mut buffer = vec![0; 1 << 20];
        for extent in taken.extents() {
            let Some(file) = self.reopen(extent.file) else { return true };
            let (mut at, end) = (extent.first * page_bytes, (extent.first + extent.pages) * page_bytes);
            while at < end {
                let step = usize::try_from(STEP.min(end - at)).unwrap_or_default();
                let read = buffer.get_mut(..step).map(|some| file.read_exact_at(some, at));
                match read {
                    Some(Err(error)) if is_the_devices(&error) => return false,
                    // Any other error says nothing of these bytes.
                    Some(Err(_)) | None => return true,
                    Some(Ok(())) => at += step as u64,
                }
            }
        }
        true
    }

    /// The file, buffered, however it is open here.
    fn reopen(&self, number: u32) -> Option<File> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = Arc::clone(open.get(usize::try_from(number).ok()?)?);
        drop(open);
        File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    }
}

fn is_the_devices(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || Errno::from_io_error(error) == Some(Errno::IO)
}
