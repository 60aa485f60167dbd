//! The whole path of GDS, GDS_MT and HF3FS without their hardware: **NIXL's POSIX plugin under their names**, from a plugin
//! directory of this program's own. What only cuFile would do is seen on a GPU alone ([`on_gpu`]), and what 3FS would, nowhere.
//!
//! NIXL reads where its plugins are once a process: each test runs again in a child.
#![cfg(test)]

mod conformance;
mod disguise;
mod factory;
mod faults;
mod limits;
mod moving;
mod on_gpu;
#[path = "../seed/support.rs"]
mod support;
mod texts;
mod vram;
