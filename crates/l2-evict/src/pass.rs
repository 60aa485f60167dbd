//! One pass over an adapter: what is asked, deleted and stepped over until usage is below the watermark.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use l2_core::{Deleted, ErrorKind, L2Adapter, L2Error, ObjectKey};

use crate::attached::{Attached, State};
use crate::evictions::Evictions;

/// Most objects that are deleted in one call, and most that are handled under one lock: so that listeners wait no
/// longer than that takes, and adapters take turns.
pub(crate) const CHUNK: usize = 256;

/// A pass, between two turns.
pub(crate) struct Pass {
    attached: Arc<Attached>,
    /// Whether victims come from the cold end: what the last pass stepped over was put back.
    rewound: bool,
    /// How many victims to ask for before usage is looked at again.
    left: usize,
    /// What was done so far.
    done: Evictions,
    first_failure: Option<L2Error>,
}

impl Pass {
    pub(crate) fn new(attached: Arc<Attached>) -> Self {
        Self { attached, rewound: false, left: 0, done: Evictions::default(), first_failure: None }
    }

    /// Does a bounded piece of the work. Whether there is more to do.
    pub(crate) fn turn(&mut self) -> bool {
        // Held for this turn alone, so that whoever else lets go of the adapter hardly ever leaves the last hold to us.
        let Some(adapter) = self.attached.adapter() else {
            self.attached.detach();
            return false;
        };
        if self.rewind() {
            return true;
        }
        if self.left == 0 && !self.look(&*adapter) {
            return false;
        }
        let Some(victims) = self.next_victims() else { return false };
        let answers = delete(&*adapter, &victims);
        self.settle(&victims, answers);
        true
    }

    /// Ends a pass whose turn panicked, so that the next event begins another.
    pub(crate) fn give_up(&self) {
        self.attached.state().alarm.set_stuck(self.stepped_over());
    }

    /// Puts a piece of what the last pass stepped over back to its place. Whether there is more of it.
    fn rewind(&mut self) -> bool {
        if !self.rewound {
            let mut state = self.attached.state();
            self.rewound = !state.residents.as_mut().is_some_and(|residents| residents.rewind(CHUNK));
        }
        !self.rewound
    }

    /// Looks at the usage. Whether anything has to go.
    fn look(&mut self, adapter: &dyn L2Adapter) -> bool {
        let watermark = self.attached.watermark();
        let stored_bytes = self.attached.state().alarm.stored_bytes();
        let usage = adapter.usage();
        let mut state = self.attached.state();
        let Some(room) = watermark.room(usage) else {
            self.left = watermark.round(state.residents.as_ref().map_or(0, |residents| residents.len()));
            return true;
        };
        self.log(&mut state);
        state.alarm.set_below(stored_bytes, room);
        // So much may have been stored meanwhile that another look is due.
        let rings = state.alarm.ring();
        drop(state);
        if rings {
            self.attached.send_pass();
        }
        false
    }

    /// The next victims; `None` ends the pass, for there are none.
    fn next_victims(&self) -> Option<Vec<ObjectKey>> {
        let mut state = self.attached.state();
        let victims = state.residents.as_mut()?.next_victims(self.left.min(CHUNK));
        if victims.is_empty() {
            self.log(&mut state);
            // Under the lock that found none: what is stored after this rings.
            state.alarm.set_stuck(self.stepped_over());
            return None;
        }
        Some(victims)
    }

    /// Counts what became of the victims. Those that stay were passed by when they were given; so are those that a
    /// faulty adapter gives no answer for.
    fn settle(&mut self, victims: &[ObjectKey], answers: Vec<Deleted>) {
        self.left = self.left.saturating_sub(victims.len());
        let mut done = Evictions::default();
        let mut absent = Vec::new();
        for (key, answer) in victims.iter().zip(answers) {
            match answer {
                // The adapter has told the listener.
                Deleted::Freed { bytes } => {
                    done.objects += 1;
                    done.bytes += bytes;
                }
                Deleted::Absent => absent.push(key),
                Deleted::Busy => done.stepped_over += 1,
                Deleted::Failed(error) => {
                    done.failed += 1;
                    self.first_failure.get_or_insert(error);
                }
            }
        }
        self.done.add(&done);
        let mut state = self.attached.state();
        state.evictions.add(&done);
        if let Some(residents) = &mut state.residents {
            absent.into_iter().for_each(|key| residents.absent(key));
        }
    }

    fn stepped_over(&self) -> u64 {
        self.done.stepped_over + self.done.failed
    }

    fn log(&self, state: &mut State) {
        let Evictions { objects, bytes, stepped_over, failed } = self.done;
        tracing::debug!(objects, bytes, stepped_over, failed, "an eviction pass ended");
        let was_failing = std::mem::replace(&mut state.failing, failed > 0);
        if let Some(error) = &self.first_failure
            && !was_failing
        {
            tracing::warn!(failed, %error, "objects could not be evicted; the next pass tries again");
        }
    }
}

fn delete(adapter: &dyn L2Adapter, victims: &[ObjectKey]) -> Vec<Deleted> {
    match catch_unwind(AssertUnwindSafe(|| adapter.delete(victims))) {
        Ok(report) => report.answers,
        Err(_) => {
            let panicked =
                || L2Error::new(ErrorKind::Bug, "the adapter panicked during a delete; please report it");
            victims.iter().map(|key| Deleted::Failed(panicked().with_key(key))).collect()
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("left", &self.left).field("done", &self.done).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use l2_core::StoreItem;
    use l2_core::memory::Region;
    use l2_core::testing::{MemoryAdapter, fixtures};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use crate::lru::Lru;
    use crate::policy::EvictionPolicy;
    use crate::watermark::Watermark;

    /// Counts warnings.
    struct Warnings(Arc<AtomicU64>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_goes_on_failing_is_logged_once() {
        let adapter: Arc<dyn L2Adapter> = Arc::new(MemoryAdapter::new(100).unwrap());
        let (key, limit) = (fixtures::key(1), Duration::from_secs(60));
        let memory = Region::allocate(4096).unwrap().lease(0, 100).unwrap().freeze();
        assert!(adapter.submit_store(vec![StoreItem { key: key.clone(), memory }]).wait(limit).is_ok());
        assert_eq!(adapter.submit_lookup_and_lock(vec![key.clone()]).wait(limit).unwrap().prefix_hits(), 1);
        let mut lru = Lru::new();
        lru.accessed(&[key]);
        let (sender, _queue) = mpsc::channel();
        let attached = Attached::new(&adapter, Box::new(lru), Watermark::default(), sender);

        let warnings = Arc::new(AtomicU64::new(0));
        let run = || {
            let mut pass = Pass::new(Arc::clone(&attached));
            while pass.turn() {}
            warnings.load(Ordering::Relaxed)
        };
        tracing::subscriber::with_default(Warnings(Arc::clone(&warnings)), || {
            assert_eq!(run(), 0, "what is pinned is no failure");
            adapter.close().unwrap();
            assert_eq!(run(), 1);
            assert_eq!(run(), 1);
        });
    }
}
