//! The configuration of `nixl_store`: a fixed pool of files or objects, made at start.

use std::path::PathBuf;
use std::time::Duration;

use crate::adapter::AdapterConfig;
use crate::backend::Backend;
use crate::engine::EngineConfig;
use crate::error::{ConfigErrors, Reported};
use crate::eviction::EvictionConfig;
use crate::fields::{
    BACKEND_PARAMS, FILE_PATH, FILE_SIZE, MOST_PREFIX, OBJECT_PREFIX, POOL_SIZE, Place, SLOT_SIZE,
    USE_DIRECT_IO,
};
use crate::host::HostKeys;
use crate::integrity::Integrity;
use crate::pins;
use crate::plugin_params::PluginParams;
use crate::reader::Reader;

/// The static adapter. Made in Rust by [`StaticConfig::new`], changed field by field, then checked by
/// [`StaticConfig::validate`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StaticConfig {
    /// Where it stores.
    pub backend: Backend,
    /// How many slots (files or objects) are made at start; from 1 to 2³²−1.
    pub pool_size: u64,
    /// Where the files lie; given for the backends that keep files, and for no other.
    pub file: Option<FileStorage>,
    /// The size of one slot in bytes, not 0; `None` leaves it to the adapter (L1's page, or what one chunk needs).
    pub slot_bytes: Option<u64>,
    /// What the names of the objects start with, on object stores only; not blank, at most 512 bytes, no control
    /// characters. `None` leaves it to the adapter.
    pub object_prefix: Option<String>,
    /// How room is made; without it a full adapter rejects stores.
    pub eviction: Option<EvictionConfig>,
    /// Threads and time limits.
    pub engine: EngineConfig,
    /// How long the pin of a lookup lasts if nobody gives it back; `None`: for ever. `Some` is above zero, which
    /// would mean nothing here, and at most [`AdapterConfig::MAX_PIN_TTL`].
    pub pin_ttl: Option<Duration>,
    /// What each load is compared with.
    pub integrity: Integrity,
    /// What goes to NIXL's plugin.
    pub plugin_params: PluginParams,
    /// What the host keeps here for itself.
    pub host: HostKeys,
    /// Its place among the adapters of its host, from 0: the label `adapter` of its metrics. Not in the JSON.
    pub adapter_index: usize,
}

/// Where a pool of files lies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStorage {
    /// The directory for the data; not blank, without NUL.
    pub file_path: PathBuf,
    /// Whether files are opened with `O_DIRECT`.
    pub use_direct_io: bool,
}

impl FileStorage {
    /// Files in this directory, buffered.
    #[must_use]
    pub fn new(file_path: impl Into<PathBuf>) -> Self {
        Self { file_path: file_path.into(), use_direct_io: false }
    }
}

impl StaticConfig {
    /// The most bytes of an `object_prefix`.
    pub const MOST_OBJECT_PREFIX: usize = MOST_PREFIX;

    /// A pool of so many slots, without eviction. A backend that keeps files also needs `file`.
    #[must_use]
    pub fn new(backend: Backend, pool_size: u64) -> Self {
        Self {
            backend,
            pool_size,
            file: None,
            slot_bytes: None,
            object_prefix: None,
            eviction: None,
            engine: EngineConfig::default(),
            pin_ttl: Some(AdapterConfig::DEFAULT_PIN_TTL),
            integrity: Integrity::default(),
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
        let pool_size = top.need(&POOL_SIZE, top.integer(&POOL_SIZE));
        let eviction = EvictionConfig::read(&top);
        let engine = EngineConfig::read(&top);
        let pin_ttl = pins::read_ttl(&top);
        let integrity = Integrity::read(&top);
        let host = HostKeys::read(&top);
        let params = top.object_or_empty(&BACKEND_PARAMS, Place::BackendParams);

        let storage = params.and_then(|params| {
            let slot_bytes = read_slot_bytes(&params);
            let file = match params.scope().backend {
                Some(backend) if backend.is_file_based() => read_file(&params).map(Some),
                // Of an unknown backend it is not known whether it needs a directory.
                _ => Ok(None),
            };
            let object_prefix = read_object_prefix(&params);
            let plugin_params = PluginParams::read(&params);
            if params.scope().backend.is_none() {
                params.check_rest();
            }
            params.finish();
            Ok((slot_bytes?, file?, object_prefix?, plugin_params?))
        });
        if let (Ok(pool_size), Ok((Some(slot_bytes), ..))) = (&pool_size, &storage)
            && pool_size.checked_mul(*slot_bytes).is_none_or(|bytes| i64::try_from(bytes).is_err())
        {
            top.out_of_range(
                &POOL_SIZE,
                format!("less than 2⁶³ bytes in all, with slots of {slot_bytes} bytes"),
            );
        }
        top.finish();

        let (slot_bytes, file, object_prefix, plugin_params) = storage?;
        Ok(Self {
            backend: backend?,
            pool_size: pool_size?,
            file,
            slot_bytes,
            object_prefix,
            eviction: eviction?,
            engine: engine?,
            pin_ttl: pin_ttl?,
            integrity: integrity?,
            plugin_params,
            host: host?,
            adapter_index: 0,
        })
    }
}

fn read_file(params: &Reader<'_>) -> Result<FileStorage, Reported> {
    let file_path = params.need(&FILE_PATH, params.text(&FILE_PATH));
    let use_direct_io = params.need(&USE_DIRECT_IO, params.boolean(&USE_DIRECT_IO));
    Ok(FileStorage { file_path: file_path?.into(), use_direct_io: use_direct_io? })
}

fn read_object_prefix(params: &Reader<'_>) -> Result<Option<String>, Reported> {
    let Some(prefix) = params.text(&OBJECT_PREFIX)? else { return Ok(None) };
    if prefix.len() > MOST_PREFIX {
        let problem = format!("{} bytes long, of at most {MOST_PREFIX}", prefix.len());
        return Err(params.reject(&OBJECT_PREFIX, problem, "shorten it"));
    }
    if prefix.contains(char::is_control) {
        return Err(params.reject(&OBJECT_PREFIX, "a text with a control character in it", "remove it"));
    }
    Ok(Some(prefix.to_owned()))
}

fn read_slot_bytes(params: &Reader<'_>) -> Result<Option<u64>, Reported> {
    match (params.integer(&FILE_SIZE), params.integer(&SLOT_SIZE)) {
        (Ok(Some(file)), Ok(Some(slot))) if file != slot => Err(params.reject(
            &SLOT_SIZE,
            format!("another name for file_size, which is given as {file}"),
            "keep one of them",
        )),
        (file, slot) => Ok(file?.or(slot?)),
    }
}
