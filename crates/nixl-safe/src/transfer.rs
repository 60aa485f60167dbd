//! A transfer: owns the memory, the registrations and the queue room that it uses until NIXL is done with them.

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use l2_memory::{Lease, Region, SharedLease};

use crate::backend::{Backend, BackendInner, DESCRIPTOR_MAX, ParkedMark, QueueRoom};
use crate::capi::{self, Handle, Status};
use crate::error::Error;
use crate::lists::{MemoryType, XferList, check};
use crate::parking;
use crate::registration::Registration;

/// Memory that a transfer can own: [`Lease`] to be filled, [`SharedLease`] to be read.
///
/// Sealed: what makes a transfer safe is what these two types guarantee.
pub trait TransferMemory: sealed::Sealed + fmt::Debug + Send + 'static {
    /// The region that it is of.
    fn region(&self) -> &Region;
}

impl TransferMemory for Lease {
    fn region(&self) -> &Region {
        self.region()
    }
}

impl TransferMemory for SharedLease {
    fn region(&self) -> &Region {
        self.region()
    }
}

mod sealed {
    use l2_memory::{Lease, SharedLease};

    use crate::capi;

    pub trait Sealed {
        /// Which way a transfer moves it.
        const OPERATION: i32;
        fn address(&self) -> usize;
        fn length(&self) -> usize;
        /// Fills it with zeros, where the CPU can.
        fn clear(&mut self);
    }

    impl Sealed for Lease {
        const OPERATION: i32 = capi::OP_READ;
        fn address(&self) -> usize {
            self.as_ptr().addr()
        }
        fn length(&self) -> usize {
            self.len()
        }
        fn clear(&mut self) {
            if let Some(bytes) = self.as_mut_slice() {
                bytes.fill(0);
            }
        }
    }

    impl Sealed for SharedLease {
        const OPERATION: i32 = capi::OP_WRITE;
        fn address(&self) -> usize {
            self.as_ptr().addr()
        }
        fn length(&self) -> usize {
            self.len()
        }
        fn clear(&mut self) {}
    }
}

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

/// How a transfer ended, with the memory it owned.
#[derive(Debug)]
pub struct Finished<M> {
    /// Whether all of it was moved. After an error, what was moved is unspecified: a request has one outcome.
    pub result: Result<(), Error>,
    /// The memory of the parts, in order.
    pub memory: Vec<M>,
}

/// The transfer was not done in time. It goes on: wait again, or drop it, which parks it.
#[derive(Debug)]
pub struct TimedOut<M: TransferMemory>(pub Transfer<M>);

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
    let reading = M::OPERATION == capi::OP_READ;
    let described = describe(backend, memory, storage, &parts, reading);
    let (local, remote, room) = match described {
        Ok(described) => described,
        Err(error) => {
            return Err(Refused { error, memory: parts.into_iter().map(|part| part.memory).collect() });
        }
    };
    if reading && storage.kind() == MemoryType::Object {
        parts.iter_mut().for_each(|part| part.memory.clear());
    }
    let memory_owned: Vec<M> = parts.into_iter().map(|part| part.memory).collect();
    let agent = backend.agent();
    let mut handle = ptr::null_mut();
    // SAFETY: a live agent, two live lists that NIXL copies, a terminated name, a place for the handle.
    let status = unsafe {
        capi::nixl_capi_create_xfer_req(
            agent.raw(),
            M::OPERATION,
            local.raw(),
            remote.raw(),
            agent.name().as_ptr(),
            &mut handle,
            backend.0.this.raw(),
        )
    };
    if let Err(error) = check("nixl_capi_create_xfer_req", status, "cannot set up a transfer") {
        return Err(Refused { error: error.with_plugin(backend.plugin()), memory: memory_owned });
    }
    let owned = Owned {
        handle,
        backend: Arc::clone(&backend.0),
        memory: memory_owned,
        _registrations: [memory.clone(), storage.clone()],
        _room: room,
    };
    // SAFETY: a live agent and its request; the memory, files and registrations it uses are owned by `owned`.
    let status = unsafe { capi::nixl_capi_post_xfer_req(agent.raw(), handle, backend.0.this.raw()) };
    if status == capi::SUCCESS || status == capi::IN_PROGRESS {
        return Ok(Transfer { state: State::Moving(owned) });
    }
    // What of it the plugin had begun by then is known only from the status.
    let error = Error::of_call(
        "nixl_capi_post_xfer_req",
        status,
        "cannot start a transfer; a file may be closed or \
        opened for the other direction",
    )
    .with_plugin(backend.plugin());
    let mut failed = Transfer { state: State::Moving(owned) };
    match failed.poll() {
        Progress::Pending => Err(Refused { error, memory: Vec::new() }),
        Progress::Done => Err(Refused { error, memory: failed.take_memory() }),
    }
}

/// The descriptors of both sides, with room for them in the queue.
fn describe<M: TransferMemory>(
    backend: &Backend,
    memory: &Registration,
    storage: &Registration,
    parts: &[Part<M>],
    reading: bool,
) -> Result<(XferList, XferList, QueueRoom), Error> {
    for registration in [memory, storage] {
        if !Arc::ptr_eq(registration.backend(), &backend.0) {
            return Err(Error::invalid("a registration is of another backend"));
        }
    }
    if parts.is_empty() {
        return Err(Error::invalid("a transfer has no parts"));
    }
    if storage.kind() == MemoryType::Object && parts.len() != 1 {
        return Err(Error::invalid("an object store takes one part a request"));
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
        let place = storage.storage_place(part.index, part.offset, length, reading)?;
        for start in (0..length).step_by(DESCRIPTOR_MAX) {
            let piece = DESCRIPTOR_MAX.min(length - start);
            local.add(address + start, piece, device)?;
            remote.add(place.address + start, piece, place.device)?;
            descriptors += 1;
        }
    }
    Ok((local, remote, backend.0.take_room(descriptors)?))
}

