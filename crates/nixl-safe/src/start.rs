//! Starting a transfer: what is checked, and what it takes along.

use std::any::Any;
use std::ptr;
use std::sync::Arc;

use l2_memory::{Lease, Region, SharedLease};

use crate::backend::{Backend, QueueRoom};
use crate::capi;
use crate::ending;
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

/// One stretch of a transfer: some bytes of one of its leases, from or to one place of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Position of the lease among those of the transfer.
    pub lease: usize,
    /// Start in the lease, in bytes.
    pub from: usize,
    /// How many bytes, at least 1.
    pub length: usize,
    /// Position of the file or object in its registration.
    pub index: usize,
    /// Start in the file or object, in bytes.
    pub offset: u64,
}

/// Something that must outlive a transfer, also one that is parked: it is dropped once NIXL has ended it.
pub type Keep = Arc<dyn Any + Send + Sync>;

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
        let whole = |(lease, part): (usize, &Part<M>)| Run {
            lease,
            from: 0,
            length: part.memory.length(),
            index: part.index,
            offset: part.offset,
        };
        let runs: Vec<Run> = parts.iter().enumerate().map(whole).collect();
        let leases = parts.into_iter().map(|part| part.memory).collect();
        self.start_runs(memory, storage, leases, &runs, None)
    }

    /// [`Backend::start`] for memory that lies scattered on the storage, or is moved in several rounds: only the bytes
    /// that `runs` name are moved, and all leases are owned until NIXL has ended the request. So is what it is to `keep`.
    ///
    /// # Errors
    /// As [`Backend::start`].
    pub fn start_runs<M: TransferMemory>(
        &self,
        memory: &Registration,
        storage: &Registration,
        leases: Vec<M>,
        runs: &[Run],
        keep: Option<Keep>,
    ) -> Result<Transfer<M>, Refused<M>> {
        start(self, [memory, storage], leases, runs, keep)
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
        self.start(memory, storage, parts)
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
        self.start(memory, storage, parts)
    }
}

fn start<M: TransferMemory>(
    backend: &Backend,
    [memory, storage]: [&Registration; 2],
    mut leases: Vec<M>,
    runs: &[Run],
    keep: Option<Keep>,
) -> Result<Transfer<M>, Refused<M>> {
    let described = match describe(backend, memory, storage, &leases, runs) {
        Ok(described) => described,
        Err(error) => return Err(Refused { error, memory: leases }),
    };
    if reading::<M>() && storage.kind() == MemoryType::Object {
        for run in runs {
            if let Some(lease) = leases.get_mut(run.lease) {
                lease.clear(run.from, run.length);
            }
        }
    }
    let Some(_inside) = ending::enter() else {
        return Err(Refused { error: ending::error(), memory: leases });
    };
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
        return Err(Refused { error: error.with_plugin(backend.plugin()), memory: leases });
    }
    // From here on, whatever happens, the request owns what NIXL may use.
    let transfer = Transfer::posted(Request {
        handle,
        memory: leases,
        _keep: keep,
        registrations: [memory.clone(), storage.clone()],
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
    leases: &[M],
    runs: &[Run],
) -> Result<Described, Error> {
    for registration in [memory, storage] {
        if !Arc::ptr_eq(registration.backend(), &backend.0) {
            let what = "a registration is of another backend; register with the one that is to move it";
            return Err(Error::invalid(what).with_plugin(backend.plugin()));
        }
    }
    if runs.is_empty() {
        return Err(Error::invalid("a transfer has no parts"));
    }
    if storage.kind() == MemoryType::Object && runs.len() != 1 {
        let what =
            format!("an object store takes one part a request, not {}; start one for each", runs.len());
        return Err(Error::invalid(what).with_plugin(backend.plugin()));
    }
    let longest = backend.descriptor_bytes();
    // First, for a full queue is asked again and again.
    let room = backend.0.take_room(runs.iter().map(|run| run.length.div_ceil(longest)).sum())?;
    let mut local = XferList::new(memory.kind())?;
    let mut remote = XferList::new(storage.kind())?;
    let mut known: Option<(&Region, u64)> = None;
    for run in runs {
        let lease = check_run(leases, run)?;
        let region = lease.region();
        let device = match known {
            Some((same, device)) if same.id() == region.id() => device,
            _ => memory.device_of(region)?,
        };
        known = Some((region, device));
        let address = lease.address() + run.from;
        let place = storage.storage_place(run.index, run.offset, run.length, reading::<M>())?;
        for start in (0..run.length).step_by(longest) {
            let piece = longest.min(run.length - start);
            local.add(address + start, piece, device)?;
            remote.add(place.address + start, piece, place.device)?;
        }
    }
    Ok(Described { local, remote, room })
}

/// The lease that a run is of, which must hold all its bytes.
fn check_run<'a, M: TransferMemory>(leases: &'a [M], run: &Run) -> Result<&'a M, Error> {
    let Some(lease) = leases.get(run.lease) else {
        let what = format!("there is no lease {}: the transfer has {}, from 0", run.lease, leases.len());
        return Err(Error::invalid(what));
    };
    let end = run.from.checked_add(run.length);
    if run.length == 0 || end.is_none_or(|end| end > lease.length()) {
        let what = format!("{} bytes at {} are not in a lease of {}", run.length, run.from, lease.length());
        return Err(Error::invalid(what));
    }
    Ok(lease)
}
