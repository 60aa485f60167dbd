//! The whole configuration of one adapter, whichever it is.

use std::fmt;
use std::path::Path;

use crate::backend::Backend;
use crate::dynamic::DynamicConfig;
use crate::engine::EngineConfig;
use crate::error::{ConfigErrors, Faults, Reported};
use crate::eviction::EvictionConfig;
use crate::fields::{BACKEND, BACKEND_PARAMS, Place, Scope, TYPE, any_of};
use crate::host::{HostKeys, Note};
use crate::integrity::Integrity;
use crate::pins;
use crate::plugin_params::PluginParams;
use crate::raw::Raw;
use crate::reader::Reader;
use crate::static_pool::StaticConfig;

/// Which adapter: the `type` of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdapterType {
    /// A fixed pool of storage descriptors, made at start.
    Static,
    /// One file per object, opened for each operation, found again after a restart.
    Dynamic,
}

impl AdapterType {
    /// Every adapter, in the order in which it is listed for people.
    pub const ALL: &'static [Self] = &[Self::Static, Self::Dynamic];

    /// The name in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "nixl_store",
            Self::Dynamic => "nixl_store_dynamic",
        }
    }

    /// The backends it works with.
    #[must_use]
    pub const fn backends(self) -> &'static [Backend] {
        match self {
            Self::Static => Backend::ALL,
            Self::Dynamic => Backend::FILES,
        }
    }
}

impl fmt::Display for AdapterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A checked configuration of one adapter.
///
/// [`AdapterConfig::parse`] gives valid ones only. Who builds or changes one in Rust calls [`AdapterConfig::validate`],
/// which holds it to the same rules; so does whoever opens it. Its `Display` is [`AdapterConfig::to_json`] on one line.
#[derive(Debug, Clone, PartialEq)]
pub enum AdapterConfig {
    /// `"type": "nixl_store"`.
    Static(StaticConfig),
    /// `"type": "nixl_store_dynamic"`.
    Dynamic(DynamicConfig),
}

impl AdapterConfig {
    /// Reads the text of one `--l2-adapter`.
    ///
    /// # Errors
    /// Every fault of the text, at least one; or, if it is not JSON, where it stops being JSON.
    pub fn parse(json: &str) -> Result<Self, ConfigErrors> {
        Self::from_raw(&Raw::parse(json)?)
    }

