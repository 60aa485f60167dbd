//! How full an adapter is, and how it is.

use std::iter::Sum;

use crate::breaker::BreakerStatus;
use crate::damage::Healed;

/// Bytes in use and the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes reserved, stored, or being deleted.
    pub used_bytes: u64,
    /// Most bytes that stores may use.
    pub capacity_bytes: u64,
}

impl Usage {
    /// Bytes in use over the capacity; 1 is full. `None` without a capacity.
    pub fn fraction(&self) -> Option<f64> {
        // Both are below 2^53 on any storage there is; a rounded quotient is what a watermark wants.
        (self.capacity_bytes > 0).then(|| self.used_bytes as f64 / self.capacity_bytes as f64)
    }
}

/// Of several adapters.
impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |sum, usage| Self {
            used_bytes: sum.used_bytes.saturating_add(usage.used_bytes),
            capacity_bytes: sum.capacity_bytes.saturating_add(usage.capacity_bytes),
        })
    }
}

/// What one tenant has stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaltUsage {
    /// The cache salt; empty for keys without one.
    pub salt: String,
    /// Bytes reserved, stored, or being deleted.
    pub bytes: u64,
    /// How many objects that is.
    pub objects: u64,
}

/// What an operator wants to know of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterStatus {
    /// The adapter's `type` in JSON, such as `nixl_store_dynamic`.
    pub adapter: &'static str,
    /// The NIXL plugin, such as `POSIX`.
    pub backend: String,
    /// Whether it takes requests and its workers are alive.
    pub healthy: bool,
    /// Objects that can be looked up in the index (those on storage that nobody asked for yet are not in it).
    pub stored_objects: u64,
    /// Of these, how many are pinned.
    pub pinned_objects: u64,
    /// Pins that were given back by nobody within their time, and were taken away.
    pub expired_pins: u64,
    /// Bytes in use and the capacity.
    pub usage: Usage,
    /// Tasks submitted and not ended.
    pub tasks_in_flight: u64,
    /// Whether what an earlier run left is still being counted: until it is, the bytes in use are too few.
    pub recovering: bool,
    /// Objects dropped because their storage was found gone, wrong or unreadable.
    pub healed_objects: u64,
    /// The same by reason, of an adapter that tells them apart.
    pub healed: Healed,
    /// Requests past their deadline whose memory NIXL has not let go of.
    pub parked_transfers: u64,
    /// Whether stores are refused because the storage fails.
    pub store_breaker: BreakerStatus,
    /// Whether lookups and loads are answered with misses because the storage fails.
    pub load_breaker: BreakerStatus,
    /// NIXL agents that no longer answered and were replaced.
    pub replaced_agents: u64,
    /// The pool, of an adapter that has one.
    pub pool: Option<PoolStatus>,
}

/// What there is of a fixed pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Files or objects of the pool.
    pub slots: u64,
    /// Bytes of each; 0 while the first store has not decided that.
    pub slot_bytes: u64,
    /// As many slots as the free bytes make, wherever they are.
    pub free_slots: u64,
}

impl PoolStatus {
    /// So many slots, all free.
    pub fn new(slots: u64, slot_bytes: u64) -> Self {
        Self { slots, slot_bytes, free_slots: slots }
    }
}

impl AdapterStatus {
    /// A status with nothing in it.
    pub fn new(adapter: &'static str, backend: impl Into<String>) -> Self {
        Self {
            adapter,
            backend: backend.into(),
            healthy: true,
            stored_objects: 0,
            pinned_objects: 0,
            expired_pins: 0,
            usage: Usage::default(),
            tasks_in_flight: 0,
            recovering: false,
            healed_objects: 0,
            healed: Healed::default(),
            parked_transfers: 0,
            store_breaker: BreakerStatus::default(),
            load_breaker: BreakerStatus::default(),
            replaced_agents: 0,
            pool: None,
        }
    }
}
