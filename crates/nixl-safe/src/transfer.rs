//! A transfer: owns the memory, the registrations and the queue room that it uses until NIXL is done with them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{BackendInner, ParkedMark, QueueRoom};
use crate::capi::{self, Handle, Status};
use crate::ending;
use crate::error::Error;
use crate::lists::{MemoryType, check};
use crate::parking;
use crate::registration::Registration;
use crate::start::Keep;
use crate::transfer_memory::TransferMemory;

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

/// A request and all that NIXL uses for it. Fields are dropped in order, after the request has been released.
pub(crate) struct Request<M: TransferMemory> {
    pub(crate) handle: Handle,
    pub(crate) memory: Vec<M>,
    pub(crate) _keep: Option<Keep>,
    pub(crate) registrations: [Registration; 2],
    pub(crate) _room: QueueRoom,
    pub(crate) backend: Arc<BackendInner>,
}

// SAFETY:
// - the handle is the only part that is not `Send` by itself (`TransferMemory` implies `Send`); it is not tied to a
//   thread, and is used by one at a time: through `&mut self` or `Drop`.
unsafe impl<M: TransferMemory> Send for Request<M> {}

impl<M: TransferMemory> Request<M> {
    fn status(&mut self) -> Status {
        // It will not be known any more whether it has ended.
        let Some(_inside) = ending::enter() else { return capi::IN_PROGRESS };
        // SAFETY: a live agent (`backend` holds it) and its request, which `&mut self` keeps from anybody else.
        unsafe { capi::nixl_capi_get_xfer_status(self.backend.agent.raw(), self.handle) }
    }
}

impl<M: TransferMemory> Drop for Request<M> {
    /// Only for requests that have a final status: see `Transfer`.
    fn drop(&mut self) {
        let Some(_inside) = ending::enter() else { return };
        // SAFETY: a live agent and its request. It has ended, so NIXL does not touch the memory any more.
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
    Moving(Request<M>),
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
    pub(crate) fn posted(request: Request<M>) -> Self {
        Self { state: State::Moving(request) }
    }

    /// Lets NIXL make progress, and says whether the transfer has ended.
    ///
    /// Does not wait for the data; it may wait for another thread's call on the same agent, such as a start, in which
    /// POSIX's default queue copies buffered files (0.2 ms a MiB).
    pub fn poll(&mut self) -> Progress {
        let State::Moving(request) = &mut self.state else { return Progress::Done };
        let status = request.status();
        if status == capi::IN_PROGRESS {
            return Progress::Pending;
        }
        let [_, storage] = &request.registrations;
        let why = match storage.kind() {
            MemoryType::Object => {
                "a transfer failed; check the bucket or container, the credentials, the endpoint, and that the server is up \
                 (with NIXL_LOG_LEVEL=WARN in the environment NIXL says what it knows of it)"
            }
            _ => {
                "a transfer failed; the disk may be full, the file shorter than asked for, or the device in error"
            }
        };
        let result = check("nixl_capi_get_xfer_status", status, why)
            .map_err(|error| error.with_plugin(&request.backend.plugin));
        let memory = std::mem::take(&mut request.memory);
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

    /// The memory, if the transfer has ended; else none, and it is parked.
    pub(crate) fn give_up(mut self) -> Vec<M> {
        self.poll();
        self.finish().map(|finished| finished.memory).unwrap_or_default()
    }
}

impl<M: TransferMemory> Drop for Transfer<M> {
    fn drop(&mut self) {
        if self.poll() == Progress::Pending
            && let State::Moving(request) = std::mem::replace(&mut self.state, State::Gone)
        {
            let mark = ParkedMark::new(&request.backend);
            parking::park(Box::new(ParkedTransfer { transfer: Transfer::posted(request), _mark: mark }));
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
