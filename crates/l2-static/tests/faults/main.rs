//! `nixl_store` under faults, each made for real, with the real NIXL and real files: full disks, low limits, killed
//! processes, devices that cannot read. `cargo xtask setup` fetches NIXL.
//!
//! What needs a process to itself (limits, mounts, its end) runs again in a child; see `l2_core::testing::child`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what the tests share may fail loudly as well"
)]

mod closing;
mod descriptors;
mod device;
mod files;
mod invariant;
mod killed;
mod listeners;
mod pins;
mod pool;
mod short_files;
mod slots;
mod space;
mod tally;

use l2_core::testing::child;
