//! What the controller knows of one adapter: the listener on it, the policy behind it, and what is to go.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use l2_core::{Candidate, ErrorKind, Evictable, Evicted, L2Error, L2Listener, ObjectKey, RoomMaker};

use crate::alarm::Alarm;
use crate::controller::Message;
use crate::evictions::Evictions;
use crate::pass::Pass;
use crate::policy::{EvictionPolicy, Want};
use crate::watermark::Watermark;
use crate::work::Work;

/// Most objects that are deleted in one call: so that adapters take turns.
pub(crate) const CHUNK: usize = 128;

/// One adapter of a controller. The adapter owns it, as its listener and room maker; it knows the adapter's objects
/// weakly.
///
/// Lock order: the policy, then the work. Neither is held while anything is deleted, and the policy's alone while stamps
/// are read: a store that asks for room may wait for that.
pub(crate) struct Attached {
    residents: Weak<dyn Evictable>,
    watermark: Watermark,
    controller: Sender<Message>,
    /// `None` once detached: a listener cannot be taken away from an adapter, but its memory can.
    policy: Mutex<Option<Box<dyn EvictionPolicy>>>,
    hears_stores: bool,
    work: Mutex<Work>,
    /// Bytes that were freed so far.
    freed: AtomicU64,
    /// Something was freed, or will not be.
    pub(crate) changed: Condvar,
}

impl Attached {
    pub(crate) fn new(
        residents: &Arc<dyn Evictable>,
        policy: Box<dyn EvictionPolicy>,
        watermark: Watermark,
        controller: Sender<Message>,
    ) -> Arc<Self> {
        let attached = Arc::new_cyclic(|own: &Weak<Self>| {
            let mut policy = policy;
            let own = own.clone();
            policy.wakes(Arc::new(move || {
                if let Some(attached) = own.upgrade() {
                    attached.wake();
                }
            }));
            Self {
                residents: Arc::downgrade(residents),
                watermark,
                controller,
                hears_stores: policy.hears_stores(),
                policy: Mutex::new(Some(policy)),
                work: Mutex::new(Work::new(Alarm::ringing())),
                freed: AtomicU64::new(0),
                changed: Condvar::new(),
            }
        });
        residents.set_room_maker(Arc::clone(&attached) as Arc<dyn RoomMaker>);
        attached
    }

    pub(crate) fn residents(&self) -> Option<Arc<dyn Evictable>> {
        self.residents.upgrade()
    }

    pub(crate) fn watermark(&self) -> Watermark {
        self.watermark
    }

    pub(crate) fn work(&self) -> MutexGuard<'_, Work> {
        // Each change is whole before the lock is given back; nothing under it can panic.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a pass, unless one is due or under way.
    pub(crate) fn wake(self: &Arc<Self>) {
        let rings = self.work().alarm.ring_anyway();
        if rings {
            self.send_pass();
        }
    }

    /// The alarm rang: hands a pass to the thread.
    pub(crate) fn send_pass(self: &Arc<Self>) {
        // It fails when the controller is gone, and then nothing is to be done any more.
        drop(self.controller.send(Message::Turn(Pass::new(Arc::clone(self)))));
    }

    pub(crate) fn is_idle(&self) -> bool {
        let work = self.work();
        work.is_detached || !work.alarm.is_awake()
    }

    /// Forgets everything; nothing is evicted from now on, but for a delete under way.
    pub(crate) fn detach(&self) {
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.work().is_detached = true;
        if let Some(residents) = self.residents() {
            residents.unset_room_maker(self);
            self.pardon_all(&*residents);
        }
        // Outside the locks: it may be large.
        drop(policy);
    }

    /// Puts back what is to go next.
    pub(crate) fn pardon_all(&self, residents: &dyn Evictable) {
        let condemned = self.work().take_back();
        residents.pardon(&condemned);
    }

    /// Asks the policy something, after telling it what it has not heard yet. `None` when detached, or when it panics,
    /// which harms nobody else.
    pub(crate) fn ask<R>(
        &self,
        residents: &dyn Evictable,
        ask: impl FnOnce(&mut dyn EvictionPolicy) -> R,
    ) -> Option<R> {
        let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = policy.as_mut()?;
        let heard = std::mem::take(&mut self.work().heard);
        let asked = catch_unwind(AssertUnwindSafe(|| {
            if !heard.is_empty() {
                policy.stored(residents, &heard);
            }
            ask(&mut **policy)
        }));
        if asked.is_err() {
            tracing::error!("an eviction policy panicked; nothing is evicted for now");
        }
        asked.ok()
    }

