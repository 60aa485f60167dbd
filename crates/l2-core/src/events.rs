//! Event descriptors for hosts that poll instead of waiting on tasks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use crate::error::{ErrorKind, L2Error};

/// Three distinct, non-blocking eventfds: for stores, lookups and loads.
///
/// Each counts the tasks of its kind that ended since it was last read; it is raised after the task's result can be
/// taken.
#[derive(Debug)]
pub struct EventFds {
    store: OwnedFd,
    lookup: OwnedFd,
    load: OwnedFd,
}

impl EventFds {
    /// Three new descriptors (non-blocking, closed on exec).
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn new() -> Result<Self, L2Error> {
        let make = || {
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(|errno| {
                L2Error::new(ErrorKind::Io, "cannot make an event descriptor; raise the limit of open files")
                    .with_source(io::Error::from(errno))
            })
        };
        Ok(Self { store: make()?, lookup: make()?, load: make()? })
    }

    /// Raised when a store can be taken.
    pub fn store(&self) -> BorrowedFd<'_> {
        self.store.as_fd()
    }

    /// Raised when a lookup can be taken.
    pub fn lookup(&self) -> BorrowedFd<'_> {
        self.lookup.as_fd()
    }

    /// Raised when a load can be taken.
    pub fn load(&self) -> BorrowedFd<'_> {
        self.load.as_fd()
    }

    /// Adds one to `event`, one of the three above.
    pub fn raise(event: BorrowedFd<'_>) {
        // It fails only when the counter is at its maximum: the descriptor is readable then, which is all it is for.
        let _ = rustix::io::write(event, &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_descriptor_counts_for_itself() {
        let events = EventFds::new().unwrap();
        EventFds::raise(events.load());
        EventFds::raise(events.load());
        let mut count = [0u8; 8];
        assert_eq!(rustix::io::read(events.load(), &mut count).unwrap(), 8);
        assert_eq!(u64::from_ne_bytes(count), 2);
        assert_eq!(rustix::io::read(events.store(), &mut count).unwrap_err(), rustix::io::Errno::AGAIN);
        assert_eq!(rustix::io::read(events.lookup(), &mut count).unwrap_err(), rustix::io::Errno::AGAIN);
    }
}
