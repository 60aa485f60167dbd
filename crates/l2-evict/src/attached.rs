//! What the controller knows of one adapter: the listener on it, and the policy behind it.

use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use l2_core::{L2Adapter, L2Listener, ObjectKey};

use crate::alarm::Alarm;
use crate::controller::Message;
use crate::evictions::Evictions;
use crate::pass::{CHUNK, Pass};
use crate::policy::EvictionPolicy;
use crate::residents::Residents;
use crate::watermark::Watermark;

/// One adapter of a controller. The adapter owns it, as its listener, and it knows the adapter weakly.
///
/// The state's lock is held for work in memory alone: never while the adapter is called, nor while a message is sent.
pub(crate) struct Attached {
    /// Upgraded on the controller's thread alone: the listener is called on the adapter's own threads, where nobody
    /// should be the last to let go of it.
    adapter: Weak<dyn L2Adapter>,
    watermark: Watermark,
    controller: Sender<Message>,
    state: Mutex<State>,
}

pub(crate) struct State {
    /// `None` once detached: a listener cannot be taken away from an adapter, but its memory can.
    pub(crate) residents: Option<Residents>,
    pub(crate) alarm: Alarm,
    pub(crate) evictions: Evictions,
    /// Whether deletes failed in the last pass, so that what goes on failing is logged once.
    pub(crate) failing: bool,
}

impl Attached {
    pub(crate) fn new(
        adapter: &Arc<dyn L2Adapter>,
        policy: Box<dyn EvictionPolicy>,
        watermark: Watermark,
        controller: Sender<Message>,
    ) -> Arc<Self> {
        let state = State {
            residents: Some(Residents::new(policy)),
            alarm: Alarm::ringing(),
            evictions: Evictions::default(),
            failing: false,
        };
        Arc::new(Self { adapter: Arc::downgrade(adapter), watermark, controller, state: Mutex::new(state) })
    }

    pub(crate) fn adapter(&self) -> Option<Arc<dyn L2Adapter>> {
        self.adapter.upgrade()
    }

    pub(crate) fn watermark(&self) -> Watermark {
        self.watermark
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A policy that panicked is the policy's fault; what is told of it later may make it whole again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a pass, unless one is due or under way.
    pub(crate) fn wake(self: &Arc<Self>) {
        let rings = self.state().alarm.ring_anyway();
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
        let state = self.state();
        state.residents.is_none() || !state.alarm.is_awake()
    }

    /// Forgets everything; nothing is evicted from now on, but for a delete under way.
    pub(crate) fn detach(&self) {
        let residents = self.state().residents.take();
        // Outside the lock: it may be ten million keys.
        drop(residents);
    }
}

/// The listener. A type of its own, for it takes an `Arc` to hand a pass to the thread.
pub(crate) struct Ears(pub(crate) Arc<Attached>);

impl Ears {
    fn hear(&self, tell: impl FnOnce(&mut Residents, &mut Alarm)) {
        let rings = {
            let mut state = self.0.state();
            let State { residents: Some(residents), alarm, .. } = &mut *state else { return };
            tell(residents, alarm);
            !residents.is_empty() && alarm.ring()
        };
        if rings {
            self.0.send_pass();
        }
    }
}

impl L2Listener for Ears {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool) {
        let bytes = |objects: &[(ObjectKey, u64)]| {
            objects.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
        };
        if !recovered {
            return self.hear(|residents, alarm| {
                residents.stored(objects);
                alarm.heard_stored(bytes(objects));
            });
        }
        // It may be all that an index holds: nobody should wait for the lock that long.
        for some in objects.chunks(CHUNK) {
            self.hear(|residents, alarm| {
                residents.found(some);
                alarm.heard_stored(bytes(some));
            });
        }
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.hear(|residents, alarm| {
            residents.accessed(keys);
            alarm.heard_accessed(keys.len());
        });
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.hear(|residents, _| objects.iter().for_each(|(key, _)| residents.deleted(key)));
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Attached")
            .field("watermark", &self.watermark)
            .field("held_keys", &state.residents.as_ref().map(Residents::len))
            .field("evictions", &state.evictions)
            .finish()
    }
}
