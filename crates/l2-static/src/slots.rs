//! The slots of the pool: how many bytes they have, and who gets them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use l2_core::{ErrorKind, L2Error, PoolStatus};

use crate::pool::{Full, Pool, Taken};

/// The slots of the pool, whose size may not be known before the first store.
#[derive(Debug)]
pub(crate) struct Slots {
    count: u32,
    /// Unknown until the first store, if that decides.
    pool: OnceLock<Arc<Pool>>,
    /// Held by the one store that decides.
    deciding: Mutex<()>,
}

impl Slots {
    /// Slots of a known size, in pages.
    pub(crate) fn sized(count: u32, slot_bytes: u64, page_bytes: u64) -> Result<Self, L2Error> {
        let pool = OnceLock::from(Pool::new(count, slot_bytes, page_bytes)?);
        Ok(Self { count, pool, deciding: Mutex::default() })
    }

    /// Slots that are objects of a store, of a known size: a page each.
    pub(crate) fn of_objects(count: u32, slot_bytes: u64) -> Result<Self, L2Error> {
        check_object(slot_bytes)?;
        Self::sized(count, slot_bytes, slot_bytes)
    }

    /// Slots of one page each, as long as the first object that is stored.
    pub(crate) fn of_the_first_object(count: u32) -> Self {
        Self { count, pool: OnceLock::new(), deciding: Mutex::default() }
    }

    /// The pool, for an object of this length.
    fn pool_for(&self, bytes: u64) -> Result<&Arc<Pool>, L2Error> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        /// A first object that is tiny says nothing of the others.
        const LEAST: u64 = 4096;
        let bytes = bytes.max(LEAST);
        check_object(bytes)?;
        let pool = Pool::new(self.count, bytes, bytes)?;
        tracing::info!(slot_bytes = bytes, slots = self.count, "the first store decided the size of a slot");
        Ok(self.pool.get_or_init(|| pool))
    }

    /// Takes room for an object.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with the sum.
    pub(crate) fn take(&self, bytes: u64) -> Result<Taken, NoRoom> {
        let pool = self.pool_for(bytes).map_err(NoRoom::Ever)?;
        pool.take(bytes).map_err(|full| self.full(bytes, full, pool))
    }

    /// An error if an object does not fit, even in place of another of `instead` bytes.
    pub(crate) fn check_room(&self, bytes: u64, instead: u64) -> Result<(), NoRoom> {
        let pool = self.pool_for(bytes).map_err(NoRoom::Ever)?;
        let (needed, total) = (pool.occupied(bytes), pool.capacity_bytes());
        let free = (total - pool.used_bytes()).saturating_add(pool.occupied(instead));
        if needed > free { Err(self.full(bytes, Full { needed, free, total }, pool)) } else { Ok(()) }
    }

    /// No room for an object of `bytes` bytes.
    fn full(&self, bytes: u64, full: Full, pool: &Pool) -> NoRoom {
        let Full { needed, free, total } = full;
        let slots = u64::from(self.count);
        let slot = pool.capacity_bytes() / slots.max(1);
        if needed > total {
            let what = format!(
                "an object of {bytes} bytes will never fit: the whole pool has {total} bytes, which are pool_size {slots} \
                 times file_size {slot}; set file_size to {needed} for {slots} such objects, or pool_size to {} or more",
                needed.div_ceil(slot.max(1))
            );
            return NoRoom::Ever(L2Error::new(ErrorKind::Full, what));
        }
        let what = format!(
            "{needed} bytes do not fit: {} of the pool's {total} bytes are in use (pool_size {slots} times file_size {slot})",
            total - free
        );
        NoRoom::Now { missing: needed.saturating_sub(free), what }
    }

    /// The bytes that an object takes from the pool.
    pub(crate) fn occupied(&self, bytes: u64) -> u64 {
        self.pool.get().map_or(bytes, |pool| pool.occupied(bytes))
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.pool.get().map_or(0, |pool| pool.used_bytes())
    }

    /// 0 while it is not known.
    pub(crate) fn capacity_bytes(&self) -> u64 {
        self.pool.get().map_or(0, |pool| pool.capacity_bytes())
    }

    pub(crate) fn page_bytes(&self) -> u64 {
        self.pool.get().map_or(0, |pool| pool.page_bytes())
    }

    /// What an operator wants to know.
    pub(crate) fn status(&self) -> PoolStatus {
        let (used, capacity) = (self.used_bytes(), self.capacity_bytes());
        let slots = u64::from(self.count);
        let slot_bytes = capacity / slots.max(1);
        let free_slots = (capacity - used).checked_div(slot_bytes).unwrap_or(slots);
        let mut status = PoolStatus::new(slots, slot_bytes);
        status.free_slots = free_slots;
        status
    }
}

/// Why there is no room.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// More would not help.
    Ever(L2Error),
    /// So many bytes would have to be free besides.
    Now { missing: u64, what: String },
}

impl NoRoom {
    /// What the caller is told, of a pool from which there is eviction or not.
    pub(crate) fn error(self, evicting: bool) -> L2Error {
        let what = match self {
            Self::Ever(error) => return error,
            Self::Now { what, .. } => what,
        };
        let how = if evicting {
            "nothing more can be evicted: what is there is pinned, in use, or kept by the eviction policy"
        } else {
            "raise one of them, or configure eviction"
        };
        L2Error::new(ErrorKind::Full, format!("{what}; {how}"))
    }
}

/// NIXL moves an object of a store in one piece.
fn check_object(slot_bytes: u64) -> Result<(), L2Error> {
    const MOST: u64 = 0x7fff_f000;
    if slot_bytes <= MOST {
        return Ok(());
    }
    let what = format!(
        "file_size {slot_bytes} is too long for an object of a store, which has at most {MOST} bytes here; set file_size lower: \
         a longer object takes several"
    );
    Err(L2Error::new(ErrorKind::InvalidInput, what))
}
