//! `nixl_store_dynamic`: an L2 adapter that keeps each object in a file of its own.
//!
//! The file's name follows from the key (`l2_index::paths`), so the cache survives a restart with no other record: on
//! an index miss the disk is looked at, and a file that is there is a hit. Files are opened and registered with NIXL
//! for each operation, so the cache can have more of them than the process may have open.
//!
//! | to follow | read |
//! |---|---|
//! | a store | `store.rs` and `take.rs`: reserve in the index (`claimed.rs`), `publish.rs`: a file that nobody sees, `written.rs`: its name |
//! | a lookup | `lookup.rs`: the index on the caller's thread, the disk on a worker |
//! | a load | `load.rs`: protect, open, compare lengths, read; drop what is damaged |
//! | a delete | `delete.rs`: out of sight, off the disk, out of the count |
//! | eviction | `evict.rs`: what `l2-evict` sees and does; a store that does not fit asks it for room on its worker, and waits where only stores under way could make some |
//! | what an operator does with a directory | `tools`: listing, checking, emptying it, without NIXL and beside running adapters |
//! | a restart | `scan.rs`: what is on the disk is counted in the background; `held.rs`: stores wait for that |
//!
//! All files are reached through `l2_files::Directory`, which follows no link out of the cache directory.
//!
//! # What is not in here
//! What goes, and when (`l2-evict`), the index (`l2-index`), the tasks and their ends (`l2_core::Desk`), the cache directory
//! (`l2-files`), threads and NIXL (`l2-engine`), the JSON (`l2-config`).
//!
//! # Limits
//! * An object has from 1 byte to what the file system takes; with direct I/O a multiple of its block.
//! * A store never takes the bytes in use past `max_capacity`, counted by length (a file system's blocks may be larger). What
//!   does not fit is rejected; with eviction, only once nothing more can go and no store is under way that could go next.
//!   What an earlier run left counts as soon as it is met, by a lookup or by the scan, even beyond the capacity.
//! * The pins of a lookup end after `pin_ttl` (ten minutes by default); what lost its pins may be evicted or deleted.
//! * At most a quarter of the process's limit of open files is in use, half while jobs overlap.
//! * A host whose process has a limit on file sizes (RLIMIT_FSIZE) must ignore or catch SIGXFSZ, or a store past the limit
//!   ends it; then it is rejected like any that does not fit.
//! * Processes that share a directory must agree on what a key's object is: of two lengths under one key, the one drops
//!   the other's.
//! * A batch is split over the workers; objects up to 1 MiB share requests of at most 64, and of some 5 MiB.
//! * Names are `LMCache`'s wherever those are unambiguous; contents are the raw bytes, so either reads the other's files.
//!
//! # Example
//! ```no_run
//! use std::time::Duration;
//! use l2_config::{Backend, DynamicConfig};
//! use l2_core::{KeyScope, L2Adapter, StoreItem};
//! use l2_dynamic::DynamicAdapter;
//! use l2_memory::Region;
//! use nixl_safe::Nixl;
//!
//! let l1 = Region::allocate(64 << 20)?;
//! let config = DynamicConfig::new(Backend::Posix, "/data/l2", 10 << 30);
//! let adapter = DynamicAdapter::open(Nixl::load()?, &config, &l1)?;
//!
//! let key = KeyScope::new("org/model", 0, 0, "")?.key(&[1; 32])?;
//! let mut chunk = l1.lease(0, 1 << 20)?;
//! chunk.as_mut_slice().expect("DRAM").fill(7);
//! let stored = adapter.submit_store(vec![StoreItem { key: key.clone(), memory: chunk.freeze() }]);
//! let report = stored.wait(Duration::from_secs(60)).expect("done within a minute");
//! assert_eq!(report.written_bytes(), 1 << 20);
//!
//! let found = adapter.submit_lookup_and_lock(vec![key.clone()]);
//! assert_eq!(found.wait(Duration::from_secs(60)).expect("done within a minute").prefix_hits(), 1);
//! adapter.unlock(&[key]);
//! adapter.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod aside;
mod claimed;
mod core;
mod delete;
mod evict;
mod held;
mod load;
mod lookup;
mod publish;
mod purge;
mod record;
mod removal;
mod scan;
mod store;
mod take;
pub mod tools;
mod try_out;
mod walk;
mod written;

pub use adapter::DynamicAdapter;
