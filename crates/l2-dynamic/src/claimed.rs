//! A key that is being stored, and its bytes.

use std::sync::{Arc, Mutex, PoisonError};

use l2_core::UnderWay;
use l2_index::Reservation;

use crate::core::Core;
use crate::store::Write;

/// A reservation that NIXL keeps as well, for as long as it may write to the file: a transfer that is not done in time is
/// reported, and goes on taking room.
pub(crate) type Held = Arc<Mutex<Option<Reservation>>>;

/// The key and its bytes. Dropped, they stay reserved until NIXL has ended the transfer.
#[derive(Debug)]
pub(crate) struct Claimed {
    reservation: Held,
    bytes: u64,
    /// Ends after the reservation: then the object can be evicted, or its bytes are free.
    under_way: UnderWay<Write>,
}

impl Claimed {
    pub(crate) fn new(core: &Core, reservation: Reservation) -> Self {
        let bytes = reservation.bytes();
        let under_way = core.backlog.begin();
        Self { reservation: Arc::new(Mutex::new(Some(reservation))), bytes, under_way }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What NIXL is to keep.
    pub(crate) fn held(&self) -> Held {
        Arc::clone(&self.reservation)
    }

    /// The object is whole, and is made visible.
    pub(crate) fn commit(self) {
        if let Some(reservation) = self.take() {
            reservation.commit();
        }
        drop(self.under_way);
    }

    /// There is no file: the key and its bytes are free.
    pub(crate) fn release(self) {
        drop(self.take());
        drop(self.under_way);
    }

    fn take(&self) -> Option<Reservation> {
        self.reservation.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
