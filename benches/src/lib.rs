//! What the benchmarks of nixl-l2 share. The benchmarks are in `benches/`, one file per layer; `docs/benchmarks.md` says how to
//! run and read them.
//!
//! The machines that they run on are shared. What reads and writes disks is disturbed by that for minutes, so that one
//! measurement says little: such a benchmark does two things in turn, and reports how their times compare ([`Pairs`]). What
//! stays in memory on one thread is steady enough for criterion as long as a core is free: it measures one thing after the
//! other, and compares it with its last run. What is counted and not timed ([`Trace::hits`]) is the same everywhere.
//!
//! # What is not in here
//! Tests: no benchmark fails because something took long. It fails when bytes are wrong or an adapter reports an error.
//!
//! # Limits
//! * A [`Pool`] moves as many objects at a time as fit into half of its L1.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use benches::Pairs;
//!
//! let ms = Duration::from_millis;
//! let pairs = Pairs::measure(5, || Ok::<_, std::fmt::Error>(ms(2)), || Ok(ms(4)))?;
//! assert_eq!(pairs.ratio().median, 0.5);
//! # Ok::<(), std::fmt::Error>(())
//! ```
#![forbid(unsafe_code)]

mod chart;
mod hits;
mod keys;
mod layer;
mod pairs;
mod pool;
mod shape;

pub use chart::{Chart, Line, Scale};
pub use hits::{Policy, Trace, in_repository};
pub use keys::{Keys, OBJECT};
pub use layer::Layer;
pub use pairs::{Pairs, Spread};
pub use pool::{Object, Pool, Storage};
pub use shape::{Lengths, Past, Shape};
