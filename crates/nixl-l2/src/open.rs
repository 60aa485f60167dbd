//! From a configuration to an adapter: checked first, NIXL second, storage last.

use std::sync::Arc;

use l2_config::{AdapterConfig, ConfigErrors, DynamicConfig};
use l2_core::{ErrorKind, L2Adapter, L2Error};
use l2_dynamic::DynamicAdapter;
use l2_memory::Region;
use nixl_safe::Nixl;

use crate::evicting::{Evicting, policy};

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
    /// The adapter could not be set up, or is not in this version.
    #[error(transparent)]
    Adapter(#[from] L2Error),
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
        }
    }
}

/// Opens the adapter that `config` describes, over the memory `l1`.
///
/// The configuration is checked first, then NIXL is loaded, and only then is storage touched. `l1` is registered with
/// NIXL once; leases of other regions can be given too, and are registered for each request. The adapter keeps a reference to the region, and closes itself when dropped.
///
/// # Errors
/// [`OpenError::Config`] with every fault; [`OpenError::Nixl`] when NIXL is missing, with each place where it was
/// looked for; [`OpenError::Adapter`] when the storage cannot be used, or with [`ErrorKind::Unsupported`] for what this
/// version does not have.
pub fn open(config: &AdapterConfig, l1: &Region) -> Result<Arc<dyn L2Adapter>, OpenError> {
    config.validate()?;
    for note in config.notes() {
        tracing::info!("{note}");
    }
    if let Some(eviction) = config.eviction() {
        // Before anything is made on the disk.
        policy(eviction)?;
    }
    let adapter = match config {
        AdapterConfig::Static(_) => return Err(static_is_missing().into()),
        AdapterConfig::Dynamic(dynamic) => open_dynamic(dynamic, l1)?,
    };
    match config.eviction() {
        Some(eviction) => Ok(Arc::new(Evicting::attach(adapter, eviction)?)),
        None => Ok(adapter),
    }
}

fn open_dynamic(config: &DynamicConfig, l1: &Region) -> Result<Arc<dyn L2Adapter>, OpenError> {
    let nixl = Nixl::load()?;
    Ok(Arc::new(DynamicAdapter::open(nixl, config, l1)?))
}

fn static_is_missing() -> L2Error {
    L2Error::new(
        ErrorKind::Unsupported,
        "the adapter nixl_store is not in this version yet; the type nixl_store_dynamic is, on backends that keep files",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_config::{Backend, EvictionConfig, EvictionPolicyName, StaticConfig};

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

    #[test]
    fn the_static_adapter_is_refused_with_the_one_that_is_there() {
        let config = AdapterConfig::parse(
            r#"{"type": "nixl_store", "backend": "OBJ", "backend_params": {"bucket": "kv"}, "pool_size": 32}"#,
        );
        let config: StaticConfig = match config.unwrap() {
            AdapterConfig::Static(config) => config,
            AdapterConfig::Dynamic(_) => unreachable!("the type says so"),
        };
        let text = refused(&config.into(), ErrorKind::Unsupported);
        assert!(text.contains("nixl_store_dynamic"), "{text}");
    }

    #[test]
    fn a_policy_that_is_not_there_is_refused_and_nothing_is_created() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("cache");
        let mut config = DynamicConfig::new(Backend::Posix, &directory, 1 << 20);
        config.eviction = Some(EvictionConfig::new(EvictionPolicyName::Arc));
        refused(&config.into(), ErrorKind::Unsupported);
        assert!(!directory.exists());
    }
}
