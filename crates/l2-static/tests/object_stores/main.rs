//! `nixl_store` on object stores: the real NIXL against an S3 server and Azurite, both on this machine.
//!
//! What is about Azurite says so in one line and passes where that is not installed.
#![cfg(test)]

mod azure;
mod child;
mod conformance;
mod integrity;
mod kills;
mod names;
mod outages;
mod parameters;
mod refusals;
mod scripted;
mod secrets;
mod slots;
mod support;
