//! The outcomes of a batch, collected item by item from many threads; whatever fails, every item gets one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What becomes of one item of a batch.
pub trait Outcome: Send + 'static {
    /// The outcome of an item whose work was dropped before it ended: the adapter closed, or a worker failed.
    fn lost() -> Self;
}

type Finish<O> = Box<dyn FnOnce(Vec<O>) + Send>;

struct State<O> {
    outcomes: Vec<Option<O>>,
    left: usize,
    finish: Option<Finish<O>>,
}

struct Shared<O: Outcome>(Mutex<State<O>>);

/// Collects the outcomes of a batch in order; the last one to come runs `finish`.
///
/// Each [`ItemSlot`] reports once: by [`ItemSlot::finish`], or, when it is dropped, with [`Outcome::lost`]. That is why
/// a task ends whatever happens to the closures and threads that carry its items.
#[derive(Debug)]
pub struct Batch;

impl Batch {
    /// Slots for `length` items; `finish` gets their outcomes, in order, on the thread that reports the last one.
    /// With no items it is run at once.
    pub fn collect<O: Outcome>(
        length: usize,
        finish: impl FnOnce(Vec<O>) + Send + 'static,
    ) -> Vec<ItemSlot<O>> {
        if length == 0 {
            finish(Vec::new());
            return Vec::new();
        }
        let mut outcomes = Vec::new();
        outcomes.resize_with(length, || None);
        let shared =
            Arc::new(Shared(Mutex::new(State { outcomes, left: length, finish: Some(Box::new(finish)) })));
        (0..length).map(|index| ItemSlot { index, shared: Some(Arc::clone(&shared)) }).collect()
    }
}

/// The duty to report the outcome of one item.
pub struct ItemSlot<O: Outcome> {
    index: usize,
    /// Taken by `finish`.
    shared: Option<Arc<Shared<O>>>,
}

impl<O: Outcome> ItemSlot<O> {
    /// Reports the item's outcome.
    pub fn finish(mut self, outcome: O) {
        if let Some(shared) = self.shared.take() {
            Self::report(&shared, self.index, outcome);
        }
    }

    fn report(shared: &Shared<O>, index: usize, outcome: O) {
        let last = {
            let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = state.outcomes.get_mut(index) {
                *place = Some(outcome);
            }
            state.left -= 1;
            if state.left > 0 {
                return;
            }
            state.finish.take().map(|finish| (finish, std::mem::take(&mut state.outcomes)))
        };
        // Outside the lock: `finish` publishes the result, raises event descriptors and calls listeners.
        if let Some((finish, outcomes)) = last {
            finish(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(O::lost)).collect());
        }
    }
}

impl<O: Outcome> Drop for ItemSlot<O> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            Self::report(&shared, self.index, O::lost());
        }
    }
}

impl<O: Outcome> fmt::Debug for ItemSlot<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemSlot({})", self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[derive(Debug, PartialEq)]
    struct Number(Option<usize>);

    impl Outcome for Number {
        fn lost() -> Self {
            Number(None)
        }
    }

    #[test]
    fn outcomes_come_in_order_once_all_are_in_and_dropped_ones_are_lost() {
        let (sender, receiver) = mpsc::channel();
        let mut slots = Batch::collect(4, move |outcomes: Vec<Number>| sender.send(outcomes).unwrap());
        let last = slots.pop().unwrap();
        drop(slots.remove(1));
        std::thread::scope(|scope| {
            for (value, slot) in slots.into_iter().enumerate() {
                scope.spawn(move || slot.finish(Number(Some(value))));
            }
        });
        assert!(receiver.try_recv().is_err(), "one item is still out");
        last.finish(Number(Some(9)));
        let got = receiver.recv().unwrap();
        assert_eq!(got, [Number(Some(0)), Number(None), Number(Some(1)), Number(Some(9))]);
        assert!(receiver.recv().is_err(), "finish ran once");
    }

    #[test]
    fn an_empty_batch_is_done_at_once() {
        let (sender, receiver) = mpsc::channel();
        assert!(
            Batch::collect(0, move |outcomes: Vec<Number>| sender.send(outcomes.len()).unwrap()).is_empty()
        );
        assert_eq!(receiver.recv().unwrap(), 0);
    }
}