    /// Checks a configuration that was built or changed in Rust.
    ///
    /// # Errors
    /// Every fault, with the paths of the JSON.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        Self::from_raw(&self.to_raw()).map(|_| ())
    }

    /// Which adapter it is for.
    #[must_use]
    pub const fn adapter_type(&self) -> AdapterType {
        match self {
            Self::Static(_) => AdapterType::Static,
            Self::Dynamic(_) => AdapterType::Dynamic,
        }
    }

    /// Where it stores.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        match self {
            Self::Static(config) => config.backend,
            Self::Dynamic(config) => config.backend,
        }
    }

    /// The directory of a backend that keeps files.
    #[must_use]
    pub fn file_path(&self) -> Option<&Path> {
        match self {
            Self::Static(config) => config.file.as_ref().map(|file| file.file_path.as_path()),
            Self::Dynamic(config) => Some(&config.file_path),
        }
    }

    /// How room is made; `None` if nothing is ever evicted.
    #[must_use]
    pub const fn eviction(&self) -> Option<&EvictionConfig> {
        match self {
            Self::Static(config) => config.eviction.as_ref(),
            Self::Dynamic(config) => config.eviction.as_ref(),
        }
    }

    /// Threads and time limits.
    #[must_use]
    pub const fn engine(&self) -> &EngineConfig {
        match self {
            Self::Static(config) => &config.engine,
            Self::Dynamic(config) => &config.engine,
        }
    }

    /// What goes to NIXL's plugin.
    #[must_use]
    pub const fn plugin_params(&self) -> &PluginParams {
        match self {
            Self::Static(config) => &config.plugin_params,
            Self::Dynamic(config) => &config.plugin_params,
        }
    }

    /// Its place among the adapters of its host, from 0: the label `adapter` of its metrics.
    #[must_use]
    pub const fn adapter_index(&self) -> usize {
        match self {
            Self::Static(config) => config.adapter_index,
            Self::Dynamic(config) => config.adapter_index,
        }
    }

    /// Gives it another place among the adapters of its host.
    #[must_use]
    pub fn with_adapter_index(mut self, index: usize) -> Self {
        match &mut self {
            Self::Static(config) => config.adapter_index = index,
            Self::Dynamic(config) => config.adapter_index = index,
        }
        self
    }

    /// What the host keeps here for itself.
    #[must_use]
    pub const fn host(&self) -> &HostKeys {
        match self {
            Self::Static(config) => &config.host,
            Self::Dynamic(config) => &config.host,
        }
    }

    /// What its writer may want to know although nothing is wrong: keys without effect.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.host().notes().chain(self.plugin_params().notes(self.backend())).collect()
    }

    fn from_raw(raw: &Raw) -> Result<Self, ConfigErrors> {
        let faults = Faults::default();
        let config = Self::read(raw, &faults);
        faults.settle(config)
    }

    fn read(raw: &Raw, faults: &Faults) -> Result<Self, Reported> {
        let top = Reader::top(raw, faults)?;
        if is_for_plugin_loader(raw) {
            return Err(top.refuse(
                &TYPE,
                "LMCache's loader of plugins, and no adapter",
                any_of(&AdapterType::ALL.iter().map(|adapter| adapter.name()).collect::<Vec<_>>()),
                "give what is in its adapter_params, with the \"type\" beside it",
            ));
        }
        let adapter = top.need_choice(&TYPE, AdapterType::ALL, AdapterType::name);
        // A misspelled type or backend is taken for what was probably meant, so that the other faults are named as well.
        let meant = adapter
            .or_else(|reported| top.nearest(&TYPE, AdapterType::ALL, AdapterType::name).ok_or(reported));
        let config = match meant {
            Ok(AdapterType::Dynamic) if names_object_store(&top) => Err(refuse_object_store(top)),
            Ok(meant) => {
                let choices = meant.backends();
                let backend = top.need_choice(&BACKEND, choices, Backend::name);
                let backend_meant = top.nearest(&BACKEND, choices, Backend::name);
                top.set_scope(Scope { adapter: Some(meant), backend: backend_meant });
                match meant {
                    AdapterType::Static => StaticConfig::read(top, backend).map(Self::Static),
                    AdapterType::Dynamic => DynamicConfig::read(top, backend).map(Self::Dynamic),
                }
            }
            Err(reported) => {
                // Which backends are allowed is unknown as well; that one is needed is not.
                let _ = top.need_choice(&BACKEND, Backend::ALL, Backend::name);
                check_only(top);
                Err(reported)
            }
        };
        adapter.and(config)
    }
}

/// What LMCache takes for an adapter of another package, such as nixl-l2's Python package: the configuration is inside.
fn is_for_plugin_loader(raw: &Raw) -> bool {
    let Raw::Object(entries) = raw else { return false };
    entries
        .iter()
        .any(|(key, value)| key == TYPE.name && matches!(value, Raw::Text(text) if text == "plugin"))
}

fn names_object_store(top: &Reader<'_>) -> bool {
    let choices = Backend::ALL;
    top.nearest(&BACKEND, choices, Backend::name).is_some_and(|backend| !backend.is_file_based())
}

/// The dynamic adapter with an object store: the type is what is wrong, so nothing is asked of the other keys but that
/// some adapter knows them.
fn refuse_object_store(top: Reader<'_>) -> Reported {
    let names: Vec<_> = Backend::FILES.iter().map(|backend| backend.name()).collect();
    let reported = top.refuse(
        &BACKEND,
        format!("not served by {}", AdapterType::Dynamic),
        any_of(&names),
        format!("for an object store use the type \"{}\"", AdapterType::Static),
    );
    check_only(top);
    reported
}

/// Checks what can be checked when it is not known which adapter is meant. What is wrong is reported, nothing is kept.
fn check_only(top: Reader<'_>) {
    let _ = EvictionConfig::read(&top);
    let _ = EngineConfig::read(&top);
    let _ = pins::read_ttl(&top);
    let _ = Integrity::read(&top);
    let _ = HostKeys::read(&top);
    if let Ok(Some(params)) = top.object(&BACKEND_PARAMS, Place::BackendParams) {
        params.check_rest();
        params.finish();
    }
    top.check_rest();
    top.finish();
}

impl fmt::Display for AdapterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

impl From<StaticConfig> for AdapterConfig {
    fn from(config: StaticConfig) -> Self {
        Self::Static(config)
    }
}

impl From<DynamicConfig> for AdapterConfig {
    fn from(config: DynamicConfig) -> Self {
        Self::Dynamic(config)
    }
}
