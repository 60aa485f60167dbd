//! The text of `--l2-adapter`, checked: one JSON object in, one validated [`AdapterConfig`] out, or every fault at once.
//!
//! # What it is
//! A parser in two stages. The text first becomes a raw tree that remembers every key, also one given twice. The tree is
//! then read field by field into [`AdapterConfig`], and what nothing read is a fault. Each [`ConfigError`] says where,
//! what was given, what is allowed, and, for a misspelled or misplaced key, what was probably meant.
//!
//! Every key is described once, in [`fields::FIELDS`]: its kind, range, unit, default and trade-off. The parser, the
//! suggestions and [`help_text`] all read that table, so they cannot disagree.
//!
//! # What it is not
//! It knows nothing of NIXL, opens no file, and asks no environment variable. Whether a directory exists, a bucket can be
//! reached, or a pool can hold one object is found out by those who open it.
//!
//! # Limits
//! - The text nests at most 127 levels deep.
//! - `max_capacity_gb` is counted in GiB (1024³ bytes), up to 2³² of them.
//! - `pool_size` goes up to 2³²−1 descriptors, and with a slot size given the whole pool stays below 2⁶³ bytes.
//! - A value that is shown in a fault is cut after 120 characters; a secret is never shown.
//!
//! # Example
//! ```
//! use l2_config::{AdapterConfig, Backend};
//!
//! let config = AdapterConfig::parse(
//!     r#"{"type": "nixl_store_dynamic", "backend": "POSIX",
//!         "backend_params": {"file_path": "/data/l2", "use_direct_io": "false", "max_capacity_gb": "10"}}"#,
//! )?;
//! let AdapterConfig::Dynamic(dynamic) = config else { unreachable!() };
//! assert_eq!(dynamic.backend, Backend::Posix);
//! assert_eq!(dynamic.max_capacity, 10 << 30);
//! assert!(dynamic.persist_enabled);
//!
//! // Two faults, two lines.
//! let errors = AdapterConfig::parse(
//!     r#"{"type": "nixl_store_dynamic", "backend": "posix", "persist_enable": false,
//!         "backend_params": {"file_path": "/data/l2", "use_direct_io": "false", "max_capacity_gb": "10"}}"#,
//! )
//! .unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "backend: not one of the choices, given \"posix\"; allowed: POSIX, GDS, GDS_MT or HF3FS; \
//!      did you mean \"POSIX\"?\n\
//!      persist_enable: unknown key, given false; did you mean \"persist_enabled\"?"
//! );
//! # Ok::<(), l2_config::ConfigErrors>(())
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod backend;
mod describe;
mod dynamic;
mod engine;
mod error;
mod eviction;
pub mod fields;
mod help;
mod host;
mod integrity;
mod page;
mod pins;
mod plugin_params;
mod raw;
mod reader;
mod schema;
mod secret;
mod static_pool;
mod unknown;
mod value;

pub use adapter::{AdapterConfig, AdapterType};
pub use backend::Backend;
pub use dynamic::DynamicConfig;
pub use engine::EngineConfig;
pub use error::{ConfigError, ConfigErrors};
pub use eviction::{EvictionConfig, EvictionPolicyName};
pub use help::help_text;
pub use host::{HostKeys, Note};
pub use integrity::{Durability, Integrity, RecoverScan};
pub use page::configuration_page;
pub use plugin_params::PluginParams;
pub use schema::json_schema;
pub use static_pool::{FileStorage, StaticConfig};
