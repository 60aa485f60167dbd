//! The controller on an adapter in memory: what goes, what stays, and what happens when things fail.
#![cfg(test)]

mod failures;
mod lifetimes;
mod model;
mod pinned;
mod policies;
mod room;
mod threads;
mod world;
