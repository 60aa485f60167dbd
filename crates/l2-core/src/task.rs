//! An operation under way: its result comes out exactly once, by waiting, polling or awaiting.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::spin::Spin;

/// A number that names a task among those of its adapter, from 0, whatever the task's kind.
pub type TaskId = u64;

/// What is done with a result that nobody will take (a dropped lookup gives its pins back).
pub type Abandon<T> = Arc<dyn Fn(T) + Send + Sync>;

enum Slot<T> {
    Pending(Option<Waker>),
    /// With when it came.
    Ready(T, Instant),
    /// Taken, or the task was dropped.
    Gone,
}

struct Shared<T> {
    slot: Mutex<Slot<T>>,
    done: Condvar,
    spin: Arc<Spin>,
    abandon: Option<Abandon<T>>,
}

impl<T> Shared<T> {
    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        // Each change of the slot is one assignment: a panic elsewhere leaves it whole.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<T> {
        let mut slot = self.slot();
        if matches!(*slot, Slot::Ready(..))
            && let Slot::Ready(value, _) = std::mem::replace(&mut *slot, Slot::Gone)
        {
            return Some(value);
        }
        None
    }
}

/// An operation that was submitted. It goes on whether or not anybody waits; its result comes out exactly once.
///
/// Dropping a task does not cancel it: memory that it moves stays leased until it is done.
#[must_use = "the result of a task is known only to who takes it"]
pub struct Task<T> {
    id: TaskId,
    shared: Arc<Shared<T>>,
}

/// The other end of a [`Task`]: whoever runs the operation completes it, once.
pub struct Completer<T> {
    shared: Arc<Shared<T>>,
}

/// The task was not done in time; it is given back, and goes on.
pub struct TimedOut<T>(pub Task<T>);

impl<T> Task<T> {
    /// A task and the end that completes it. If nobody will take the result, `abandon` gets it.
    ///
    /// A completer that is dropped without a result would leave the task pending for ever: adapters go through
    /// [`crate::Batch`], which cannot do that.
    pub fn pair(id: TaskId, abandon: Option<Arc<dyn Fn(T) + Send + Sync>>) -> (Self, Completer<T>) {
        Self::pair_that_spins(id, abandon, Arc::default())
    }

    /// [`Task::pair`]; who waits spins as others of the same kind have found it worth.
    pub(crate) fn pair_that_spins(
        id: TaskId,
        abandon: Option<Abandon<T>>,
        spin: Arc<Spin>,
    ) -> (Self, Completer<T>) {
        let slot = Mutex::new(Slot::Pending(None));
        let shared = Arc::new(Shared { slot, done: Condvar::new(), spin, abandon });
        (Self { id, shared: Arc::clone(&shared) }, Completer { shared })
    }

    /// This task's number.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Whether the result is there to be taken.
    pub fn is_done(&self) -> bool {
        matches!(*self.shared.slot(), Slot::Ready(..))
    }

    /// The result, if it is there and was not taken before.
    pub fn try_take(&mut self) -> Option<T> {
        self.shared.take()
    }

    /// Blocks until the result is there, at most for `limit`.
    ///
    /// # Errors
    /// [`TimedOut`] with the task when it is not done by then (or its result was taken by [`Task::try_take`]).
    pub fn wait(self, limit: Duration) -> Result<T, TimedOut<T>> {
        let start = Instant::now();
        let is_over = || !matches!(*self.shared.slot(), Slot::Pending(_)) || start.elapsed() >= limit;
        if !self.shared.spin.beside_work(is_over) {
            self.sleep(start, limit);
        }
        self.shared.take().ok_or(TimedOut(self))
    }

    /// Sleeps until the result is there, at most until `limit` after `start`.
    fn sleep(&self, start: Instant, limit: Duration) {
        let mut slot = self.shared.slot();
        while matches!(*slot, Slot::Pending(_)) {
            let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { break };
            slot = self.shared.done.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Slot::Ready(_, at) = *slot {
            self.shared.spin.slept(at.saturating_duration_since(start));
        }
    }
}

/// Completes with the result. After that was taken through [`Task::try_take`], it stays pending.
impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.shared.slot();
        match &mut *slot {
            Slot::Pending(waker) => {
                if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                    *waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
            Slot::Gone => Poll::Pending,
            Slot::Ready(..) => {
                drop(slot);
                self.shared.take().map_or(Poll::Pending, Poll::Ready)
            }
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let slot = std::mem::replace(&mut *self.shared.slot(), Slot::Gone);
        if let (Slot::Ready(value, _), Some(abandon)) = (slot, &self.shared.abandon) {
            abandon(value);
        }
    }
}

impl<T> Completer<T> {
    /// Makes the result available, and wakes who waits.
    pub fn complete(self, value: T) {
        let mut slot = self.shared.slot();
        match std::mem::replace(&mut *slot, Slot::Gone) {
            Slot::Pending(waker) => {
                *slot = Slot::Ready(value, Instant::now());
                drop(slot);
                self.shared.done.notify_all();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Slot::Gone | Slot::Ready(..) => {
                drop(slot);
                if let Some(abandon) = &self.shared.abandon {
                    abandon(value);
                }
            }
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).field("done", &self.is_done()).finish()
    }
}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completer")
    }
}

impl<T> fmt::Debug for TimedOut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimedOut({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[test]
    fn the_result_comes_out_exactly_once() {
        let (mut task, completer) = Task::pair(3, None);
        assert_eq!((task.id(), task.try_take()), (3, None));
        completer.complete("done");
        assert!(task.is_done());
        assert_eq!(task.try_take(), Some("done"));
        assert_eq!(task.try_take(), None);
        assert!(task.wait(Duration::ZERO).is_err());
    }

    #[test]
    fn a_wait_that_runs_out_gives_the_task_back() {
        let (task, completer) = Task::pair(0, None);
        let TimedOut(task) = task.wait(Duration::ZERO).unwrap_err();
        let waiter = std::thread::Builder::new().spawn(move || task.wait(Duration::from_secs(60))).unwrap();
        completer.complete(5);
        assert_eq!(waiter.join().unwrap().unwrap(), 5);
    }

    #[test]
    fn awaiting_wakes_once_the_result_is_there() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let (mut task, completer) = Task::pair(0, None);
        assert!(Pin::new(&mut task).poll(&mut context).is_pending());
        completer.complete(9);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut task).poll(&mut context), Poll::Ready(9));
    }

    #[test]
    fn a_result_that_nobody_takes_is_given_to_abandon_whichever_end_goes_first() {
        let seen = Arc::new(AtomicUsize::new(0));
        let abandon: Abandon<usize> = {
            let seen = Arc::clone(&seen);
            Arc::new(move |value| {
                seen.fetch_add(value, Ordering::SeqCst);
            })
        };
        let (task, completer) = Task::pair(0, Some(Arc::clone(&abandon)));
        completer.complete(1);
        drop(task);
        let (task, completer) = Task::pair(1, Some(Arc::clone(&abandon)));
        drop(task);
        completer.complete(10);
        let (mut task, completer) = Task::pair(2, Some(abandon));
        completer.complete(100);
        assert_eq!(task.try_take(), Some(100));
        drop(task);
        assert_eq!(seen.load(Ordering::SeqCst), 11);
    }
}
