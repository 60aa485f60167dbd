//! The tasks of an adapter: it numbers them, counts those under way, and raises their events.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::L2Error;
use crate::events::EventFds;
use crate::task::{Abandon, Completer, Task, TaskId};

/// Hands out tasks. When one ends its result is there first; then its event is raised.
#[derive(Debug, Default)]
pub struct Tasks {
    /// Made by the first who asks for them.
    events: OnceLock<EventFds>,
    next: AtomicU64,
    in_flight: AtomicU64,
}

/// The end of a task: completes it, then raises its event.
#[derive(Debug)]
pub struct Ending<T> {
    tasks: Arc<Tasks>,
    event: fn(&EventFds) -> BorrowedFd<'_>,
    completer: Completer<T>,
}

impl Tasks {
    /// The number of the next task, from 0.
    pub fn next_id(&self) -> TaskId {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A task of this number and the end that completes it, which then raises `event`. If nobody will take the result,
    /// `abandon` gets it.
    pub fn begin<T>(
        self: &Arc<Self>,
        id: TaskId,
        event: fn(&EventFds) -> BorrowedFd<'_>,
        abandon: Option<Abandon<T>>,
    ) -> (Task<T>, Ending<T>) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let (task, completer) = Task::pair(id, abandon);
        (task, Ending { tasks: Arc::clone(self), event, completer })
    }

    /// Tasks handed out and not ended.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// The event descriptors of these tasks.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn event_fds(&self) -> Result<&EventFds, L2Error> {
        if let Some(events) = self.events.get() {
            return Ok(events);
        }
        let fresh = EventFds::new()?;
        // Of two first calls at once, one's are kept.
        Ok(self.events.get_or_init(|| fresh))
    }
}

impl<T> Ending<T> {
    /// Ends the task.
    pub fn end(self, result: T) {
        let Self { tasks, event, completer } = self;
        tasks.in_flight.fetch_sub(1, Ordering::AcqRel);
        completer.complete(result);
        if let Some(events) = tasks.events.get() {
            EventFds::raise(event(events));
        }
    }
}
