//! What a test sees of the stand-in, and tells it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use super::{IN_PROGRESS, SUCCESS, Status, locked};

/// How one request is to go.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Answer to its creation.
    pub(crate) create: Status,
    /// Answer to its post.
    pub(crate) post: Status,
    /// In progress until [`World::open_gate`].
    pub(crate) held: bool,
    /// In progress for so many polls (after the gate).
    pub(crate) polls: u32,
    /// Its final status.
    pub(crate) end: Status,
    /// Most bytes that it moves, though it claims success: as an object store does at the end of an object.
    pub(crate) at_most: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self { create: SUCCESS, post: IN_PROGRESS, held: false, polls: 1, end: SUCCESS, at_most: usize::MAX }
    }
}

impl Script {
    pub(crate) fn held() -> Self {
        Self { held: true, ..Self::default() }
    }
}

/// One descriptor of a request: both sides of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) address: usize,
    pub(crate) length: usize,
    pub(crate) device: u64,
    pub(crate) offset: usize,
    pub(crate) file: u64,
}

#[derive(Debug, Default)]
struct State {
    scripts: VecDeque<Script>,
    faults: BTreeMap<&'static str, VecDeque<Status>>,
    gate_open: bool,
    objects: BTreeMap<String, Vec<u8>>,
    requests: Vec<Vec<Piece>>,
    events: Vec<String>,
    breaches: Vec<String>,
    alive: BTreeMap<&'static str, usize>,
}

/// The state of one test's NIXL: scripts and faults going in, events and breaches coming out.
#[derive(Debug)]
pub(crate) struct World {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

/// The worlds by the names of their agents.
static WORLDS: Mutex<BTreeMap<String, Weak<World>>> = Mutex::new(BTreeMap::new());

impl World {
    /// A new world. When the test drops it, it checks that all was freed and no rule broken: make it first.
    pub(crate) fn watched() -> Watched {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("world-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let world = Arc::new(Self { name, state: Mutex::default(), changed: Condvar::new() });
        locked(&WORLDS).insert(world.name.clone(), Arc::downgrade(&world));
        Watched(world)
    }

    pub(super) fn of_agent(name: &str) -> Option<Arc<Self>> {
        locked(&WORLDS).get(name).and_then(Weak::upgrade)
    }

    /// The name for this world's agents.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How the next request without a script is to go.
    pub(crate) fn script(&self, script: Script) {
        locked(&self.state).scripts.push_back(script);
    }

    pub(super) fn next_script(&self) -> Script {
        locked(&self.state).scripts.pop_front().unwrap_or_default()
    }

    /// Lets the next call of the function named, without `nixl_capi_`, fail with a status.
    pub(crate) fn fail(&self, call: &'static str, status: Status) {
        locked(&self.state).faults.entry(call).or_default().push_back(status);
    }

    pub(super) fn fault(&self, call: &'static str) -> Option<Status> {
        locked(&self.state).faults.get_mut(call)?.pop_front()
    }

    /// Lets the held requests end, now and from now on.
    pub(crate) fn open_gate(&self) {
        locked(&self.state).gate_open = true;
    }

    pub(super) fn gate_is_open(&self) -> bool {
        locked(&self.state).gate_open
    }

    pub(crate) fn put_object(&self, name: &str, bytes: &[u8]) {
        locked(&self.state).objects.insert(name.to_owned(), bytes.to_vec());
    }

    pub(crate) fn object(&self, name: &str) -> Option<Vec<u8>> {
        locked(&self.state).objects.get(name).cloned()
    }

    pub(super) fn saw_request(&self, pieces: Vec<Piece>) {
        locked(&self.state).requests.push(pieces);
    }

    /// The descriptors of every request that was created, in order.
    pub(crate) fn requests(&self) -> Vec<Vec<Piece>> {
        locked(&self.state).requests.clone()
    }

    pub(super) fn note(&self, event: impl Into<String>) {
        locked(&self.state).events.push(event.into());
    }

    /// What happened, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        locked(&self.state).events.clone()
    }

    pub(crate) fn breach(&self, what: impl Into<String>) {
        locked(&self.state).breaches.push(what.into());
    }

    /// The rules that were broken until now; the world then forgets them.
    pub(crate) fn take_breaches(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.state).breaches)
    }

    pub(super) fn born(&self, what: &'static str) {
        *locked(&self.state).alive.entry(what).or_default() += 1;
    }

    pub(crate) fn died(&self, what: &'static str) {
        *locked(&self.state).alive.entry(what).or_default() -= 1;
        self.changed.notify_all();
    }

    /// How many of `agent`, `backend`, `registered`, `request` are alive.
    pub(crate) fn alive(&self, what: &'static str) -> usize {
        locked(&self.state).alive.get(what).copied().unwrap_or_default()
    }

    /// Waits until nothing is alive any more; a parked transfer's thread may still be at it.
    pub(crate) fn wait_until_empty(&self) {
        let limit = Duration::from_secs(60);
        let busy = |state: &mut State| state.alive.values().any(|&count| count > 0);
        let (state, waited) = self
            .changed
            .wait_timeout_while(locked(&self.state), limit, busy)
            .expect("the lock is not poisoned");
        assert!(!waited.timed_out(), "still alive after {limit:?}: {:?}", state.alive);
    }
}

/// A world that is checked when it is dropped.
pub(crate) struct Watched(Arc<World>);

impl Deref for Watched {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.wait_until_empty();
        locked(&WORLDS).remove(&self.name);
        let breaches = self.take_breaches();
        assert!(breaches.is_empty(), "{breaches:#?} after {:#?}", self.events());
    }
}
