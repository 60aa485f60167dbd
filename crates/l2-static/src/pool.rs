//! The pool that stores share: pages are taken for an object, and come back when their owner is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use l2_core::{ErrorKind, L2Error};

use crate::space::{Extent, Space};

/// Files (or objects) of equal size, in pages.
#[derive(Debug)]
pub(crate) struct Pool {
    page_bytes: u64,
    capacity_bytes: u64,
    /// A leaf among the locks, never held over I/O.
    space: Mutex<Space>,
}

/// Fewer bytes are free than an object needs. If `needed` is above `total` it will never fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pool is full: {needed} bytes are needed, {free} of {total} are free")]
pub(crate) struct Full {
    /// Bytes that the object would occupy.
    pub(crate) needed: u64,
    /// Bytes that are free.
    pub(crate) free: u64,
    /// Bytes of the pool.
    pub(crate) total: u64,
}

impl Pool {
    /// A pool of `files` slots of `slot_bytes` each, all free. An error if a slot is not a whole number of pages, or all
    /// together have 2⁶³ bytes or more.
    pub(crate) fn new(files: u32, slot_bytes: u64, page_bytes: u64) -> Result<Arc<Self>, L2Error> {
        let refuse = |what| Err(L2Error::new(ErrorKind::InvalidInput, what));
        if page_bytes == 0 || slot_bytes == 0 || !slot_bytes.is_multiple_of(page_bytes) {
            return refuse(format!(
                "file_size {slot_bytes} is not a multiple of the page of {page_bytes} bytes: round it up"
            ));
        }
        let capacity = u64::from(files).checked_mul(slot_bytes).filter(|bytes| i64::try_from(*bytes).is_ok());
        let Some(capacity_bytes) = capacity else {
            return refuse(format!(
                "a pool of {files} files of {slot_bytes} bytes has more than 2^63 bytes: make it smaller"
            ));
        };
        let space = Mutex::new(Space::new(files, slot_bytes / page_bytes));
        Ok(Arc::new(Self { page_bytes, capacity_bytes, space }))
    }

    /// Takes the pages for `bytes` bytes, in as few runs as there can be.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Taken, Full> {
        let pages = bytes.div_ceil(self.page_bytes);
        let mut space = self.space();
        let Some(extents) = space.take(pages) else {
            let free = space.free_pages() * self.page_bytes;
            return Err(Full { needed: self.occupied(bytes), free, total: self.capacity_bytes });
        };
        drop(space);
        Ok(Taken { pool: Arc::clone(self), extents: extents.into() })
    }

    /// The bytes that an object of `bytes` bytes occupies: whole pages.
    pub(crate) fn occupied(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.page_bytes).saturating_mul(self.page_bytes)
    }

    /// The bytes that are taken.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.capacity_bytes - self.space().free_pages() * self.page_bytes
    }

    /// The bytes of the pool.
    pub(crate) fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// The bytes of a page.
    pub(crate) fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        // Nothing under this lock can panic half-way.
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages of one owner, given back to the pool when this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    pool: Arc<Pool>,
    extents: Box<[Extent]>,
}

impl Taken {
    /// The runs, in the order of their addresses; the object's bytes are in them one after the other.
    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.pool.space().give_back(&self.extents);
    }
}

#[cfg(test)]
mod tests;
