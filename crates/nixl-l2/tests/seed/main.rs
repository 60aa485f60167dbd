//! What users were promised: each configuration example, byte for byte but for path and account, opened and used through
//! the facade; and what is said beside the examples of how the adapters behave.
//!
//! What is about hardware or programs that are not here ends in the documented error, or says SKIPPED in one line.
#![cfg(test)]

mod child;
mod examples;
mod files;
mod hardware;
mod object_stores;
mod sentences;
mod support;
