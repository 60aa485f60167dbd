//! Real object-store servers on loopback, for the tests of what NIXL's `OBJ` and `AZURE_BLOB` plugins do.
//!
//! | server | what it is | where it runs | starts in |
//! |---|---|---|---|
//! | [`S3Server`] | the crate s3s-fs: S3 on a directory | in this process, on threads of its own | a few ms |
//! | [`Azurite`] | Microsoft's emulator of Azure Blob Storage | a child process (Node.js) | 1 to 2 s |
//!
//! Both listen on 127.0.0.1 at a port of their own, so any number run side by side. Both can be killed and started
//! again at the same port with the same data, and both end when they are dropped; Azurite also ends when the process
//! that started it is killed.
//!
//! Everything here blocks and needs no async runtime; do not call it from inside one.
//!
//! # What is not in here
//! Anything to be used outside of tests: the keys are fixed and known to everybody, and s3s-fs is a sample server. No
//! client, either.
//!
//! # Limits
//! s3s-fs keeps an object as a file, and what is known of it as another whose name is made of the whole name: names of
//! objects have at most 156 bytes, none of their parts is `..`, and none ends in a slash. What it cannot store it
//! answers with a 5xx, which NIXL's S3 client tries again for 25 s. Azurite must have been installed (`cargo
//! xtask setup`, where npm is): without it [`Azurite::start`] gives `None`, and [`Azurite::missing`] says why.
//!
//! # Example
//! ```
//! use test_servers::S3Server;
//!
//! let root = tempfile::tempdir()?;
//! let mut server = S3Server::start(root.path())?;
//! // For `Agent::backend("OBJ", ..)`, or as `backend_params` in an adapter's JSON.
//! let params = server.params();
//! assert!(params.contains(&("endpoint_override".to_owned(), server.endpoint())));
//!
//! server.kill();
//! server.restart()?;
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod azure_rest;
mod azurite;
mod s3;

pub use azurite::Azurite;
pub use s3::S3Server;

/// The bucket of an [`S3Server`] and the container of an [`Azurite`]; both exist from the start.
pub const BUCKET: &str = "nixl-l2-test";

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
