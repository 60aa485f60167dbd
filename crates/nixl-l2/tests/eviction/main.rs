//! `"eviction"` in the JSON, through the facade, on real NIXL.
//!
//! What needs a process to itself runs again in a child; see `l2_core::testing::child`.
#![cfg(test)]

mod again;
mod bursts;
mod cold;
mod disk;
mod failing;
mod idle;
mod policies;
mod setup;
mod thread;
mod trace;
