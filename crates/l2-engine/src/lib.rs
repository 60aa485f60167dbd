//! Worker threads that move data with NIXL, each with an agent of its own.
//!
//! An adapter hands the engine [`Job`]s. A job runs on a worker, where it may block: it looks files up, opens them,
//! and answers with the [`Move`]s it wants. The worker registers what a move names, posts it to NIXL, and polls it
//! beside the others in flight. When one has ended (or its time has run out), its `then` runs on the same worker with
//! the outcome and the memory; it publishes, reports, or answers with more moves.
//!
//! ```text
//! submit(class, job) ──> queue of reads ──┐
//!                   └──> queue of stores ─┤ a worker: job() ──> moves ──> register, post, poll ──> then(outcome)
//!                                         │            └── none: done          └── deadline: park ──┘
//! ```
//!
//! * Reads go before stores: somebody waits for them. Of several workers, the first takes reads alone, so that no
//!   read waits behind the copying of a store.
//! * Each worker has its own agent and backend, made small: agents do not scale over threads.
//! * A move that is not done by its deadline is parked with its memory until NIXL lets go of it (`nixl_safe`).
//! * Nothing is polled while nothing is in flight: idle workers block, at most `spin` after the last job.
//!
//! # What is not in here
//! Keys, the index, names of files, capacity: a job knows; the engine does not ask.
//!
//! # Limits
//! 1 to 64 workers. At most `pieces_in_flight` pieces a worker (plus those of the one job that passed it). All memory
//! of one move is of one region. What is more than the plugin takes at once goes in rounds, with one outcome. A job is dropped unrun when the
//! engine closes first: what it holds must report that when dropped. What a job asks for after that is refused.
//!
//! # Example
//! ```no_run
//! use std::sync::{Arc, mpsc};
//! use l2_engine::{Class, Engine, EngineConfig, Fixtures, Move, Piece, Request, Storage};
//! use nixl_safe::{Nixl, memory::Region};
//!
//! let l1 = Region::allocate(1 << 20)?;
//! let fixtures = Fixtures { regions: vec![l1.clone()], ..Fixtures::default() };
//! let engine = Engine::start(Nixl::load()?, EngineConfig::new("POSIX"), &fixtures)?;
//! let memory = l1.lease(0, 4096)?;
//! let (sender, receiver) = mpsc::channel();
//! engine.submit(
//!     Class::Read,
//!     Box::new(move || {
//!         let Ok(file) = std::fs::File::open("/data/chunk.bin") else { return Vec::new() };
//!         let piece = Piece { memory, storage: Storage::File(Arc::new(file.into())), offset: 0 };
//!         vec![Move::Load(Request::new(vec![piece], move |moved| {
//!             let _ = sender.send(moved.result.is_ok());
//!             Vec::new()
//!         }))]
//!     }),
//! );
//! assert!(receiver.recv()?);
//! engine.close();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod agents;
mod asking;
mod config;
mod ends;
mod engine;
mod error;
mod flight;
mod given;
mod groups;
mod join;
mod moving;
mod plan;
mod queue;
mod request;
mod session;
mod silence;
mod sync;
#[cfg(test)]
mod tests;
mod worker;

pub use config::EngineConfig;
pub use engine::Engine;
pub use error::EngineError;
pub use groups::Grouping;
pub use join::join_within;
pub use nixl_safe::{Keep, ObjectName};
pub use request::{Class, Job, Move, Moved, Piece, Question, Request, Storage, Stretch};
pub use session::Fixtures;