    /// Has the policy choose, and takes what it chose out of sight: it is in the work then. How many objects.
    pub(crate) fn choose<'w>(&self, residents: &dyn Evictable, want: impl Fn() -> Option<Want<'w>>) -> usize {
        // What is out of sight and not yet in the work is not lost: others wait for it.
        let _choosing = Choosing::begin(self);
        // Each try uses victims up that were used after they were chosen, so that it comes to a new scan; the bound is for
        // policies that repeat themselves.
        let most = usize::try_from(residents.objects()).unwrap_or(usize::MAX).saturating_add(CHUNK);
        let mut tried = 0;
        while tried < most {
            let victims = self.ask(residents, |policy| want().map(|want| policy.victims(residents, want)));
            let victims = victims.flatten().unwrap_or_default();
            if victims.is_empty() {
                break;
            }
            tried += victims.len();
            let condemned = residents.condemn(&victims);
            if condemned.is_empty() {
                continue;
            }
            let mut work = self.work();
            if work.is_detached {
                drop(work);
                residents.pardon(&condemned);
                break;
            }
            let chosen = condemned.len();
            work.add(condemned);
            return chosen;
        }
        0
    }

    /// Deletes condemned objects that were taken from the work. What became of them.
    pub(crate) fn evict(&self, residents: &dyn Evictable, condemned: &[Candidate]) -> Evictions {
        let mut answers = catch(|| residents.evict(condemned)).unwrap_or_else(|| {
            // What it had not come to is out of sight still, and in nobody's hands.
            catch(|| residents.pardon(condemned));
            Vec::new()
        });
        // Those that a faulty adapter gives no answer for.
        answers.resize_with(condemned.len(), || Evicted::Failed(no_answer()));
        let is_gone = |answer: &Evicted| matches!(answer, Evicted::Freed { .. });
        let gone = condemned.iter().zip(&answers).filter(|(_, answer)| is_gone(answer));
        let gone: Vec<Candidate> = gone.map(|(candidate, _)| *candidate).collect();
        let bytes = condemned.iter().map(|candidate| candidate.bytes).sum();
        let done = self.settle(answers, Work::end, bytes);
        if !gone.is_empty() {
            self.ask(residents, |policy| policy.evicted(&gone));
        }
        done
    }

    /// Tries again to delete at most so many of the objects that could not be deleted before. What became of them.
    pub(crate) fn evict_again(&self, residents: &dyn Evictable, most: usize) -> Evictions {
        if residents.stranded() == 0 {
            return Evictions::default();
        }
        self.work().begin();
        let answers = catch(|| residents.evict_again(most));
        self.settle(answers.unwrap_or_else(|| vec![Evicted::Failed(no_answer())]), Work::end_again, 0)
    }

    /// Counts what became of objects, and tells those who wait.
    fn settle(&self, answers: Vec<Evicted>, end: fn(&mut Work, &Evictions, u64), bytes: u64) -> Evictions {
        let (mut done, mut first_failure) = (Evictions::default(), None);
        for answer in answers {
            match answer {
                Evicted::Freed { bytes } => {
                    done.objects += 1;
                    done.bytes += bytes;
                }
                Evicted::Spared => done.spared += 1,
                Evicted::Failed(error) => {
                    done.failed += 1;
                    first_failure.get_or_insert(error);
                }
            }
        }
        self.freed.fetch_add(done.bytes, Ordering::Release);
        let was_failing = {
            let mut work = self.work();
            end(&mut work, &done, bytes);
            let was_failing = work.is_failing;
            // Others may have had them all: that says nothing.
            if done.objects + done.failed > 0 {
                work.is_failing = done.failed > 0;
            }
            was_failing
        };
        self.changed.notify_all();
        if let Some(error) = first_failure
            && !was_failing
        {
            tracing::warn!(failed = done.failed, %error, "objects could not be evicted; they are tried again");
        }
        done
    }

    /// Bytes that were freed so far.
    pub(crate) fn freed_bytes(&self) -> u64 {
        self.freed.load(Ordering::Acquire)
    }
}

/// What an adapter answers; `None` when it panics, which harms nobody else.
pub(crate) fn catch<R>(evict: impl FnOnce() -> R) -> Option<R> {
    let answers = catch_unwind(AssertUnwindSafe(evict));
    if answers.is_err() {
        tracing::error!("an adapter panicked while it evicted; please report it");
    }
    answers.ok()
}

fn no_answer() -> L2Error {
    L2Error::new(ErrorKind::Io, "the adapter gave no answer")
}

/// Somebody is choosing, until this is dropped.
struct Choosing<'a>(&'a Attached);

impl<'a> Choosing<'a> {
    fn begin(attached: &'a Attached) -> Self {
        attached.work().choosing += 1;
        Self(attached)
    }
}

impl Drop for Choosing<'_> {
    fn drop(&mut self) {
        self.0.work().choosing -= 1;
        self.0.changed.notify_all();
    }
}

/// The listener. A type of its own, for it takes an `Arc` to hand a pass to the thread.
pub(crate) struct Ears(pub(crate) Arc<Attached>);

impl L2Listener for Ears {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], _recovered: bool) {
        let bytes = objects.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
        let rings = {
            let mut work = self.0.work();
            if work.is_detached {
                return;
            }
            if self.0.hears_stores {
                work.heard.extend_from_slice(objects);
            }
            work.alarm.heard_stored(bytes);
            work.alarm.ring()
        };
        if rings {
            self.0.send_pass();
        }
    }

    fn on_accessed(&self, _: &[ObjectKey]) {}

    fn on_deleted(&self, _: &[(ObjectKey, u64)]) {}

    fn hears_accesses(&self) -> bool {
        false
    }

    fn hears_what_is_there(&self) -> bool {
        false
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("watermark", &self.watermark)
            .field("evictions", &self.work().evictions)
            .finish_non_exhaustive()
    }
}
