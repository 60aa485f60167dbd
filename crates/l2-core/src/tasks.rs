//! The tasks of an adapter: it numbers them, counts those under way, and raises their events.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::L2Error;
use crate::events::EventFds;
use crate::spin::Spin;
use crate::task::{Abandon, Completer, Task, TaskId};

/// Hands out tasks. When one ends its result is there first; then its event is raised.
#[derive(Debug, Default)]
pub struct Tasks {
    /// Made by the first who asks for them.
    events: OnceLock<EventFds>,
    next: AtomicU64,
    in_flight: AtomicU64,
    /// For those who wait for a task of each kind.
    spins: [Arc<Spin>; 3],
}

/// What a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// A store.
    Store,
    /// A lookup, with its locks.
    Lookup,
    /// A load.
    Load,
}

impl TaskKind {
    fn event(self, events: &EventFds) -> BorrowedFd<'_> {
        match self {
            Self::Store => events.store(),
            Self::Lookup => events.lookup(),
            Self::Load => events.load(),
        }
    }
}

/// The end of a task: completes it, then raises its event.
#[derive(Debug)]
pub struct Ending<T> {
    tasks: Arc<Tasks>,
    kind: TaskKind,
    completer: Completer<T>,
}

impl Tasks {
    /// With at most so long spun for each; 1 ms by default.
    pub fn spinning(most: Duration) -> Self {
        Self { spins: std::array::from_fn(|_| Arc::new(Spin::new(most))), ..Self::default() }
    }

    /// The number of the next task, from 0.
    pub fn next_id(&self) -> TaskId {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A task of this number and the end that completes it, which then raises the event of its kind. If nobody will take the result,
    /// `abandon` gets it.
    pub fn begin<T>(
        self: &Arc<Self>,
        id: TaskId,
        kind: TaskKind,
        abandon: Option<Abandon<T>>,
    ) -> (Task<T>, Ending<T>) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let [store, lookup, load] = &self.spins;
        let spin = match kind {
            TaskKind::Store => store,
            TaskKind::Lookup => lookup,
            TaskKind::Load => load,
        };
        let (task, completer) = Task::pair_that_spins(id, abandon, Arc::clone(spin));
        (task, Ending { tasks: Arc::clone(self), kind, completer })
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
        let Self { tasks, kind, completer } = self;
        tasks.in_flight.fetch_sub(1, Ordering::AcqRel);
        completer.complete(result);
        if let Some(events) = tasks.events.get() {
            EventFds::raise(kind.event(events));
        }
    }
}
