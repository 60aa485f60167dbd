//! What an adapter tells whoever has installed a recorder of the `metrics` crate: counts, and how long each stage took.
//!
//! Each is registered once, when the adapter is opened, so that to count costs an atomic addition: a recorder has to be
//! installed before. Without one nothing is counted.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, gauge, histogram};

use crate::damage::Damage;
use crate::error::L2Error;
use crate::report::{LoadOutcome, Looked, StoreOutcome, Stored};
use crate::usage::AdapterStatus;

/// The label that says which adapter it is: its place among those of its host, from 0.
const ADAPTER: &str = "adapter";

/// How long the stages of a store or load took, in seconds.
#[derive(Debug, Clone)]
pub struct Stages {
    /// From the call until a worker took it up; with several workers, once for each job of a batch.
    pub queued: Histogram,
    /// The making or opening of one file.
    pub opened: Histogram,
    /// One request to NIXL, of one or several objects, from when it was handed over until it ended.
    pub transferred: Histogram,
    /// From when the bytes of one object were written until it could be found: the record beside it, and its name.
    pub published: Histogram,
}

/// Counters and histograms of one adapter.
#[derive(Debug)]
pub struct Meters {
    adapter: Option<String>,
    stages: Stages,
    stored: Counter,
    stored_bytes: Counter,
    already_present: Counter,
    hits: Counter,
    misses: Counter,
    loaded: Counter,
    loaded_bytes: Counter,
    deleted: Counter,
    deleted_bytes: Counter,
    evicted: Counter,
    evicted_bytes: Counter,
    store_seconds: Histogram,
    lookup_seconds: Histogram,
    load_seconds: Histogram,
}

impl Meters {
    /// Of the adapter at this place among those of its host, from 0.
    pub fn of(adapter: usize) -> Self {
        let adapter = adapter.to_string();
        let count = |name: &'static str| counter!(name, ADAPTER => adapter.clone());
        let looked_up =
            |result| counter!("nixl_l2_looked_up_keys_total", ADAPTER => adapter.clone(), "result" => result);
        let stage = |stage| histogram!("nixl_l2_stage_seconds", ADAPTER => adapter.clone(), "stage" => stage);
        let task = |operation| histogram!("nixl_l2_task_seconds", ADAPTER => adapter.clone(), "operation" => operation);
        Self {
            stages: Stages {
                queued: stage("queued"),
                opened: stage("opened"),
                transferred: stage("transferred"),
                published: stage("published"),
            },
            stored: count("nixl_l2_stored_objects_total"),
            stored_bytes: count("nixl_l2_stored_bytes_total"),
            already_present: count("nixl_l2_already_present_objects_total"),
            hits: looked_up("hit"),
            misses: looked_up("miss"),
            loaded: count("nixl_l2_loaded_objects_total"),
            loaded_bytes: count("nixl_l2_loaded_bytes_total"),
            deleted: count("nixl_l2_deleted_objects_total"),
            deleted_bytes: count("nixl_l2_deleted_bytes_total"),
            evicted: count("nixl_l2_evicted_objects_total"),
            evicted_bytes: count("nixl_l2_evicted_bytes_total"),
            store_seconds: task("store"),
            lookup_seconds: task("lookup"),
            load_seconds: task("load"),
            adapter: Some(adapter),
        }
    }

    /// How long the stages take.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Objects that eviction removed, and the bytes that are free.
    pub fn evicted(&self, objects: u64, bytes: u64) {
        self.evicted.increment(objects);
        self.evicted_bytes.increment(bytes);
    }

    /// Objects that are gone, whoever removed them, and the bytes that are free.
    pub(crate) fn deleted(&self, objects: u64, bytes: u64) {
        self.deleted.increment(objects);
        self.deleted_bytes.increment(bytes);
    }

    pub(crate) fn stored(&self, since: Instant, outcomes: &[StoreOutcome]) {
        let (mut objects, mut bytes, mut present) = (0, 0, 0);
        for outcome in outcomes {
            match &outcome.result {
                Ok(Stored::Written { bytes: written }) => {
                    objects += 1;
                    bytes += written;
                }
                Ok(Stored::AlreadyPresent) => present += 1,
                Err(error) => self.failed("store", error),
            }
        }
        self.stored.increment(objects);
        self.stored_bytes.increment(bytes);
        self.already_present.increment(present);
        let took = since.elapsed();
        self.store_seconds.record(took);
        tracing::trace!(items = outcomes.len(), objects, bytes, present, ?took, "stored");
    }

