//! The engine on the real NIXL, with its POSIX plugin, both queues and real files. `cargo xtask setup` fetches NIXL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what the tests share may fail loudly as well"
)]

mod closing;
mod deadlines;
mod full_queue;
mod moving;
mod order;
mod panics;
mod pool;
mod rounds;
mod starting;
mod support;
