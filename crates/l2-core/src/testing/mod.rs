//! For tests of adapters: the conformance suite, and adapters to try it on.
//!
//! | to read | what it is |
//! |---|---|
//! | [`crate::conformance_suite!`] | one `#[test]` per sentence of the contract, for the adapter that a [`Factory`] makes |
//! | [`Factory`], [`Options`], [`Opened`] | what the author of an adapter writes to put it through the suite |
//! | [`MemoryAdapter`], [`MemoryStorage`] | an adapter that keeps the whole contract, in memory |
//! | [`NoopAdapter`] | an adapter that stores nothing: what a batch costs before any byte moves |
//! | [`Host`] | a stand-in for the server that owns L1: leases, submits, waits with a limit |
//! | [`child`] | tests that need a process, mounts or rights of their own |
//! | [`fixtures`] | keys, and bytes that derive from a key |
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//! use l2_core::memory::Region;
//! use l2_core::testing::{Factory, MemoryAdapter, Opened, Options};
//!
//! struct InMemory;
//!
//! impl Factory for InMemory {
//!     fn open(&self, options: Options) -> Opened {
//!         let adapter = MemoryAdapter::new(options.capacity_bytes).expect("a thread");
//!         Opened { adapter: Arc::new(adapter), l1: Region::allocate(options.l1_bytes).expect("memory") }
//!     }
//! }
//!
//! l2_core::conformance_suite!(InMemory);
//! # fn main() {}
//! ```

pub mod child;
pub mod conformance;
mod factory;
pub mod fixtures;
mod host;
mod memory_adapter;
mod memory_index;
mod memory_storage;
mod noop_adapter;

pub use factory::{Damage, Factory, Opened, Options};
pub use host::Host;
pub use memory_adapter::MemoryAdapter;
pub use memory_storage::MemoryStorage;
pub use noop_adapter::NoopAdapter;
