//! The safe layer on the real NIXL, with its POSIX plugin and real files. `cargo xtask setup` fetches NIXL.
//!
//! One program, for what is loaded once in a process; tests that need a process to themselves run again in a child.
//!
//! The modules are `cfg(test)`, as the whole program is, for clippy to see that their helpers are tests too.

#[cfg(test)]
#[path = "real_nixl/ending.rs"]
mod ending;
#[cfg(test)]
#[path = "real_nixl/hazards.rs"]
mod hazards;
#[cfg(test)]
#[path = "real_nixl/in_flight.rs"]
mod in_flight;
#[cfg(test)]
#[path = "real_nixl/loading.rs"]
mod loading;
#[cfg(test)]
#[path = "real_nixl/plugins.rs"]
mod plugins;
#[cfg(test)]
#[path = "real_nixl/queues.rs"]
mod queues;
#[cfg(test)]
#[path = "real_nixl/support.rs"]
mod support;
#[cfg(test)]
#[path = "real_nixl/threads.rs"]
mod threads;
#[cfg(test)]
#[path = "real_nixl/transfers.rs"]
mod transfers;
#[cfg(test)]
#[path = "real_nixl/wrong_libraries.rs"]
mod wrong_libraries;
