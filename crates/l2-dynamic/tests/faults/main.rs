//! `nixl_store_dynamic` under faults, each made for real: full disks, damaged files, killed processes, other processes,
//! missing rights. `cargo xtask setup` fetches NIXL.
//!
//! What needs a process to itself (limits, mounts, rights, its end) runs again in a child; see `l2_core::testing::child`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what the tests share may fail loudly as well"
)]

mod breakers;
mod cache;
mod capacity;
mod damage;
mod direct;
mod directories;
mod early;
mod full;
mod killed;
mod limits;
mod listeners;
mod lmcache;
mod opening;
mod pins;
mod purge;
mod records;
mod rights;
mod shared;
mod side_files;
mod temporaries;
mod through_nixl;

use l2_core::testing::child;
