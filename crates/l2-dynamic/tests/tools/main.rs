//! The tools for a cache directory, on real directories; none of it needs NIXL.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what the tests share may fail loudly as well"
)]

mod erase;
mod many;
mod migrate;
mod model;
mod place;
mod side_files;
mod sweep;
mod verify;

use l2_core::testing::child;
