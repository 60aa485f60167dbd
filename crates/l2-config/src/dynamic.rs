//! The configuration of `nixl_store_dynamic`: one file per object, found again after a restart.

use std::path::PathBuf;
use std::time::Duration;

use crate::adapter::AdapterConfig;
use crate::backend::Backend;
use crate::engine::EngineConfig;
use crate::error::{ConfigErrors, Reported};
use crate::eviction::EvictionConfig;
use crate::fields::{
    BACKEND_PARAMS, FILE_PATH, MAX_CAPACITY_GB, PERSIST_ENABLED, Place, SHARD_DIRS, USE_DIRECT_IO,
};
use crate::host::HostKeys;
use crate::integrity::{self, Durability, Integrity, RecoverScan};
use crate::pins;
use crate::plugin_params::PluginParams;
use crate::reader::Reader;
use crate::value;

/// Bytes in what the JSON calls a GB.
pub(crate) const GIB: u64 = 1 << 30;

/// The dynamic adapter. Made in Rust by [`DynamicConfig::new`], changed field by field, then checked by
/// [`DynamicConfig::validate`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DynamicConfig {
    /// Where it stores; one that keeps files.
    pub backend: Backend,
    /// The directory for the data; not blank, without NUL.
    pub file_path: PathBuf,
    /// Whether files are opened with `O_DIRECT`.
    pub use_direct_io: bool,
    /// The most that is stored, in bytes; not 0. The JSON gives it in GiB.
    pub max_capacity: u64,
    /// Whether files are spread over directories by the chunk's hash.
    pub shard_dirs: bool,
    /// Whether the files stay at shutdown.
    pub persist_enabled: bool,
    /// How room is made; without it a full adapter rejects stores.
    pub eviction: Option<EvictionConfig>,
    /// Threads and time limits.
    pub engine: EngineConfig,
    /// How long the pin of a lookup lasts if nobody gives it back; `None`: for ever. `Some` is above zero, which
    /// would mean nothing here, and at most [`AdapterConfig::MAX_PIN_TTL`].
    pub pin_ttl: Option<Duration>,
    /// What each load is compared with.
    pub integrity: Integrity,
    /// What the bytes mean beyond what the key says, not blank, at most 256 bytes; objects of another one are misses.
    pub layout_tag: Option<String>,
    /// What a power cut may cost.
    pub durability: Durability,
    /// Whether what is there is counted after a start.
    pub recover_scan: RecoverScan,
    /// Bytes of the file system that are left to others. The JSON gives them in GiB.
    pub min_free: u64,
    /// What goes to NIXL's plugin.
    pub plugin_params: PluginParams,
    /// What the host keeps here for itself.
    pub host: HostKeys,
    /// Its place among the adapters of its host, from 0: the label `adapter` of its metrics. Not in the JSON.
    pub adapter_index: usize,
}

impl DynamicConfig {
    /// A cache of at most so many bytes in a directory: buffered, flat, kept at shutdown, without eviction.
    #[must_use]
    pub fn new(backend: Backend, file_path: impl Into<PathBuf>, max_capacity_bytes: u64) -> Self {
        Self {
            backend,
            file_path: file_path.into(),
            use_direct_io: false,
            max_capacity: max_capacity_bytes,
            shard_dirs: false,
            persist_enabled: true,
            eviction: None,
            engine: EngineConfig::default(),
            pin_ttl: Some(AdapterConfig::DEFAULT_PIN_TTL),
            integrity: Integrity::default(),
            layout_tag: None,
            durability: Durability::default(),
            recover_scan: RecoverScan::default(),
            min_free: 0,
            plugin_params: PluginParams::default(),
            host: HostKeys::default(),
            adapter_index: 0,
        }
    }

    /// Checks it by the rules of the JSON.
    ///
    /// # Errors
    /// Every fault, with the paths of the JSON.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        AdapterConfig::from(self.clone()).validate()
    }

    pub(crate) fn read(top: Reader<'_>, backend: Result<Backend, Reported>) -> Result<Self, Reported> {
        let persist_enabled = top.need(&PERSIST_ENABLED, top.boolean(&PERSIST_ENABLED));
        let eviction = EvictionConfig::read(&top);
        let engine = EngineConfig::read(&top);
        let pin_ttl = pins::read_ttl(&top);
        let (integrity, layout_tag) = (Integrity::read(&top), integrity::read_layout_tag(&top));
        let (durability, recover_scan) = (Durability::read(&top), RecoverScan::read(&top));
        let min_free = integrity::read_min_free(&top);
        let host = HostKeys::read(&top);
        let params = top.object_or_empty(&BACKEND_PARAMS, Place::BackendParams);
        top.finish();

        let params = params?;
        let file_path = params.need(&FILE_PATH, params.text(&FILE_PATH));
        let use_direct_io = params.need(&USE_DIRECT_IO, params.boolean(&USE_DIRECT_IO));
        let gib = params.need(&MAX_CAPACITY_GB, params.number(&MAX_CAPACITY_GB));
        let max_capacity = gib.and_then(|gib| match value::truncated(gib * GIB as f64) {
            Some(bytes) if bytes > 0 => Ok(bytes),
            _ => Err(params.out_of_range(&MAX_CAPACITY_GB, "at least one byte")),
        });
        let shard_dirs = params.need(&SHARD_DIRS, params.boolean(&SHARD_DIRS));
        let plugin_params = PluginParams::read(&params);
        params.finish();

        Ok(Self {
            backend: backend?,
            file_path: file_path?.into(),
            use_direct_io: use_direct_io?,
            max_capacity: max_capacity?,
            shard_dirs: shard_dirs?,
            persist_enabled: persist_enabled?,
            eviction: eviction?,
            engine: engine?,
            pin_ttl: pin_ttl?,
            integrity: integrity?,
            layout_tag: layout_tag?,
            durability: durability?,
            recover_scan: recover_scan?,
            min_free: min_free?,
            plugin_params: plugin_params?,
            host: host?,
            adapter_index: 0,
        })
    }
}
