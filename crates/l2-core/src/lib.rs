//! What an L2 adapter is, whatever stores the bytes.
//!
//! An LLM server keeps the attention keys and values (KV cache) of past prompts in memory it owns (**L1**). An **L2
//! adapter** keeps more of them on storage. This crate says how the two talk:
//!
//! | to read | what it is |
//! |---|---|
//! | [`ObjectKey`], [`KeyScope`] | the name of one chunk of KV |
//! | [`L2Adapter`] | the contract: store, look up and lock, load, unlock, delete, close |
//! | [`StoreItem`], [`LoadItem`] and the reports | what goes in and what comes out, key by key |
//! | [`Task`] | an operation under way: wait with a limit, poll, or await; its result comes out exactly once |
//! | [`EventFds`] | three event descriptors for hosts that poll |
//! | [`L2Listener`], [`Usage`], [`AdapterStatus`] | what a host and an operator watch |
//! | [`Evictable`], [`RoomMaker`] | what eviction sees of an adapter, and how an adapter asks for room |
//! | [`L2Error`], [`ErrorKind`] | what went wrong, with which key, and what to do |
//!
//! [`Desk`] is for those who write adapters: it hands out their tasks, tells their listeners, and makes "every task ends
//! exactly once" hold whatever fails ([`Tasks`], [`Batch`] and [`Completer`] are what it is made of). [`Backlog`] is for stores that have to wait
//! for room. L1 memory is the crate [`l2_memory`], re-exported as [`memory`].
//!
//! # What is not in here
//! NIXL, files, JSON, threads, an adapter. With the feature `test-utils`: the conformance suite that every adapter
//! passes, and an adapter in memory to try it on.
//!
//! # Limits
//! Model names have 1 to 512 bytes, salts at most 128 characters, chunk hashes 1 to 64 bytes. A batch is as long as
//! memory allows. An object has at least 1 byte.
//!
//! # Example
//! ```
//! use l2_core::{KeyScope, ObjectKey};
//!
//! // One scope for all chunks of a model, a rank, a group and a tenant; the key of a chunk costs no allocation.
//! let scope = KeyScope::new("meta-llama/Llama-3.1-8B", 0, 0, "tenant-a")?;
//! let key: ObjectKey = scope.key(&[0xab; 32])?;
//! assert_eq!(key.model_name(), "meta-llama/Llama-3.1-8B");
//! assert_eq!(key.chunk_hash_hex(), "ab".repeat(32));
//!
//! // What cannot be a key says so, with the reason.
//! assert!(KeyScope::new("../etc", 0, 0, "").is_err());
//! # Ok::<(), l2_core::InvalidKey>(())
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod backlog;
mod batch;
mod breaker;
mod breakers;
mod clock;
mod crew;
mod damage;
mod desk;
mod ended;
mod error;
mod events;
mod evictable;
mod hash;
mod key;
mod listener;
mod meters;
mod removals;
mod report;
mod spin;
mod sync;
mod task;
mod tasks;
#[cfg(feature = "test-utils")]
pub mod testing;
#[cfg(test)]
mod tests;
mod usage;

pub use l2_memory as memory;

pub use adapter::L2Adapter;
pub use backlog::{Backlog, Deferred, Moment, Turn, UnderWay};
pub use batch::{Batch, ItemSlot, Outcome};
pub use breaker::{Breaker, BreakerStatus};
pub use breakers::{Access, Breakers};
pub use clock::{Clock, ManualClock};
pub use crew::{Crew, Work};
pub use damage::{Damage, Healed, Heals};
pub use desk::Desk;
pub use error::{ErrorKind, L2Error};
pub use events::EventFds;
pub use evictable::{Candidate, EntryId, Evictable, Evicted, Releases, RoomMaker, ScanCursor, Shown, Stamp};
pub use hash::KeyHasherBuilder;
pub use key::{InvalidKey, KeyScope, ObjectKey};
pub use listener::{L2Listener, Listeners};
pub use meters::{Meters, SECONDS_BUCKETS, Stages, timed};
pub use removals::Removing;
pub use report::{
    DeleteReport, Deleted, LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, StoreItem, StoreOutcome,
    StoreReport, Stored,
};
pub use spin::Spin;
pub use task::{Abandon, Completer, Task, TaskId, TimedOut};
pub use tasks::{Ending, TaskKind, Tasks};
pub use usage::{AdapterStatus, PoolStatus, SaltUsage, Usage};
