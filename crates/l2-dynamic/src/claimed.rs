//! A key that is being stored, and its bytes.

use std::sync::{Arc, Mutex, PoisonError};

use l2_core::UnderWay;
use l2_index::{Reservation, ReservedBytes};

use crate::core::Core;
use crate::store::Write;

/// What NIXL keeps for as long as it may write to the file.
pub(crate) type Held = Arc<Mutex<Option<Kept>>>;

/// What is kept of a store.
#[derive(Debug)]
pub(crate) enum Kept {
    /// The key, and its bytes.
    Key(Reservation),
    /// The bytes alone, of a store that was given up: what NIXL has not ended still takes room, and its file has no name
    /// that another store could want.
    Bytes { _reserved: ReservedBytes },
}

/// The key and its bytes.
#[derive(Debug)]
pub(crate) struct Claimed {
    kept: Held,
    bytes: u64,
    /// Ends after the reservation: then the object can be evicted, or its bytes are free.
    under_way: UnderWay<Write>,
}

impl Claimed {
    pub(crate) fn new(core: &Core, reservation: Reservation) -> Self {
        let bytes = reservation.bytes();
        let under_way = core.backlog.begin();
        Self { kept: Arc::new(Mutex::new(Some(Kept::Key(reservation)))), bytes, under_way }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What NIXL is to keep.
    pub(crate) fn held(&self) -> Held {
        Arc::clone(&self.kept)
    }

    /// The object is whole, and is made visible.
    pub(crate) fn commit(self) {
        if let Some(Kept::Key(reservation)) = self.replace(None) {
            reservation.commit();
        }
        drop(self.under_way);
    }

    /// There is no file: the key and its bytes are free.
    pub(crate) fn release(self) {
        drop(self.replace(None));
        drop(self.under_way);
    }

    /// It is given up while NIXL may still write: the key is free, and the bytes when NIXL has ended it.
    pub(crate) fn park(self) {
        if let Some(Kept::Key(reservation)) = self.replace(None) {
            drop(self.replace(Some(Kept::Bytes { _reserved: reservation.into_bytes() })));
        }
        drop(self.under_way);
    }

    fn replace(&self, kept: Option<Kept>) -> Option<Kept> {
        // Dropped by the caller, without the lock.
        std::mem::replace(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner), kept)
    }
}
