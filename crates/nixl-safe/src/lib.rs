//! A safe layer over NIXL, NVIDIA's transfer library, for moving memory to and from storage.
//!
//! NIXL moves data between registered memory (main memory, GPU memory) and storage (files, object stores) through
//! plugins. Its C interface trusts its caller entirely: a request released too early writes to freed memory, a file
//! deregistered too early writes to somebody else's file, a queue filled by one too many never moves again. Here each
//! of these is out of reach of safe code.
//!
//! | type | what it is | what it keeps alive |
//! |---|---|---|
//! | [`Nixl`] | proof that the library is open, with all that is called | the library, for good |
//! | [`Agent`] | NIXL's unit of state | |
//! | [`Backend`] | a plugin of an agent, set up | the agent |
//! | [`Registration`] | memory, files or objects that a backend may move, each entered in NIXL once | these, and the backend |
//! | [`Transfer`] | data on its way | its memory, its registrations, its room in the queue |
//!
//! Memory is owned by leases (`l2_memory`, re-exported as [`memory`]): a transfer takes them by value and gives them
//! back when NIXL has a final status. A transfer that is dropped in flight is parked until then. So nobody can touch
//! memory under a transfer:
//!
//! ```compile_fail,E0382
//! # use nixl_safe::{Backend, Part, Registration, memory::Lease};
//! fn peek(backend: &Backend, memory: &Registration, files: &Registration, lease: Lease) {
//!     let part = Part { memory: lease, index: 0, offset: 0 };
//!     let transfer = backend.start_read(memory, files, vec![part]);
//!     println!("{:?}", lease.as_slice()); // it is the transfer's now
//! }
//! ```
//!
//! # What is not in here
//! Caching, keys, policy; NIXL's side for moving data between machines (metadata, notifications).
//!
//! # Limits
//! One library a process. One backend of each plugin an agent. POSIX: `ios_pool_size` descriptors in flight (64 to
//! 65536), and no `use_posix_aio`. A descriptor has at most 2 GiB - 4 KiB; longer leases are split. GDS: a descriptor has
//! at most `max_request_size` (16 MiB), a request `batch_limit` of them (128), and `batch_pool_size` requests are in flight
//! (16); its success is no proof that bytes moved, and asking it for progress waits for the batch. HF3FS: one part a
//! request, and `mem_config` `dram`. Object stores: one part a request, written whole, at most 2 GiB - 4 KiB. No call has a time limit of its own but [`Transfer::wait`];
//! NIXL's object plugins give up on a dead server after about 25 s.
//!
//! # Example
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use nixl_safe::{Nixl, Part, memory::Region};
//!
//! let nixl = Nixl::load()?;
//! let backend = nixl.agent("example")?.backend("POSIX", [("ios_pool_size", "64")])?;
//!
//! let region = Region::allocate(1 << 20)?;
//! let memory = backend.register_memory(&region)?;
//! let file = std::fs::File::open("/data/chunk.bin")?;
//! let files = backend.register_files(vec![Arc::new(file.into())])?;
//!
//! let part = Part { memory: region.lease(0, 4096)?, index: 0, offset: 0 };
//! let transfer = backend.start_read(&memory, &files, vec![part]).map_err(|refused| refused.error)?;
//! match transfer.wait(Duration::from_secs(10)) {
//!     Ok(finished) => {
//!         finished.result?;
//!         println!("{:?}", &finished.memory[0].as_slice().map(|bytes| bytes[0]));
//!     }
//!     // Dropped, it keeps its lease until NIXL has let go of the memory.
//!     Err(timed_out) => drop(timed_out),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod backend;
mod capi;
mod ending;
mod error;
mod find;
mod limits;
mod lists;
mod load;
mod parking;
mod prerequisites;
mod query;
mod registered;
mod registration;
mod start;
#[cfg(test)]
mod tests;
mod transfer;
mod transfer_memory;
mod version;
mod what_to_check;

pub use l2_memory as memory;

pub use agent::{Agent, PluginInfo};
pub use backend::Backend;
pub use error::{Error, ErrorKind, Tried};
pub use lists::MemoryType;
pub use load::Nixl;
pub use query::Found;
pub use registration::{ObjectName, Registration};
pub use start::{Keep, Part, Refused, Run};
pub use transfer::{Finished, Progress, TimedOut, Transfer};
pub use transfer_memory::TransferMemory;
