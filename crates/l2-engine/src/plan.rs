//! From the pieces of a request to what NIXL is asked for: registrations, and runs of bytes that one descriptor holds.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nixl_safe::{ObjectName, Registration, Run, TransferMemory};

use crate::error::EngineError;
use crate::request::{Piece, Storage};
use crate::session::Session;

/// A request in NIXL's terms.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) memory: Registration,
    pub(crate) storage: Registration,
    /// In order; each at most one descriptor long.
    pub(crate) runs: Vec<Run>,
}

impl Plan {
    /// Registers what the pieces name, where it is not registered yet.
    pub(crate) fn of<M: TransferMemory>(session: &Session, pieces: &[Piece<M>]) -> Result<Self, EngineError> {
        let Some(first) = pieces.first() else { return Err(EngineError::Malformed("it has no pieces")) };
        let region = first.memory.region();
        if pieces.iter().any(|piece| piece.memory.region().id() != region.id()) {
            return Err(EngineError::Malformed("its memory is of more than one region"));
        }
        let memory = session.memory(region)?;
        let mut runs =
            Runs { runs: Vec::with_capacity(pieces.len()), longest: session.backend().descriptor_bytes() };
        let storage = match &first.storage {
            Storage::File(_) => session.files(runs.of_files(pieces)?)?,
            Storage::Pool(_) => {
                runs.of_pool(pieces)?;
                session.pool()?
            }
            Storage::Objects(_) => session.objects(runs.of_objects(pieces)?)?,
        };
        Ok(Self { memory, storage, runs: runs.runs })
    }
}

const MIXED: EngineError = EngineError::Malformed("its storage is of more than one kind");

struct Runs {
    runs: Vec<Run>,
    longest: usize,
}

impl Runs {
    /// Cuts what is longer than a descriptor.
    fn add(&mut self, run: Run) {
        for start in (0..run.length).step_by(self.longest.max(1)) {
            self.runs.push(Run {
                from: run.from + start,
                length: self.longest.min(run.length - start),
                offset: run.offset + start as u64,
                ..run
            });
        }
    }

    fn of_files<M: TransferMemory>(&mut self, pieces: &[Piece<M>]) -> Result<Vec<Arc<OwnedFd>>, EngineError> {
        let mut files = Vec::with_capacity(pieces.len());
        for (lease, piece) in pieces.iter().enumerate() {
            let Storage::File(file) = &piece.storage else { return Err(MIXED) };
            files.push(Arc::clone(file));
            self.add(Run {
                lease,
                from: 0,
                length: piece.memory.length(),
                index: lease,
                offset: piece.offset,
            });
        }
        Ok(files)
    }

    fn of_pool<M: TransferMemory>(&mut self, pieces: &[Piece<M>]) -> Result<(), EngineError> {
        for (lease, piece) in pieces.iter().enumerate() {
            let Storage::Pool(stretches) = &piece.storage else { return Err(MIXED) };
            let (mut from, mut skip) = (0, piece.offset);
            for stretch in stretches {
                let left = piece.memory.length() - from;
                let skipped = skip.min(stretch.length);
                skip -= skipped;
                let length = usize::try_from(stretch.length - skipped).unwrap_or(usize::MAX).min(left);
                self.add(Run { lease, from, length, index: stretch.file, offset: stretch.offset + skipped });
                from += length;
            }
            if from < piece.memory.length() {
                return Err(EngineError::Malformed("its stretches are shorter than its memory"));
            }
        }
        Ok(())
    }

    fn of_objects<M: TransferMemory>(&mut self, pieces: &[Piece<M>]) -> Result<Vec<ObjectName>, EngineError> {
        const UNEQUAL: EngineError = EngineError::Malformed("its objects are not as long as its memory");
        let mut all = Vec::with_capacity(pieces.len());
        for (lease, piece) in pieces.iter().enumerate() {
            let Storage::Objects(objects) = &piece.storage else { return Err(MIXED) };
            let mut from = 0;
            for object in objects {
                let length = usize::try_from(object.length).map_err(|_| UNEQUAL)?;
                // One descriptor each: an object can only be written whole.
                self.runs.push(Run { lease, from, length, index: all.len(), offset: 0 });
                all.push(object.clone());
                from = from.saturating_add(length);
            }
            if from != piece.memory.length() || piece.offset != 0 {
                return Err(UNEQUAL);
            }
        }
        Ok(all)
    }
}
