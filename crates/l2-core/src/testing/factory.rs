//! What the author of an adapter writes to put it through the conformance suite.

use std::sync::Arc;
use std::time::Duration;

use l2_memory::Region;

use crate::adapter::L2Adapter;
use crate::key::ObjectKey;

/// What a test asks of an adapter that is made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Most bytes that stores may use: a multiple of `object_bytes`.
    pub capacity_bytes: u64,
    /// Length of the objects that the test stores, a multiple of [`Factory::object_bytes`]. Where
    /// [`Factory::length_step`] says that lengths vary, some have another.
    pub object_bytes: usize,
    /// How long the region should be at least.
    pub l1_bytes: usize,
}

/// An adapter made for a test, and the memory that it may be given leases of.
#[derive(Debug)]
pub struct Opened {
    /// The adapter, empty unless reopened.
    pub adapter: Arc<dyn L2Adapter>,
    /// Main memory, of which nothing is leased.
    pub l1: Region,
}

/// What happens to an object's storage behind the adapter's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It is gone.
    Gone,
    /// It has lost its second half.
    Cut,
    /// Nothing is left of its bytes, but it is still there.
    Empty,
}

/// Makes the adapters that the conformance suite is run on, without eviction, so that nothing goes by itself.
///
/// Each test makes its own factory. Most open one adapter, some several, two of them at once.
pub trait Factory: Sync {
    /// An adapter on a place of its own.
    fn open(&self, options: Options) -> Opened;

    /// Opens the place of the latest [`Factory::open`] again; its adapter was closed and dropped. `None` where
    /// nothing outlives an adapter.
    fn reopen(&self, options: Options) -> Option<Opened> {
        let _ = options;
        None
    }

    /// Damages what is stored under `key` at the place of the latest [`Factory::open`]. `false` where that cannot be
    /// done from outside.
    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        let _ = (key, damage);
        false
    }

    /// Length in bytes of an ordinary object of this adapter.
    fn object_bytes(&self) -> usize {
        4096
    }

    /// In which steps, in bytes, the lengths of an adapter's objects may vary: 1 for any length. A divisor of
    /// [`Factory::object_bytes`]. `None` where all have one.
    fn length_step(&self) -> Option<usize> {
        Some(1)
    }

    /// How long a test waits for anything before it fails.
    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }
}
