//! The command line, run as a program on the real NIXL.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod asking;
mod bad_input;
mod bench;
mod beside;
mod check;
mod cleaning;
mod demo;
mod doctor;
mod full_disks;
mod harness;
mod looking;
mod metrics;
mod put_get;
mod replay;
mod rights;
mod several;
