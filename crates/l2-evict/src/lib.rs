//! Which objects go when an L2 adapter fills up, and the thread that makes them go.
//!
//! | to read | what it is |
//! |---|---|
//! | [`EvictionPolicy`] | the order in which objects go; hears what is stored, accessed and deleted |
//! | [`Lru`], [`Noop`] | the least recently used first; none, ever |
//! | [`Watermark`] | how full is too full, and how much goes at once |
//! | [`Controller`], [`Attachment`] | one thread that evicts for any number of adapters |
//! | [`Evictions`] | what was done |
//!
//! ```text
//! adapter's threads: stored, accessed, deleted ──> policy (a short lock) ──> enough stored? ──> wake
//! controller's thread: a pass: usage ── at the watermark ──> victims ──> adapter.delete ──> usage, ...
//! ```
//!
//! A pass goes on, [`Watermark::ratio`] of the objects at a time, until usage is below the watermark, or all that
//! remains is pinned or could not be deleted. What is pinned keeps its place and is stepped over, once per pass. What
//! could not be deleted is counted and tried again by the next pass. Several adapters take turns.
//!
//! # When a pass begins
//! Nothing polls. The listener counts the bytes that are stored and wakes the thread when they may have taken usage to
//! the watermark, or come to 1/64 of the capacity since it last looked. A pass that ended with usage still above the
//! watermark is followed by another when something is stored, or once enough keys were accessed to pay for stepping
//! over again what it stepped over (1 for each 64): nobody tells of a pin that is given back, or of a storage that
//! works again. Nor is anybody told of a store that is rejected: an adapter that rejects one for want of room should
//! call [`Attachment::wake`].
//!
//! # What is not in here
//! The index, the bytes, files, JSON: an adapter is asked for its usage and told what to delete. Nothing here reserves
//! room for a store.
//!
//! # Limits
//! One thread for each [`Controller`], which a delete that blocks keeps from other adapters. Victims are deleted at
//! most 256 to a call. Of what is on the storage, only what the adapter's index holds can be evicted.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use l2_core::{L2Adapter, StoreItem, memory::Region, testing::{MemoryAdapter, fixtures}};
//! use l2_evict::{Controller, Lru, Watermark};
//!
//! let adapter: Arc<dyn L2Adapter> = Arc::new(MemoryAdapter::new(10 * 4096)?);
//! let controller = Controller::start()?;
//! let attachment = controller.attach(&adapter, Box::new(Lru::new()), Watermark::new(0.8, 0.2)?);
//!
//! let l1 = Region::allocate(4096)?;
//! let memory = l1.lease(0, 4096)?.freeze();
//! for key in fixtures::keys(20) {
//!     let batch = vec![StoreItem { key, memory: memory.clone() }];
//!     assert!(adapter.submit_store(batch).wait(Duration::from_secs(60)).is_ok());
//!     while !attachment.is_idle() {
//!         std::thread::yield_now();
//!     }
//! }
//! assert!(adapter.usage().used_bytes < 8 * 4096);
//! assert!(attachment.evictions().objects > 12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod alarm;
mod attached;
mod attachment;
mod controller;
mod evictions;
mod lru;
mod noop;
mod pass;
mod policy;
mod residents;
mod watermark;

pub use attachment::Attachment;
pub use controller::Controller;
pub use evictions::Evictions;
pub use lru::Lru;
pub use noop::Noop;
pub use policy::EvictionPolicy;
pub use watermark::Watermark;
