//! The whole path of GDS, GDS_MT and HF3FS without their hardware: **NIXL's POSIX plugin under their names**, from a plugin
//! directory of this program's own. What only cuFile or 3FS would do is not seen here.
//!
//! NIXL reads where its plugins are once a process: each test runs again in a child.
#![cfg(test)]

mod conformance;
mod disguise;
mod faults;
mod limits;
mod moving;
#[path = "../seed/support.rs"]
mod support;
mod texts;
mod vram;
