//! What is examined: the configuration, and what is known of the objects.

use std::time::Duration;

use l2_config::{AdapterConfig, DynamicConfig, EvictionPolicyName, Integrity, StaticConfig};
use l2_static::PoolPlan;

/// What L1 is aligned to, in bytes: the page of a server's memory.
pub(crate) const L1_PAGE: usize = 4096;

/// What is examined.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) config: AdapterConfig,
    /// Bytes of one object, if that is known.
    pub(crate) object_bytes: Option<u64>,
}

impl Subject {
    pub(crate) fn dynamic(&self) -> Option<&DynamicConfig> {
        match &self.config {
            AdapterConfig::Dynamic(config) => Some(config),
            AdapterConfig::Static(_) => None,
        }
    }

    pub(crate) fn pool(&self) -> Option<&StaticConfig> {
        match &self.config {
            AdapterConfig::Static(config) => Some(config),
            AdapterConfig::Dynamic(_) => None,
        }
    }

    /// The pool that would be made; `length` is what direct I/O asks of lengths, where it is used.
    pub(crate) fn plan(&self, length: Option<usize>) -> Option<PoolPlan> {
        let plan = PoolPlan::new(self.pool()?, L1_PAGE, self.object_bytes);
        Some(length.map_or(plan, |length| plan.for_direct_io(length)))
    }

    /// Whether files are moved by direct I/O.
    pub(crate) fn is_direct(&self) -> bool {
        match &self.config {
            AdapterConfig::Dynamic(config) => config.use_direct_io,
            AdapterConfig::Static(config) => config.file.as_ref().is_some_and(|file| file.use_direct_io),
        }
    }

    /// Whether something is kept beside each file of an object.
    pub(crate) fn keeps_records(&self) -> bool {
        self.dynamic().is_some_and(|config| {
            config.integrity == Integrity::Checksum
                || config.layout_tag.is_some()
                || config.backend.may_report_false_success()
        })
    }

    /// Whether files of objects go when there is no room for more.
    pub(crate) fn evicts_files(&self) -> bool {
        let eviction = self.dynamic().and_then(|config| config.eviction.as_ref());
        eviction.is_some_and(|eviction| eviction.policy != EvictionPolicyName::Noop)
    }

    /// How long the adapter gives one request.
    pub(crate) fn io_timeout(&self) -> Duration {
        self.config.engine().io_timeout
    }
}

/// For tests: a pool of so many files.
#[cfg(test)]
pub(crate) fn of_pool(slots: u64, slot_bytes: Option<u64>, object_bytes: Option<u64>) -> Subject {
    let mut config = StaticConfig::new(l2_config::Backend::Posix, slots);
    config.file = Some(l2_config::FileStorage::new("/x"));
    config.slot_bytes = slot_bytes;
    Subject { config: config.into(), object_bytes }
}
