//! KV cache on storage for LLM servers, through NVIDIA's NIXL: the one crate that an embedder needs.
//!
//! An LLM server keeps the attention keys and values (KV) of past prompts so that it need not compute them again. It
//! owns memory for the recent ones (**L1**, a [`Region`]); an **L2 adapter** ([`L2Adapter`]) keeps far more of them on
//! storage. Bytes move between the two through NIXL and its storage plugins. [`open`] makes an adapter of the same JSON
//! that LMCache takes as `--l2-adapter`, over the same files.
//!
//! # What is not in here
//! Logic: each part has a crate of its own, and this one joins them under one list of names. Nor the server: what a
//! chunk is, which tokens a key stands for, and which range of L1 holds what is the host's business.
//!
//! # Limits
//! * GDS and `GDS_MT` were tried on a GPU without `nvidia-fs` alone, and HF3FS has not been tried on 3FS.
//! * An object has at least 1 byte, and at most what its storage and NIXL's plugin take; a capacity is counted in bytes,
//!   and its JSON in GiB.
//! * One NIXL library a process, opened by the first [`open`] (about 30 ms and 22 MB of memory) unless [`Nixl::load_from`]
//!   opened a certain one before. NIXL writes lines to standard error by itself; [`Nixl::silence`] ends that.
//! * With `"eviction"` in the configuration stores that do not fit make room: what was used least goes first, or what the
//!   policy says. One thread evicts for all adapters of a process, from the first such [`open`] until the last is dropped.
//!   Quotas of tenants, for `IsolatedLRU`, come through [`open_with`].
//! * A hit of a lookup is pinned until it is unlocked, at most for `pin_ttl_seconds` (600 by default; 0: for ever).
//! * No call blocks on storage but [`L2Adapter::delete`] and [`L2Adapter::close`]. A [`Task`] is waited for with a time
//!   limit, polled, or awaited on any runtime.
//! * The feature `cli`, on by default, is the `nixl-l2` program; turn it off to embed the library.
//!
//! # A tour
//! ```no_run
//! use std::time::Duration;
//! use nixl_l2::{AdapterConfig, KeyScope, LoadItem, Looked, Region, StoreItem, Stored};
//!
//! const LIMIT: Duration = Duration::from_secs(30);
//!
//! // The configuration, with every fault named at once; then L1; then the adapter over it.
//! let config = AdapterConfig::parse(
//!     r#"{"type": "nixl_store_dynamic", "backend": "POSIX",
//!         "backend_params": {"file_path": "/data/l2", "use_direct_io": "false", "max_capacity_gb": "10"}}"#,
//! )?;
//! let l1 = Region::allocate(64 << 20)?;
//! let l2 = nixl_l2::open(&config, &l1)?;
//!
//! // A chunk is named by model, rank, group, tenant, and the hash of its tokens.
//! let key = KeyScope::new("meta-llama/Llama-3.1-8B", 0, 0, "")?.key(&[0xab; 32])?;
//!
//! // Store: the task owns the memory until it ends, so nobody can write under the transfer.
//! let mut chunk = l1.lease(0, 1 << 20)?;
//! chunk.as_mut_slice().ok_or("main memory")?.fill(7);
//! let store = l2.submit_store(vec![StoreItem { key: key.clone(), memory: chunk.freeze() }]);
//! let report = store.wait(LIMIT).map_err(|late| format!("{late:?}"))?;
//! for outcome in report.outcomes {
//!     match outcome.result? {
//!         Stored::Written { bytes } => println!("{bytes} bytes written"),
//!         Stored::AlreadyPresent => println!("nothing to write"),
//!     }
//! }
//!
//! // Look up, which pins what is there; load; give the pins back.
//! let lookup = l2.submit_lookup_and_lock(vec![key.clone()]);
//! let report = lookup.wait(LIMIT).map_err(|late| format!("{late:?}"))?;
//! if let Some(Looked::Hit { .. }) = report.answers.first() {
//!     let memory = l1.lease(0, 1 << 20)?;
//!     let load = l2.submit_load(vec![LoadItem { key: key.clone(), memory }]);
//!     let report = load.wait(LIMIT).map_err(|late| format!("{late:?}"))?;
//!     for outcome in report.outcomes {
//!         println!("{} bytes loaded", outcome.result?);
//!     }
//!     l2.unlock(&[key]);
//! }
//!
//! // What was stored is found again by the next process, unless the configuration says otherwise.
//! l2.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod evicting;
mod open;
mod status;

/// The file or object name of each key, and the key of each name: frozen, and LMCache's where that is unambiguous.
pub use l2_index::paths;

/// A cache directory without an adapter, also beside running ones: listing, checking, cleaning, erasing, moving.
pub use l2_dynamic::tools;

// Opening.
pub use l2_several::{Member, Several, Shortfall};
pub use nixl_safe::{Error as NixlError, ErrorKind as NixlErrorKind, Nixl};
pub use open::{OpenError, OpenOptions, open, open_several, open_with};

// L1 memory.
pub use l2_memory::{HugePages, Lease, MemoryError, MemoryKind, Region, SharedLease};

// Keys.
pub use l2_core::{InvalidKey, KeyHasherBuilder, KeyScope, ObjectKey};

// The adapter, and what goes in and comes out.
pub use l2_core::{
    DeleteReport, Deleted, L2Adapter, LoadItem, LoadOutcome, LoadReport, Looked, LookupReport, StoreItem,
    StoreOutcome, StoreReport, Stored,
};

// Tasks under way.
pub use l2_core::{EventFds, Task, TaskId, TimedOut};

// What is watched, and what went wrong.
pub use l2_core::{
    AdapterStatus, Damage, ErrorKind, Healed, L2Error, L2Listener, PoolStatus, SECONDS_BUCKETS, Usage,
};
pub use status::status_json;

// Eviction: quotas of tenants, and what those see who decide by themselves what goes.
pub use l2_core::{
    Candidate, EntryId, Evictable, Evicted, Releases, RoomMaker, SaltUsage, ScanCursor, Shown, Stamp,
};
pub use l2_evict::{
    ArcPolicy, Attachment, Controller, EvictionPolicy, Evictions, IsolatedLru, Lru, Noop, Quotas, Want,
    Watermark,
};

// Configuration.
pub use l2_config::{
    AdapterConfig, AdapterType, Backend, ConfigError, ConfigErrors, Durability, DynamicConfig, EngineConfig,
    EvictionConfig, EvictionPolicyName, FileStorage, HostKeys, Integrity, Note, PluginParams, RecoverScan,
    StaticConfig, help_text, json_schema,
};

// Before a server starts: what can be found out about a configuration on this machine, what it holds, and a use of its
// directory or bucket that is in nobody's way.
pub use l2_doctor::{Capacity, Diagnosis, Finding, Options as DoctorOptions, State, examine, set_apart};
pub use l2_files::Visit;

/// The example of the README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
