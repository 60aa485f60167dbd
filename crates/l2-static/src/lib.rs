//! `nixl_store`: an L2 adapter on a fixed pool of files, or of objects of an object store, made when it is opened.
//!
//! The files are opened, registered with NIXL, and their space reserved, at the start; nothing is opened afterwards. An
//! object takes as many pages of the pool as it needs, in as few runs as there can be. What lies where is kept in memory
//! alone: a closed pool is empty, and its files, which have no name (on cuFile's two backends a temporary one), are gone.
//!
//! | to follow | read |
//! |---|---|
//! | the start | `adapter.rs`; `descriptors.rs`: the process's limit of open files; `files.rs`: the files |
//! | a store | `store.rs` and `take.rs`: key and pages on the caller's thread, NIXL on a worker; `kept.rs`: what is kept of an object |
//! | a load | `load.rs`: read, compare, drop what is wrong |
//! | eviction | `evict.rs`: what `l2-evict` sees and does; `padding.rs`: what tenants have, in whole pages |
//! | where an object's bytes go | `pool.rs`: pages that come back when their owner is dropped; `space.rs`: which are free |
//! | how long a slot is | `slots.rs` |
//! | files or objects | `medium.rs`; `names.rs`: what objects are called; `claim.rs`: no two pools have the same names |
//!
//! # What is not in here
//! What goes, and when (`l2-evict`), the index (`l2-index`), threads and NIXL (`l2-engine`), the JSON (`l2-config`), safe directories
//! (`l2-files`).
//!
//! # Limits
//! * `pool_size` slots, 1 to 2³² − 1, of `file_size` bytes each; together less than 2⁶³ bytes. On files `file_size` is L1's
//!   page by default, and a multiple of it; a page here has 512 to 4096 bytes.
//! * Each file takes a descriptor (one more for each worker on GDS, `GDS_MT` and HF3FS, and on HF3FS another). The
//!   process's soft limit is raised to its hard limit when that is needed, for the whole process.
//! * An object has at least 1 byte, and takes whole pages; with direct I/O its length is a multiple of the disk's block.
//! * What does not fit is rejected; with eviction, room is made on the caller's thread, without I/O, and what does not fit
//!   waits for the stores that are under way, unless none is.
//! * The pins of a lookup end after `pin_ttl` (ten minutes by default); what lost its pins may be evicted or deleted.
//! * On an object store a slot is an object of at most 2 GiB − 4 KiB. Its length is `file_size` (or `slot_size`), else what
//!   the host says that a chunk has, else the length of the first object stored; a shorter object wastes the rest of its
//!   slot in the count, not on the server.
//! * Objects of an object store stay in the bucket when the pool is closed. A server that is started again with the same
//!   prefix (`object_prefix`, or its default by host and bucket) writes over them.
//! * What is loaded is compared with a checksum (XXH3, 64 bits) on object stores, GDS and HF3FS, which may report success for
//!   bytes that did not move; memory that the CPU cannot read (VRAM) is not. On POSIX and `GDS_MT` failures are reported.
//!
//! # Example
//! ```no_run
//! use std::time::Duration;
//! use l2_config::{Backend, FileStorage, StaticConfig};
//! use l2_core::{KeyScope, L2Adapter, StoreItem};
//! use l2_memory::Region;
//! use l2_static::StaticAdapter;
//! use nixl_safe::Nixl;
//!
//! let l1 = Region::allocate(64 << 20)?;
//! // 64 files of 32 MiB.
//! let mut config = StaticConfig::new(Backend::Posix, 64);
//! config.file = Some(FileStorage::new("/data/l2"));
//! config.slot_bytes = Some(32 << 20);
//! let adapter = StaticAdapter::open(Nixl::load()?, &config, &l1, None)?;
//!
//! let key = KeyScope::new("org/model", 0, 0, "")?.key(&[1; 32])?;
//! let mut chunk = l1.lease(0, 1 << 20)?;
//! chunk.as_mut_slice().expect("DRAM").fill(7);
//! let stored = adapter.submit_store(vec![StoreItem { key: key.clone(), memory: chunk.freeze() }]);
//! let report = stored.wait(Duration::from_secs(60)).expect("done within a minute");
//! assert_eq!(report.written_bytes(), 1 << 20);
//! adapter.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod claim;
mod core;
mod descriptors;
mod evict;
mod files;
mod kept;
mod load;
mod medium;
mod names;
mod padding;
mod plan;
mod pool;
mod slots;
mod space;
mod store;
mod take;

pub use adapter::StaticAdapter;
pub use plan::PoolPlan;
