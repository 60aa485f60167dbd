//! A configuration back to JSON: for people with secrets hidden, and to itself for checking.

use std::path::Path;

use serde_json::Value;

use crate::adapter::AdapterConfig;
use crate::dynamic::{DynamicConfig, GIB};
use crate::engine::EngineConfig;
use crate::eviction::EvictionConfig;
use crate::fields::{
    AFFINITY_TAG, BACKEND, BACKEND_PARAMS, DURABILITY, EVICTION, EVICTION_POLICY, EVICTION_RATIO, FILE_PATH,
    FILE_SIZE, Field, INTEGRITY, IO_TIMEOUT_SECONDS, LAYOUT_TAG, MAX_CAPACITY_GB, MIN_FREE_GB, OBJECT_PREFIX,
    PERSIST_ENABLED, PIN_TTL_SECONDS, POOL_SIZE, RECOVER_SCAN, SHARD_DIRS, SHARED, SPIN_MICROSECONDS,
    TRIGGER_WATERMARK, TYPE, USE_DIRECT_IO, WORKERS,
};
use crate::host::HostKeys;
use crate::pins;
use crate::plugin_params::PluginParams;
use crate::raw::Raw;
use crate::static_pool::{FileStorage, StaticConfig};

impl AdapterConfig {
    /// The JSON of this configuration, defaults written out and secrets hidden.
    ///
    /// Without secrets, and with a `file_path` that is UTF-8, a capacity below 2⁵³ bytes, and a `pin_ttl` that is below
    /// 2²³ seconds (97 days) or a whole number of them, [`AdapterConfig::parse`] gives an equal configuration back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.to_raw().to_value("")
    }

    /// The tree that would be read as this configuration, **secrets in clear**.
    pub(crate) fn to_raw(&self) -> Raw {
        let mut top = Entries::default();
        top.add(&TYPE, text(self.adapter_type().name()));
        top.add(&BACKEND, text(self.backend().name()));
        let mut params = Entries::default();
        match self {
            Self::Static(config) => config.describe(&mut top, &mut params),
            Self::Dynamic(config) => config.describe(&mut top, &mut params),
        }
        params.extend(self.plugin_params());
        top.add(&BACKEND_PARAMS, params.into_raw());
        if let Some(eviction) = self.eviction() {
            top.add(&EVICTION, eviction.to_raw());
        }
        self.engine().describe(&mut top);
        top.add(&PIN_TTL_SECONDS, pins::describe_ttl(self.pin_ttl()));
        self.host().describe(&mut top);
        top.into_raw()
    }
}

impl StaticConfig {
    fn describe(&self, top: &mut Entries, params: &mut Entries) {
        top.add(&POOL_SIZE, Raw::Number(self.pool_size.into()));
        if let Some(FileStorage { file_path, use_direct_io }) = &self.file {
            params.add(&FILE_PATH, path(file_path));
            params.add(&USE_DIRECT_IO, Raw::Bool(*use_direct_io));
        }
        if let Some(bytes) = self.slot_bytes {
            params.add(&FILE_SIZE, Raw::Number(bytes.into()));
        }
        if let Some(prefix) = &self.object_prefix {
            params.add(&OBJECT_PREFIX, text(prefix));
        }
        top.add(&INTEGRITY, text(self.integrity.name()));
    }
}

impl DynamicConfig {
    fn describe(&self, top: &mut Entries, params: &mut Entries) {
        top.add(&PERSIST_ENABLED, Raw::Bool(self.persist_enabled));
        top.add(&INTEGRITY, text(self.integrity.name()));
        if let Some(tag) = &self.layout_tag {
            top.add(&LAYOUT_TAG, text(tag));
        }
        top.add(&DURABILITY, text(self.durability.name()));
        top.add(&RECOVER_SCAN, text(self.recover_scan.name()));
        top.add(&MIN_FREE_GB, Raw::float(self.min_free as f64 / GIB as f64));
        params.add(&FILE_PATH, path(&self.file_path));
        params.add(&USE_DIRECT_IO, Raw::Bool(self.use_direct_io));
        params.add(&MAX_CAPACITY_GB, gib(self.max_capacity));
        params.add(&SHARD_DIRS, Raw::Bool(self.shard_dirs));
    }
}

impl EvictionConfig {
    fn to_raw(self) -> Raw {
        let mut eviction = Entries::default();
        eviction.add(&EVICTION_POLICY, text(self.policy.name()));
        eviction.add(&TRIGGER_WATERMARK, Raw::float(self.trigger_watermark));
        eviction.add(&EVICTION_RATIO, Raw::float(self.eviction_ratio));
        eviction.into_raw()
    }
}

impl EngineConfig {
    fn describe(&self, top: &mut Entries) {
        if let Some(workers) = self.workers {
            top.add(&WORKERS, Raw::Number(workers.into()));
        }
        top.add(&IO_TIMEOUT_SECONDS, Raw::float(self.io_timeout.as_secs_f64()));
        let spin = u64::try_from(self.spin.as_micros()).unwrap_or(u64::MAX);
        top.add(&SPIN_MICROSECONDS, Raw::Number(spin.into()));
    }
}

impl HostKeys {
    fn describe(&self, top: &mut Entries) {
        if let Some(tag) = &self.affinity_tag {
            top.add(&AFFINITY_TAG, text(tag));
        }
        if let Some(shared) = self.shared {
            top.add(&SHARED, Raw::Bool(shared));
        }
    }
}

/// The entries of an object in the making.
#[derive(Default)]
struct Entries(Vec<(String, Raw)>);

impl Entries {
    fn add(&mut self, field: &Field, value: Raw) {
        self.0.push((field.name.to_owned(), value));
    }

    fn extend(&mut self, params: &PluginParams) {
        self.0.extend(params.expose().map(|(name, value)| (name.to_owned(), text(value))));
    }

    fn into_raw(self) -> Raw {
        Raw::Object(self.0)
    }
}

fn gib(bytes: u64) -> Raw {
    if bytes.is_multiple_of(GIB) {
        Raw::Number((bytes / GIB).into())
    } else {
        Raw::float(bytes as f64 / GIB as f64)
    }
}

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

fn path(path: &Path) -> Raw {
    Raw::Text(path.to_string_lossy().into_owned())
}
