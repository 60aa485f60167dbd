//! Several L2 adapters in order, as one: a fast one before a large one, or a local one before one that is shared.
//!
//! | of | it goes |
//! |---|---|
//! | a store (`store.rs`) | to all; it is done where one has the object |
//! | a lookup (`lookup.rs`) | to all; the first with the longest run of hits at the front answers, and keeps its pins (of equally long runs the one with more hits behind it) |
//! | a load (`load.rs`) | to the one whose pin the key has, or the first; what fails there to the next |
//! | an unlock (`pins.rs`) | to the one that has the pin |
//! | a delete | to all |
//!
//! What one adapter cannot do, the others do: an error is one only where none could; what each could not
//! do is counted ([`Several::shortfalls`]). Each evicts, heals and breaks
//! (`l2_core::Breaker`) for itself.
//!
//! # What is not in here
//! The adapters, and what opens them (`nixl_l2::open_several`). Copying an object that one of them has to the others: what
//! was stored goes to all, and what one has lost is stored again only when no adapter has it.
//!
//! # Limits
//! * A store ends when the last adapter has ended it, for its memory is in use until then: a slow one slows it down, until its
//!   breaker opens. A lookup ends as soon as one adapter has all keys, or all have answered.
//! * [`L2Adapter::usage`](l2_core::L2Adapter::usage) and listeners add up what all have: an object that two have is counted twice,
//!   and told of twice.
//! * An unlock costs a lock that all tasks share, for as long as a hash map takes (under a microsecond a key).
//! * At least one adapter; at most as many as the process has memory and threads for.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use l2_core::{KeyScope, L2Adapter};
//! use l2_several::{Member, Several};
//! # use l2_core::testing::NoopAdapter;
//!
//! # let (disk, bucket) = (NoopAdapter::new(), NoopAdapter::new());
//! let both = Several::of(Member::new(Arc::new(disk)), [Member::new(Arc::new(bucket))]);
//! let key = KeyScope::new("org/model", 0, 0, "")?.key(&[1; 32])?;
//! let looked = both.submit_lookup_and_lock(vec![key]);
//! # assert_eq!(looked.wait(std::time::Duration::from_secs(60)).expect("done").prefix_hits(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod evictable;
mod load;
mod lookup;
mod pins;
mod several;
mod shortfall;
mod store;

pub use several::{Member, Several};
pub use shortfall::Shortfall;
