//! What is to be done when tasks have ended, without a thread that waits for them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::task::Task;

type Then<T> = Box<dyn FnOnce(T) + Send>;

/// A task, and what is to be done with its result.
struct Waiting<T>(Mutex<Option<(Task<T>, Then<T>)>>);

impl<T: Send + 'static> Waiting<T> {
    fn look(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        // Held while it is polled: whoever ends it meanwhile waits, and finds it here.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((task, _)) = &mut *waiting else { return };
        let Poll::Ready(result) = Pin::new(task).poll(&mut Context::from_waker(&waker)) else { return };
        let ended = waiting.take();
        drop(waiting);
        if let Some((_, then)) = ended {
            then(result);
        }
    }
}

impl<T: Send + 'static> Wake for Waiting<T> {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl<T: Send + 'static> Task<T> {
    /// Does this with the result when it is there: now, or later on the thread that ends the task, an adapter's worker. It
    /// must not block.
    pub fn when_ended(self, then: impl FnOnce(T) + Send + 'static) {
        Arc::new(Waiting(Mutex::new(Some((self, Box::new(then)))))).look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn what_is_to_be_done_is_done_once_whichever_comes_first() {
        for ends_first in [true, false] {
            let (task, completer) = Task::pair(0, None);
            let (done, is_done) = mpsc::channel();
            let then = move |value: u32| done.send(value).unwrap();
            if ends_first {
                completer.complete(7);
                task.when_ended(then);
            } else {
                task.when_ended(then);
                assert!(is_done.try_recv().is_err());
                completer.complete(7);
            }
            assert_eq!(is_done.recv().unwrap(), 7);
            assert!(is_done.recv().is_err(), "it is gone with its result");
        }
    }

    #[test]
    fn it_is_done_when_both_come_at_once() {
        for _ in 0..2000 {
            let (task, completer) = Task::pair(0, None);
            let ending = thread::Builder::new().spawn(move || completer.complete(7)).unwrap();
            let (done, is_done) = mpsc::channel();
            task.when_ended(move |value: u32| done.send(value).unwrap());
            ending.join().unwrap();
            assert_eq!(is_done.recv().unwrap(), 7);
        }
    }
}
