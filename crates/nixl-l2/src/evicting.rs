//! An adapter with the controller that evicts from it: one handle for both.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use l2_config::{EvictionConfig, EvictionPolicyName};
use l2_core::{
    AdapterStatus, DeleteReport, EventFds, Evictable, L2Adapter, L2Error, L2Listener, LoadItem, LoadReport,
    LookupReport, ObjectKey, StoreItem, StoreReport, Task, TaskId, Usage,
};
use l2_evict::{
    ArcPolicy, Attachment, Controller, EvictionPolicy, IsolatedLru, Lru, Noop, Quotas, Watermark,
};

/// Passes every call on; dropped in the order of its fields, so that nothing is evicted from a closing adapter.
#[derive(Debug)]
pub(crate) struct Evicting {
    _attachment: Attachment,
    _controller: Arc<Controller>,
    adapter: Arc<dyn L2Adapter>,
}

/// The policy that the configuration names.
fn policy(config: &EvictionConfig, watermark: Watermark, quotas: Quotas) -> Box<dyn EvictionPolicy> {
    match config.policy {
        EvictionPolicyName::Lru => Box::new(Lru::new()),
        EvictionPolicyName::Arc => Box::new(ArcPolicy::new()),
        EvictionPolicyName::IsolatedLru => Box::new(IsolatedLru::new(quotas, watermark)),
        EvictionPolicyName::Noop => Box::new(Noop),
    }
}

/// The one controller of this process, for as long as any adapter needs it.
fn controller_of_all() -> Result<Arc<Controller>, L2Error> {
    static CONTROLLER: Mutex<Weak<Controller>> = Mutex::new(Weak::new());
    let mut controller = CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = controller.upgrade() {
        return Ok(running);
    }
    let started = Arc::new(Controller::start()?);
    *controller = Arc::downgrade(&started);
    Ok(started)
}

impl Evicting {
    /// Attaches a controller to `adapter`.
    ///
    /// # Errors
    /// [`l2_core::ErrorKind::Io`] when no thread can be started.
    pub(crate) fn attach(
        adapter: Arc<dyn L2Adapter>,
        config: &EvictionConfig,
        quotas: Quotas,
    ) -> Result<Self, L2Error> {
        let watermark = Watermark::new(config.trigger_watermark, config.eviction_ratio)?;
        let controller = controller_of_all()?;
        let policy = policy(config, watermark, quotas);
        let attachment = controller.attach(&*adapter, policy, watermark);
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

    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]) {
        self.adapter.unlock_task(task, keys);
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

    fn evictable(&self) -> Arc<dyn Evictable> {
        self.adapter.evictable()
    }

    fn close(&self) -> Result<(), L2Error> {
        self.adapter.close()
    }
}
