//! Which objects go when an L2 adapter fills up, and the thread that makes them go.
//!
//! | to read | what it is |
//! |---|---|
//! | [`EvictionPolicy`] | the order in which objects go |
//! | [`Lru`], [`ArcPolicy`], [`IsolatedLru`], [`Noop`] | the least recently used first; recent against frequent use; tenants over their [`Quotas`] first; none, ever |
//! | [`Watermark`] | how full is too full, and how much goes at once |
//! | [`Controller`], [`Attachment`] | one thread that evicts for any number of adapters |
//! | [`Evictions`] | what was done |
//!
//! ```text
//! the adapter's threads:  stored so many bytes ──> enough? ──> wake
//!                         no room for a store ──────────────────────> choose ──> condemn ──> delete
//! controller's thread:    a pass: usage ── at the watermark ──> choose ──> condemn ──> delete ──> usage, ...
//! ```
//!
//! No account is kept of the keys: the adapter notes when each object was used ([`l2_core::Evictable`]), which costs a
//! lookup nothing, and a policy reads these stamps when it has to choose. It chooses many at a time; what is used after
//! that is spared. So LRU is exact, without a list that each hit would have to move its key in.
//!
//! A pass goes on, [`Watermark::ratio`] of the objects at a time, until usage is below the watermark, or all that
//! remains is pinned or in use. What is pinned is not chosen, and stays as it is. What was chosen is out of sight at once,
//! and deleted piece by piece; several adapters take turns. What could not be deleted is counted, logged once, and tried
//! again by the next pass; when eight fail in a row, the pass ends.
//!
//! # When something goes
//! Nothing polls. The listener counts the bytes that are stored and wakes the thread when they may have taken usage to
//! the watermark, or come to 1/64 of the capacity since it last looked. After a pass that ended with usage still above the
//! watermark it looks again when 1/1024 of the capacity was stored. A store that finds no room asks for it on its own
//! thread ([`l2_core::RoomMaker`]), and is rejected only if nothing more can go.
//!
//! # What is not in here
//! The index, the bytes, files, JSON.
//!
//! # Limits
//! * One thread for each [`Controller`], which a delete that blocks keeps from other adapters; their stores go on to make
//!   room for themselves. Objects are deleted at most 128 to a call.
//! * To choose, all stamps are read, about 10 ns each, for at least 1/16 of the objects (1024 to 2²⁰) at once, if so many
//!   can go. Where nearly everything is pinned a victim costs more than that; where everything is, nothing is read
//!   until something is free. What is chosen takes 48 bytes each, twice while it is chosen.
//! * Of what is on the storage, only what the adapter's index holds can be evicted.
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
//! let attachment = controller.attach(&*adapter, Box::new(Lru::new()), Watermark::new(0.8, 0.2)?);
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
mod arc;
mod attached;
mod attachment;
mod coldest;
mod controller;
mod evictions;
#[cfg(test)]
mod fake;
mod ghosts;
mod isolated_lru;
mod lru;
mod noop;
mod pass;
mod policy;
mod quotas;
mod room;
mod watermark;
mod work;

pub use arc::ArcPolicy;
pub use attachment::Attachment;
pub use controller::Controller;
pub use evictions::Evictions;
pub use isolated_lru::IsolatedLru;
pub use lru::Lru;
pub use noop::Noop;
pub use policy::{EvictionPolicy, Want};
pub use quotas::Quotas;
pub use watermark::Watermark;
