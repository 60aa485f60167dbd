//! What the programs share that try to break an adapter: objects whose bytes follow from their keys, adapters of many
//! configurations, and a look at what lies on the disk.
//!
//! * `crash` (`cargo xtask crash`): a process that stores, loads, deletes and evicts is killed, again and again.
//! * `soak` (`cargo xtask soak`): everything at once for a while, with faults.
//!
//! # What is not in here
//! Tests of single faults: those are in each crate's `tests/`. Timings: those are in `benches/`.
//!
//! # Limits
//! * Objects have 4 KiB to 64 KiB, so that many fit and direct I/O works.
//!
//! # Example
//! ```
//! use trials::{length_of, Universe};
//!
//! let universe = Universe::new(100);
//! assert_eq!(universe.key(7), universe.key(7));
//! assert_eq!(length_of(7) % 4096, 0);
//! ```
#![forbid(unsafe_code)]

mod cache;
mod objects;
mod on_disk;

pub use cache::Cache;
pub use objects::{Universe, length_of};
pub use on_disk::OnDisk;