    pub(crate) fn looked_up(&self, since: Instant, answers: &[Looked]) {
        let (mut hits, mut misses) = (0, 0);
        for answer in answers {
            match answer {
                Looked::Hit { .. } => hits += 1,
                Looked::Miss(error) => {
                    misses += 1;
                    if !error.is_miss() {
                        self.failed("lookup", error);
                    }
                }
            }
        }
        self.hits.increment(hits);
        self.misses.increment(misses);
        let took = since.elapsed();
        self.lookup_seconds.record(took);
        tracing::trace!(hits, misses, ?took, "looked up");
    }

    pub(crate) fn loaded(&self, since: Instant, outcomes: &[LoadOutcome]) {
        let (mut objects, mut bytes) = (0, 0);
        for outcome in outcomes {
            match &outcome.result {
                Ok(loaded) => {
                    objects += 1;
                    bytes += loaded;
                }
                Err(error) => self.failed("load", error),
            }
        }
        self.loaded.increment(objects);
        self.loaded_bytes.increment(bytes);
        let took = since.elapsed();
        self.load_seconds.record(took);
        tracing::trace!(items = outcomes.len(), objects, bytes, ?took, "loaded");
    }

    /// Looked for by its reason each time: it is rare.
    fn failed(&self, operation: &'static str, error: &L2Error) {
        let Some(adapter) = &self.adapter else { return };
        let reason = error.kind().as_str();
        counter!("nixl_l2_failures_total", ADAPTER => adapter.clone(), "operation" => operation, "reason" => reason)
            .increment(1);
    }
}

/// They count nothing.
impl Default for Meters {
    fn default() -> Self {
        let (counter, histogram) = (Counter::noop, Histogram::noop);
        Self {
            adapter: None,
            stages: Stages::default(),
            stored: counter(),
            stored_bytes: counter(),
            already_present: counter(),
            hits: counter(),
            misses: counter(),
            loaded: counter(),
            loaded_bytes: counter(),
            deleted: counter(),
            deleted_bytes: counter(),
            evicted: counter(),
            evicted_bytes: counter(),
            store_seconds: histogram(),
            lookup_seconds: histogram(),
            load_seconds: histogram(),
        }
    }
}

/// They keep nothing.
impl Default for Stages {
    fn default() -> Self {
        let none = Histogram::noop;
        Self { queued: none(), opened: none(), transferred: none(), published: none() }
    }
}

/// Does something, and records how long it took.
pub fn timed<T>(stage: &Histogram, what: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = what();
    stage.record(start.elapsed());
    result
}

impl AdapterStatus {
    /// Tells the recorder of the `metrics` crate what the status says, as that of the adapter at this place: to be called
    /// whenever the figures are read, or every few seconds.
    pub fn publish(&self, adapter: usize) {
        let adapter = adapter.to_string();
        let set = |name: &'static str, value: u64| gauge!(name, ADAPTER => adapter.clone()).set(value as f64);
        set("nixl_l2_healthy", u64::from(self.healthy));
        set("nixl_l2_recovering", u64::from(self.recovering));
        set("nixl_l2_objects", self.stored_objects);
        set("nixl_l2_pinned_objects", self.pinned_objects);
        set("nixl_l2_used_bytes", self.usage.used_bytes);
        set("nixl_l2_capacity_bytes", self.usage.capacity_bytes);
        set("nixl_l2_tasks_in_flight", self.tasks_in_flight);
        set("nixl_l2_parked_transfers", self.parked_transfers);
        if let Some(pool) = &self.pool {
            set("nixl_l2_pool_slots", pool.slots);
            set("nixl_l2_pool_free_slots", pool.free_slots);
        }
        for (operation, breaker) in [("store", self.store_breaker), ("load", self.load_breaker)] {
            gauge!("nixl_l2_breaker_open", ADAPTER => adapter.clone(), "operation" => operation)
                .set(f64::from(u8::from(breaker.is_open)));
            counter!("nixl_l2_breaker_opened_total", ADAPTER => adapter.clone(), "operation" => operation)
                .absolute(breaker.opened);
        }
        for damage in Damage::ALL {
            counter!("nixl_l2_healed_objects_total", ADAPTER => adapter.clone(), "reason" => damage.name())
                .absolute(self.healed.of(damage));
        }
        counter!("nixl_l2_expired_pins_total", ADAPTER => adapter.clone()).absolute(self.expired_pins);
        counter!("nixl_l2_replaced_agents_total", ADAPTER => adapter.clone()).absolute(self.replaced_agents);
    }
}

/// The upper bounds, in seconds, of the buckets that suit the histograms: from an index hit to a transfer that hangs.
pub const SECONDS_BUCKETS: [f64; 20] = [
    1e-6, 2.5e-6, 1e-5, 2.5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5,
    1.0, 5.0, 30.0, 120.0,
];