/// A request and all that NIXL uses for it. Fields are dropped in order, after the request has been released.
struct Owned<M: TransferMemory> {
    handle: Handle,
    memory: Vec<M>,
    _registrations: [Registration; 2],
    _room: QueueRoom,
    backend: Arc<BackendInner>,
}

// SAFETY: the request's handle is not tied to a thread, and is used by one at a time: through `&mut self` or `Drop`.
unsafe impl<M: TransferMemory> Send for Owned<M> {}

impl<M: TransferMemory> Owned<M> {
    fn status(&mut self) -> Status {
        // SAFETY: a live agent and its request, which nobody else uses meanwhile.
        unsafe { capi::nixl_capi_get_xfer_status(self.backend.agent.raw(), self.handle) }
    }
}

impl<M: TransferMemory> Drop for Owned<M> {
    /// Only for requests that have a final status: see `Transfer`.
    fn drop(&mut self) {
        // SAFETY: a live agent and its request. It has ended (or was never posted), so NIXL does not touch the memory
        // any more.
        let released = unsafe { capi::nixl_capi_release_xfer_req(self.backend.agent.raw(), self.handle) };
        if released == capi::SUCCESS {
            // SAFETY: released, owned by this value alone, and not used after.
            unsafe { capi::nixl_capi_destroy_xfer_req(self.handle) };
        } else {
            // The handle is lost: a few hundred bytes, rather than a use after free.
            tracing::error!(
                status = released,
                plugin = self.backend.plugin,
                "NIXL would not release a request"
            );
        }
    }
}

/// Whether a transfer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not yet.
    Pending,
    /// Yes: [`Transfer::finish`] gives the outcome.
    Done,
}

enum State<M: TransferMemory> {
    Moving(Owned<M>),
    Ended(Finished<M>),
    /// Taken apart; only while a method or `Drop` runs.
    Gone,
}

/// Data on its way between memory and storage.
///
/// It owns its memory until NIXL gives a final status. Dropping one in flight is safe: it is parked with all it owns,
/// and a thread, started for that, polls it until NIXL is done. NIXL makes progress only when it is polled (POSIX), so
/// poll, [`Transfer::wait`], or drop it.
#[must_use = "a transfer makes progress only when it is polled"]
pub struct Transfer<M: TransferMemory> {
    state: State<M>,
}

impl<M: TransferMemory> Transfer<M> {
    /// Lets NIXL make progress, and says whether the transfer has ended. Never blocks.
    pub fn poll(&mut self) -> Progress {
        let State::Moving(owned) = &mut self.state else { return Progress::Done };
        let status = owned.status();
        if status == capi::IN_PROGRESS {
            return Progress::Pending;
        }
        let result = check(
            "nixl_capi_get_xfer_status",
            status,
            "a transfer failed; the disk may be full, the file \
            short, or the device in error",
        )
        .map_err(|error| error.with_plugin(&owned.backend.plugin));
        let memory = std::mem::take(&mut owned.memory);
        self.state = State::Ended(Finished { result, memory });
        Progress::Done
    }

    /// The outcome, if the transfer has ended; itself otherwise.
    ///
    /// # Errors
    /// The transfer, when it is still under way.
    pub fn finish(mut self) -> Result<Finished<M>, Self> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Ended(finished) => Ok(finished),
            state => {
                self.state = state;
                Err(self)
            }
        }
    }

    /// Polls until the transfer has ended, at most for `limit`, sleeping 20 to 500 µs between polls.
    ///
    /// # Errors
    /// [`TimedOut`] with the transfer, which goes on.
    pub fn wait(mut self, limit: Duration) -> Result<Finished<M>, TimedOut<M>> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        while self.poll() == Progress::Pending {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(TimedOut(self));
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_micros(500));
        }
        self.finish().map_err(TimedOut)
    }

    fn take_memory(&mut self) -> Vec<M> {
        match &mut self.state {
            State::Ended(finished) => std::mem::take(&mut finished.memory),
            _ => Vec::new(),
        }
    }
}

impl<M: TransferMemory> Drop for Transfer<M> {
    fn drop(&mut self) {
        if self.poll() == Progress::Pending
            && let State::Moving(owned) = std::mem::replace(&mut self.state, State::Gone)
        {
            let mark = ParkedMark::new(&owned.backend);
            parking::park(Box::new(ParkedTransfer {
                transfer: Transfer { state: State::Moving(owned) },
                _mark: mark,
            }));
        }
    }
}

impl<M: TransferMemory> fmt::Debug for Transfer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Moving(_) => "moving",
            State::Ended(_) => "ended",
            State::Gone => "gone",
        };
        write!(f, "Transfer({state})")
    }
}

struct ParkedTransfer<M: TransferMemory> {
    transfer: Transfer<M>,
    _mark: ParkedMark,
}

impl<M: TransferMemory> parking::Parked for ParkedTransfer<M> {
    fn has_ended(&mut self) -> bool {
        self.transfer.poll() == Progress::Done
    }
}
