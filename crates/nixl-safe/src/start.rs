//! Starting a transfer: what is checked, and what it takes along.

use std::ptr;
use std::sync::Arc;

use l2_memory::{Lease, Region, SharedLease};

use crate::backend::{Backend, DESCRIPTOR_MAX, QueueRoom};
use crate::capi;
use crate::error::Error;
use crate::lists::{MemoryType, XferList, check};
use crate::registration::Registration;
use crate::transfer::{Request, Transfer};
use crate::transfer_memory::TransferMemory;

/// One piece of a transfer: all of `memory`, from or to `offset` of the file or object at `index` of the registration.
#[derive(Debug)]
pub struct Part<M> {
    /// The memory.
    pub memory: M,
    /// Position of the file or object in its registration.
    pub index: usize,
    /// Start in the file or object, in bytes.
    pub offset: u64,
}

/// A transfer that was not started, with the memory it would have owned.
#[derive(Debug)]
pub struct Refused<M> {
    /// Why.
    pub error: Error,
    /// The memory of the parts, in order; empty if NIXL may still be using it (it is freed when NIXL is done).
    pub memory: Vec<M>,
}

impl Backend {
    /// Starts a request that fills memory from storage ([`Lease`]) or writes it there ([`SharedLease`]).
    ///
    /// `memory` is the registration of the region that all leases are of, `storage` that of the files or objects.
    /// Object stores take one part a request: their requests fail before all parts have stopped. Memory that is to be
    /// filled from an object is cleared first, since a store that has less than asked leaves the rest untouched.
    ///
    /// # Errors
    /// [`Refused`] gives the memory back: [`crate::ErrorKind::QueueFull`] to be tried again later, else for good.
    pub fn start<M: TransferMemory>(
        &self,
        memory: &Registration,
        storage: &Registration,
        parts: Vec<Part<M>>,
    ) -> Result<Transfer<M>, Refused<M>> {
        start(self, memory, storage, parts)
    }

    /// [`Backend::start`], from storage to memory.
    ///
    /// # Errors
    /// As [`Backend::start`].
    pub fn start_read(
        &self,
        memory: &Registration,
        storage: &Registration,
        parts: Vec<Part<Lease>>,
    ) -> Result<Transfer<Lease>, Refused<Lease>> {
        start(self, memory, storage, parts)
    }

    /// [`Backend::start`], from memory to storage.
    ///
    /// # Errors
    /// As [`Backend::start`].
    pub fn start_write(
        &self,
        memory: &Registration,
        storage: &Registration,
        parts: Vec<Part<SharedLease>>,
    ) -> Result<Transfer<SharedLease>, Refused<SharedLease>> {
        start(self, memory, storage, parts)
    }
}

fn start<M: TransferMemory>(
    backend: &Backend,
    memory: &Registration,
    storage: &Registration,
    mut parts: Vec<Part<M>>,
) -> Result<Transfer<M>, Refused<M>> {
    let described = match describe(backend, memory, storage, &parts) {
        Ok(described) => described,
        Err(error) => {
            return Err(Refused { error, memory: parts.into_iter().map(|part| part.memory).collect() });
        }
    };
    if reading::<M>() && storage.kind() == MemoryType::Object {
        parts.iter_mut().for_each(|part| part.memory.clear());
    }
    let owned: Vec<M> = parts.into_iter().map(|part| part.memory).collect();
    let agent = backend.agent();
    let mut handle = ptr::null_mut();
    // SAFETY: a live agent, two live lists and options that NIXL copies, a terminated name, a place for the handle.
    let status = unsafe {
        capi::nixl_capi_create_xfer_req(
            agent.raw(),
            M::OPERATION,
            described.local.raw(),
            described.remote.raw(),
            agent.name().as_ptr(),
            &mut handle,
            backend.0.this.raw(),
        )
    };
    if let Err(error) = check("nixl_capi_create_xfer_req", status, "cannot set up a transfer") {
        return Err(Refused { error: error.with_plugin(backend.plugin()), memory: owned });
    }
    // From here on, whatever happens, the request owns what NIXL may use.
    let transfer = Transfer::posted(Request {
        handle,
        memory: owned,
        _registrations: [memory.clone(), storage.clone()],
        _room: described.room,
        backend: Arc::clone(&backend.0),
    });
    // SAFETY:
    // - a live agent and its request, which no other thread knows yet;
    // - its memory, files and registrations are owned by `transfer`, which keeps them until a final status.
    let status = unsafe { capi::nixl_capi_post_xfer_req(agent.raw(), handle, backend.0.this.raw()) };
    if status == capi::SUCCESS || status == capi::IN_PROGRESS {
        return Ok(transfer);
    }
    let what = "cannot start a transfer; a file may be opened for the other direction only, or be of a kind that cannot \
                be transferred";
    let error = Error::of_call("nixl_capi_post_xfer_req", status, what).with_plugin(backend.plugin());
    // A request whose first I/Os are taken and whose later ones are refused is in progress to NIXL, not failed. Its
    // status is asked all the same, should a plugin see that differently.
    Err(Refused { error, memory: transfer.give_up() })
}

fn reading<M: TransferMemory>() -> bool {
    M::OPERATION == capi::OP_READ
}

/// The descriptors of both sides, and room for them in the queue.
struct Described {
    local: XferList,
    remote: XferList,
    room: QueueRoom,
}

fn describe<M: TransferMemory>(
    backend: &Backend,
    memory: &Registration,
    storage: &Registration,
    parts: &[Part<M>],
) -> Result<Described, Error> {
    for registration in [memory, storage] {
        if !Arc::ptr_eq(registration.backend(), &backend.0) {
            let what = "a registration is of another backend; register with the one that is to move it";
            return Err(Error::invalid(what).with_plugin(backend.plugin()));
        }
    }
    if parts.is_empty() {
        return Err(Error::invalid("a transfer has no parts"));
    }
    if storage.kind() == MemoryType::Object && parts.len() != 1 {
        let what =
            format!("an object store takes one part a request, not {}; start one for each", parts.len());
        return Err(Error::invalid(what).with_plugin(backend.plugin()));
    }
    let mut local = XferList::new(memory.kind())?;
    let mut remote = XferList::new(storage.kind())?;
    let mut descriptors = 0;
    let mut known: Option<(&Region, u64)> = None;
    for part in parts {
        let region = part.memory.region();
        let device = match known {
            Some((same, device)) if same.id() == region.id() => device,
            _ => memory.device_of(region)?,
        };
        known = Some((region, device));
        let (address, length) = (part.memory.address(), part.memory.length());
        let place = storage.storage_place(part.index, part.offset, length, reading::<M>())?;
        for start in (0..length).step_by(DESCRIPTOR_MAX) {
            let piece = DESCRIPTOR_MAX.min(length - start);
            local.add(address + start, piece, device)?;
            remote.add(place.address + start, piece, place.device)?;
            descriptors += 1;
        }
    }
    let room = backend.0.take_room(descriptors)?;
    Ok(Described { local, remote, room })
}
