//! The thread that evicts, for any number of adapters.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use l2_core::{ErrorKind, L2Adapter, L2Error};

use crate::attached::{Attached, Ears};
use crate::attachment::Attachment;
use crate::pass::Pass;
use crate::policy::EvictionPolicy;
use crate::watermark::Watermark;

/// What the thread is told. There is at most one turn per adapter in the queue (its alarm sees to that), which bounds
/// it.
#[derive(Debug)]
pub(crate) enum Message {
    Turn(Pass),
    Stop,
}

/// Evicts from the adapters that are attached to it, on one thread, which sleeps while there is nothing to do.
///
/// Keep it for as long as anything should be evicted. Dropping it ends the thread, after a delete that is under way.
#[derive(Debug)]
pub struct Controller {
    queue: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the process can have no more threads.
    pub fn start() -> Result<Self, L2Error> {
        let (queue, messages) = mpsc::channel();
        let back = queue.clone();
        let thread = thread::Builder::new()
            .name("nixl-l2:evict-0".into())
            .spawn(move || work(&messages, &back))
            .map_err(|error| {
                let what = "cannot start the eviction thread; raise the limit of threads";
                L2Error::new(ErrorKind::Io, what).with_source(error)
            })?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Evicts from `adapter`, in the order of `policy`, whenever its usage reaches the watermark, and when a store asks for
    /// room, until the attachment is dropped. Looks at the usage at once.
    ///
    /// One at a time for an adapter: of two, the later is asked by stores, and what the earlier one is about to delete is
    /// out of its sight.
    ///
    /// The controller holds the adapter's objects weakly, and the adapter itself not at all.
    pub fn attach(
        &self,
        adapter: &dyn L2Adapter,
        policy: Box<dyn EvictionPolicy>,
        watermark: Watermark,
    ) -> Attachment {
        let attached = Attached::new(&adapter.evictable(), policy, watermark, self.queue.clone());
        adapter.add_listener(Arc::new(Ears(Arc::clone(&attached))));
        // The alarm of what is new has gone off.
        attached.send_pass();
        Attachment::new(attached)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.queue.send(Message::Stop));
        // An adapter that owns the controller may be dropped by the thread itself.
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the eviction thread had panicked");
        }
    }
}

/// The thread's life.
fn work(messages: &Receiver<Message>, back: &Sender<Message>) {
    while let Ok(Message::Turn(mut pass)) = messages.recv() {
        match catch_unwind(AssertUnwindSafe(|| pass.turn())) {
            // To the back of the queue: other adapters have their turns first.
            Ok(true) => drop(back.send(Message::Turn(pass))),
            Ok(false) => {}
            Err(_) => {
                tracing::error!("an eviction policy or an adapter panicked; the pass was given up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_has_ended_once_the_controller_is_dropped() {
        let controller = Controller::start().unwrap();
        let queue = controller.queue.clone();
        drop(controller);
        assert!(queue.send(Message::Stop).is_err(), "nobody is there to receive it");
    }
}
