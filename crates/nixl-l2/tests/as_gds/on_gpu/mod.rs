//! GDS and GDS_MT as they are, on a machine with an NVIDIA GPU: with `NIXL_L2_GPU=1` in the environment, and
//! `libcudart.so.12` and `libcufile.so.0` where the dynamic loader finds them. Elsewhere these tests say SKIPPED.
//!
//! `cargo test -p nixl-l2 --test as_gds on_gpu -- --test-threads 1`: in cuFile's compatibility mode a process has few buffers.

mod conformance;
mod cuda;
mod vram;

/// Whether there is a GPU to be used.
fn is_here() -> bool {
    let here = std::env::var_os("NIXL_L2_GPU").is_some_and(|value| value == "1");
    if !here {
        crate::support::skipped("there is no GPU: NIXL_L2_GPU is not 1");
    }
    here
}
