//! A backend: a plugin of an agent, set up, with the limits that keep it from wedging.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::agent::AgentInner;
use crate::capi;
use crate::error::{Error, ErrorKind};
use crate::lists::{BackendHandle, MemoryType, MemoryTypes, OptArgs, Params, c_string, check};
use crate::registered::Registered;

/// Bytes that one descriptor may have: one more, and the kernel moves less than asked.
pub(crate) const DESCRIPTOR_MAX: usize = 0x7fff_f000;

#[derive(Debug)]
pub(crate) struct BackendInner {
    _handle: BackendHandle,
    /// "This backend", for the calls that could otherwise pick another one of the agent.
    pub(crate) this: OptArgs,
    pub(crate) plugin: String,
    memory_types: Vec<MemoryType>,
    /// Descriptors that may be in flight at once.
    queue: usize,
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
    /// Takes room in the queue for so many descriptors.
    pub(crate) fn take_room(self: &Arc<Self>, descriptors: usize) -> Result<QueueRoom, Error> {
        let full = |in_flight| {
            let what = format!(
                "{descriptors} more descriptors would pass the {} of its queue ({in_flight} are in flight); wait for \
                 some, or raise ios_pool_size",
                self.queue
            );
            Error::new(ErrorKind::QueueFull, what).with_plugin(&self.plugin)
        };
        let room = |now: usize| now.checked_add(descriptors).filter(|&sum| sum <= self.queue);
        self.in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .map(|_| QueueRoom { backend: Arc::clone(self), descriptors })
            .map_err(full)
    }
}

/// Room in the queue; given back on drop.
#[derive(Debug)]
pub(crate) struct QueueRoom {
    backend: Arc<BackendInner>,
    descriptors: usize,
}

impl Drop for QueueRoom {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(self.descriptors, Ordering::AcqRel);
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
        let queue = queue_size(plugin, &parameters)?;
        let name = c_string(plugin, "plugin name")?;
        let params = Params::new(parameters)?;
        let mut handle = ptr::null_mut();
        // SAFETY: a live agent, a terminated name, live parameters (copied by NIXL), a place for the handle.
        let status =
            unsafe { capi::nixl_capi_create_backend(agent.raw(), name.as_ptr(), params.raw(), &mut handle) };
        check(
            "nixl_capi_create_backend",
            status,
            "cannot be set up; check its parameters, its driver, and that the agent has no other one of it",
        )
        .map_err(|error| error.with_plugin(plugin))?;
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
            queue,
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

    /// How many descriptors may be in flight at once. A part of up to 2 GiB - 4 KiB is one descriptor.
    pub fn queue_size(&self) -> usize {
        self.0.queue
    }

    /// Descriptors in flight now, those of parked transfers included.
    pub fn descriptors_in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
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

/// Most descriptors in flight. POSIX: past its pool of I/Os, a post wedges the backend for ever. Other plugins have
/// no such pool; a bound far above any use keeps the count honest.
fn queue_size(plugin: &str, parameters: &BTreeMap<&str, &str>) -> Result<usize, Error> {
    const POOL: std::ops::RangeInclusive<usize> = 64..=65536;
    if plugin != "POSIX" {
        return Ok(*POOL.end());
    }
    if parameters.get("use_posix_aio").is_some_and(|value| is_true(value)) {
        let what = "use_posix_aio is refused: one I/O error poisons that queue, and closing it crashes the process; \
                    use the default queue or use_uring";
        return Err(Error::invalid(what).with_plugin(plugin));
    }
    match parameters.get("ios_pool_size") {
        None => Ok(*POOL.end()),
        Some(text) => {
            let size = text.parse().ok().filter(|size| POOL.contains(size));
            size.ok_or_else(|| {
                Error::invalid(format!("ios_pool_size {text:?} is not a number from 64 to 65536"))
                    .with_plugin(plugin)
            })
        }
    }
}

/// As NIXL reads a boolean parameter.
fn is_true(value: &str) -> bool {
    ["true", "1", "yes", "on", "enable"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_of_posix_is_its_pool_and_posix_aio_is_refused() {
        let size =
            |pairs: &[(&'static str, &'static str)]| queue_size("POSIX", &pairs.iter().copied().collect());
        assert_eq!(size(&[]).unwrap(), 65536);
        assert_eq!(size(&[("ios_pool_size", "64")]).unwrap(), 64);
        for bad in ["63", "65537", "many", "-1", ""] {
            assert_eq!(size(&[("ios_pool_size", bad)]).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
        for yes in ["true", "1", "YES", "on", "Enable"] {
            assert_eq!(size(&[("use_posix_aio", yes)]).unwrap_err().kind(), ErrorKind::InvalidInput, "{yes}");
        }
        assert!(size(&[("use_posix_aio", "false")]).is_ok());
    }
}
