//! An adapter with the controller that evicts from it: one handle for both.

use std::sync::Arc;

use l2_config::{EvictionConfig, EvictionPolicyName};
use l2_core::{
    AdapterStatus, DeleteReport, ErrorKind, EventFds, L2Adapter, L2Error, L2Listener, LoadItem, LoadReport,
    LookupReport, ObjectKey, StoreItem, StoreReport, Task, Usage,
};
use l2_evict::{Attachment, Controller, EvictionPolicy, Lru, Noop, Watermark};

/// Passes every call on; dropped in the order of its fields, so that nothing is evicted from a closing adapter.
#[derive(Debug)]
pub(crate) struct Evicting {
    _attachment: Attachment,
    _controller: Controller,
    adapter: Arc<dyn L2Adapter>,
}

/// The policy that the configuration names.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for those that this version does not have.
pub(crate) fn policy(config: &EvictionConfig) -> Result<Box<dyn EvictionPolicy>, L2Error> {
    match config.policy {
        EvictionPolicyName::Lru => Ok(Box::new(Lru::new())),
        EvictionPolicyName::Noop => Ok(Box::new(Noop)),
        EvictionPolicyName::Arc | EvictionPolicyName::IsolatedLru => {
            let what = format!(
                "eviction.eviction_policy: {} is not in this version yet; LRU and noop are",
                config.policy
            );
            Err(L2Error::new(ErrorKind::Unsupported, what))
        }
    }
}

impl Evicting {
    /// Attaches a controller to `adapter`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a policy that is not there; [`ErrorKind::Io`] when no thread can be started.
    pub(crate) fn attach(adapter: Arc<dyn L2Adapter>, config: &EvictionConfig) -> Result<Self, L2Error> {
        let policy = policy(config)?;
        let watermark = Watermark::new(config.trigger_watermark, config.eviction_ratio)?;
        let controller = Controller::start()?;
        let attachment = controller.attach(&adapter, policy, watermark);
        Ok(Self { _attachment: attachment, _controller: controller, adapter })
    }
}

impl L2Adapter for Evicting {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        self.adapter.submit_store(batch)
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        self.adapter.submit_lookup_and_lock(keys)
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        self.adapter.submit_load(batch)
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        self.adapter.unlock(keys);
    }

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        self.adapter.delete(keys)
    }

    fn usage(&self) -> Usage {
        self.adapter.usage()
    }

    fn status(&self) -> AdapterStatus {
        self.adapter.status()
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.adapter.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.adapter.add_listener(listener);
    }

    fn close(&self) -> Result<(), L2Error> {
        self.adapter.close()
    }
}
