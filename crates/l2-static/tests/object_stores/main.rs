//! `nixl_store` on object stores: the real NIXL against an S3 server and Azurite, both on this machine.
//!
//! What is about Azurite says so in one line and passes where that is not installed.
#![cfg(test)]

mod conformance;
mod support;
