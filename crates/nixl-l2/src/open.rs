//! From a configuration to an adapter: checked first, NIXL second, storage last.

use std::sync::Arc;

use l2_config::{AdapterConfig, ConfigErrors};
use l2_core::{ErrorKind, L2Adapter, L2Error};
use l2_dynamic::DynamicAdapter;
use l2_evict::Quotas;
use l2_memory::Region;
use l2_several::{Member, Several};
use l2_static::StaticAdapter;
use nixl_safe::Nixl;

use crate::evicting::Evicting;

/// Why no adapter could be opened. Nothing was created on storage unless it is [`OpenError::Adapter`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration is wrong; displays as one line for each fault.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// NIXL is not installed, or not as it has to be.
    #[error(transparent)]
    Nixl(#[from] nixl_safe::Error),
    /// The adapter could not be set up.
    #[error(transparent)]
    Adapter(#[from] L2Error),
    /// One of several adapters could not be opened.
    #[error("adapter {} of those given: {error}", place + 1)]
    At {
        /// Its place, from 0.
        place: usize,
        /// Why.
        error: Box<OpenError>,
    },
}

impl OpenError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::InvalidInput,
            Self::Nixl(error) => match error.kind() {
                nixl_safe::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
                nixl_safe::ErrorKind::QueueFull => ErrorKind::Busy,
                nixl_safe::ErrorKind::Failed => ErrorKind::Io,
                // Missing or incompatible libraries and plugins: this machine does not have it.
                _ => ErrorKind::Unsupported,
            },
            Self::Adapter(error) => error.kind(),
            Self::At { error, .. } => error.kind(),
        }
    }
}

/// Opens the adapter that `config` describes, over the memory `l1`.
///
/// The configuration is checked first, then NIXL is loaded, and only then is storage touched. `l1` is registered with
/// NIXL once; leases of other regions can be given too, and are registered for each request. The adapter keeps a
/// reference to the region, and closes itself when dropped.
///
/// A host that has more to say opens with [`open_with`].
///
/// # Errors
/// [`OpenError::Config`] with every fault; [`OpenError::Nixl`] when NIXL is missing, with each place where it was
/// looked for; [`OpenError::Adapter`] when the storage cannot be used, or with [`ErrorKind::Unsupported`] for what this
/// machine does not have.
pub fn open(config: &AdapterConfig, l1: &Region) -> Result<Arc<dyn L2Adapter>, OpenError> {
    open_with(config, l1, &OpenOptions::default())
}

/// What a host may know besides the configuration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// How many bytes each object has. Without `file_size`, a slot of a pool on an object store is as long as that (else
    /// as long as the first object that is stored), and a pool that cannot hold one is warned of when it is opened.
    pub chunk_bytes: Option<u64>,
    /// How many bytes each tenant may have, for the policy `IsolatedLRU`. Keep a clone to change them; without any,
    /// `IsolatedLRU` does what LRU does.
    pub quotas: Quotas,
}

impl OpenOptions {
    /// With this length of an object.
    #[must_use]
    pub fn chunk_bytes(mut self, bytes: u64) -> Self {
        self.chunk_bytes = Some(bytes);
        self
    }

    /// With these quotas.
    #[must_use]
    pub fn quotas(mut self, quotas: &Quotas) -> Self {
        self.quotas = quotas.clone();
        self
    }
}

/// [`open`], with what the host knows.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    config: &AdapterConfig,
    l1: &Region,
    options: &OpenOptions,
) -> Result<Arc<dyn L2Adapter>, OpenError> {
    let _span = tracing::info_span!("open", adapter = config.adapter_index(), %config).entered();
    config.validate()?;
    for note in config.notes() {
        tracing::info!("{note}");
    }
    let nixl = Nixl::load()?;
    let adapter: Arc<dyn L2Adapter> = match config {
        AdapterConfig::Static(config) => {
            Arc::new(StaticAdapter::open(nixl, config, l1, options.chunk_bytes)?)
        }
        AdapterConfig::Dynamic(config) => Arc::new(DynamicAdapter::open(nixl, config, l1)?),
    };
    match config.eviction() {
        Some(eviction) => Ok(Arc::new(Evicting::attach(adapter, eviction, options.quotas.clone())?)),
        None => Ok(adapter),
    }
}

/// Opens several adapters over the same memory, as one: stores go to all, lookups take the first that has the longest run of
/// hits, and one adapter's failure does not hurt the others. Each evicts by itself, as its configuration says.
///
/// # Errors
/// As [`open`], for the first that fails, with its place in `configs`; those before it are closed again. All configurations
/// are checked before the first is opened. With none, [`OpenError::Adapter`].
pub fn open_several(
    configs: &[AdapterConfig],
    l1: &Region,
    options: &OpenOptions,
) -> Result<Arc<Several>, OpenError> {
    let at = |place: usize| move |error: OpenError| OpenError::At { place, error: Box::new(error) };
    for (place, config) in configs.iter().enumerate() {
        config.validate().map_err(OpenError::from).map_err(at(place))?;
    }
    let members = configs.iter().enumerate().map(|(place, config)| {
        let config = config.clone().with_adapter_index(place);
        let adapter = open_with(&config, l1, options).map_err(at(place))?;
        Ok(Member::new(adapter).pin_ttl(config.pin_ttl()).spin(config.engine().spin))
    });
    let mut members = members.collect::<Result<Vec<_>, OpenError>>()?.into_iter();
    let none = || L2Error::new(ErrorKind::InvalidInput, "there has to be at least one adapter to open");
    Ok(Arc::new(Several::of(members.next().ok_or_else(none)?, members)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_config::{Backend, DynamicConfig};

    #[track_caller]
    fn refused(config: &AdapterConfig, expect: ErrorKind) -> String {
        let error = open(config, &Region::allocate(4096).unwrap()).unwrap_err();
        assert_eq!(error.kind(), expect, "{error}");
        error.to_string()
    }

    #[test]
    fn a_bad_configuration_is_refused_with_every_fault_and_nothing_is_created() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("cache");
        let mut config = DynamicConfig::new(Backend::Posix, &directory, 0);
        config.engine.workers = Some(1000);
        let text = refused(&config.into(), ErrorKind::InvalidInput);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("max_capacity_gb") && text.contains("workers"), "{text}");
        assert!(!directory.exists());
    }
}
