//! A backend: a plugin of an agent, set up, with the limits that keep it from wedging.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::agent::AgentInner;
use crate::capi;
use crate::ending;
use crate::error::{Error, ErrorKind};
use crate::limits::{Limits, Queue};
use crate::lists::{BackendHandle, MemoryType, MemoryTypes, OptArgs, Params, c_string, check};
use crate::registered::Registered;
use crate::what_to_check::what_to_check;

#[derive(Debug)]
pub(crate) struct BackendInner {
    _handle: BackendHandle,
    /// "This backend", for the calls that could otherwise pick another one of the agent.
    pub(crate) this: OptArgs,
    pub(crate) plugin: String,
    memory_types: Vec<MemoryType>,
    limits: Limits,
    in_flight: AtomicUsize,
    parked: AtomicUsize,
    pub(crate) registered: Registered,
    pub(crate) agent: Arc<AgentInner>,
}

// SAFETY: the two handles are all that is not `Send` by itself; neither is tied to a thread.
unsafe impl Send for BackendInner {}
// SAFETY: neither handle is changed once it is made: `_handle` is only freed, and `this` is read by calls on the agent.
unsafe impl Sync for BackendInner {}

impl BackendInner {
    /// Takes room in the queue for a request of so many descriptors.
    pub(crate) fn take_room(self: &Arc<Self>, descriptors: usize) -> Result<QueueRoom, Error> {
        if descriptors > self.limits.request {
            let most = self.limits.request;
            let what = format!("a request of {descriptors} descriptors is more than its {most}; split it");
            return Err(Error::invalid(what).with_plugin(&self.plugin));
        }
        let (taken, most, what) = match self.limits.queue {
            Queue::Descriptors(most) => (descriptors, most, "descriptors"),
            Queue::Requests(most) => (1, most, "requests"),
        };
        let room = |now: usize| now.checked_add(taken).filter(|&sum| sum <= most);
        match self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, room) {
            Ok(_) => Ok(QueueRoom { backend: Arc::clone(self), taken }),
            Err(in_flight) => {
                let what = format!(
                    "{taken} more {what} would pass the {most} of its queue ({in_flight} are in flight); wait for some, \
                     or make it larger (POSIX: ios_pool_size, GDS: batch_pool_size)"
                );
                Err(Error::new(ErrorKind::QueueFull, what).with_plugin(&self.plugin))
            }
        }
    }
}

/// Room in the queue; given back on drop.
#[derive(Debug)]
pub(crate) struct QueueRoom {
    backend: Arc<BackendInner>,
    taken: usize,
}

impl Drop for QueueRoom {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(self.taken, Ordering::AcqRel);
    }
}

/// Counts a parked transfer for as long as it lives.
#[derive(Debug)]
pub(crate) struct ParkedMark(Arc<BackendInner>);

impl ParkedMark {
    pub(crate) fn new(backend: &Arc<BackendInner>) -> Self {
        backend.parked.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(backend))
    }
}

impl Drop for ParkedMark {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A plugin of an agent, set up. Cloning it clones a reference.
///
/// Memory, files and objects are registered with it (`registration.rs`), and moved by it (`transfer.rs`).
#[derive(Debug, Clone)]
pub struct Backend(pub(crate) Arc<BackendInner>);

impl Backend {
    pub(crate) fn create(
        agent: &Arc<AgentInner>,
        plugin: &str,
        parameters: BTreeMap<&str, &str>,
    ) -> Result<Self, Error> {
        let limits = Limits::of(plugin, &parameters)?;
        let name = c_string(plugin, "plugin name")?;
        let hint = what_to_check(plugin, &parameters);
        let params = Params::new(parameters)?;
        let mut handle = ptr::null_mut();
        let _inside = ending::enter().ok_or_else(ending::error)?;
        // SAFETY: a live agent, a terminated name, live parameters (copied by NIXL), a place for the handle.
        let status =
            unsafe { capi::nixl_capi_create_backend(agent.raw(), name.as_ptr(), params.raw(), &mut handle) };
        ending::heed(plugin);
        check("nixl_capi_create_backend", status, &hint).map_err(|error| error.with_plugin(plugin))?;
        // SAFETY: just made for us.
        let handle = unsafe { BackendHandle::from_raw(handle) };
        let this = OptArgs::naming(&handle)?;
        let (mut memories, mut actual) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a live agent, its backend, and places for two lists.
        let status = unsafe {
            capi::nixl_capi_get_backend_params(agent.raw(), handle.raw(), &mut memories, &mut actual)
        };
        check("nixl_capi_get_backend_params", status, "cannot be asked what memory it moves")
            .map_err(|error| error.with_plugin(plugin))?;
        // SAFETY: just made for us.
        let memories = unsafe { MemoryTypes::from_raw(memories) };
        // SAFETY: just made for us; only to be freed.
        drop(unsafe { Params::from_raw(actual) });
        Ok(Self(Arc::new(BackendInner {
            _handle: handle,
            this,
            plugin: plugin.to_owned(),
            memory_types: memories.to_vec()?,
            limits,
            in_flight: AtomicUsize::new(0),
            parked: AtomicUsize::new(0),
            registered: Registered::default(),
            agent: Arc::clone(agent),
        })))
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.0.plugin
    }

    /// The kinds of memory that it moves.
    pub fn memory_types(&self) -> &[MemoryType] {
        &self.0.memory_types
    }

    /// Most bytes of one descriptor; longer runs take several.
    pub fn descriptor_bytes(&self) -> usize {
        self.0.limits.descriptor
    }

    /// Most descriptors of one request.
    pub fn request_size(&self) -> usize {
        self.0.limits.request
    }

    /// What is in flight now, parked transfers included: descriptors, or requests where the plugin counts those (GDS).
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// Whether it is a clone of that one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Transfers that were dropped in flight, and that NIXL has not ended yet: they keep their memory until then.
    pub fn parked_transfers(&self) -> usize {
        self.0.parked.load(Ordering::Acquire)
    }

    pub(crate) fn agent(&self) -> &AgentInner {
        &self.0.agent
    }

    pub(crate) fn require(&self, kind: MemoryType) -> Result<(), Error> {
        if self.0.memory_types.contains(&kind) {
            return Ok(());
        }
        let what = format!("cannot move {kind:?} memory, only {:?}", self.0.memory_types);
        Err(Error::invalid(what).with_plugin(&self.0.plugin))
    }
}
