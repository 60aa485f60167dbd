//! A stand-in for the server that owns L1: it leases memory, submits, and waits with a limit.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "it is for tests: it fails by panicking, with what was asked and what came"
)]

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use l2_memory::{Lease, MemoryError, Region};

use super::factory::{Factory, Opened, Options};
use super::fixtures::{check, fill};
use crate::adapter::L2Adapter;
use crate::error::ErrorKind;
use crate::key::ObjectKey;
use crate::report::{
    DeleteReport, Deleted, LoadItem, LoadReport, Looked, LookupReport, StoreItem, StoreReport, Stored,
};
use crate::task::Task;

/// What memory for direct I/O has to be aligned to, in bytes.
const PAGE: usize = 4096;

/// What blank leases hold, so that bytes which a load did not write are not right by chance.
const BLANK: u8 = 0xa5;

/// A server with L1 memory and one adapter behind it. Its methods panic, saying why, instead of failing.
pub struct Host {
    /// The adapter.
    pub adapter: Arc<dyn L2Adapter>,
    /// The memory.
    pub l1: Region,
    /// Length of an ordinary object in bytes.
    pub object_bytes: usize,
    limit: Duration,
}

impl Host {
    /// A host of an adapter for `objects` ordinary objects, with L1 for twice as many.
    pub fn open(factory: &dyn Factory, objects: usize) -> Self {
        Self::with(factory, Self::options(factory, objects))
    }

    /// A host of an adapter with these options.
    pub fn with(factory: &dyn Factory, options: Options) -> Self {
        Self::of(factory, factory.open(options), options)
    }

    /// Closes the adapter and opens its place again; `None` where the factory cannot.
    pub fn reopen(self, factory: &dyn Factory) -> Option<Self> {
        let options = Options {
            capacity_bytes: self.adapter.usage().capacity_bytes,
            object_bytes: self.object_bytes,
            l1_bytes: self.l1.len(),
        };
        self.adapter.close().expect("closing");
        drop(self);
        Some(Self::of(factory, factory.reopen(options)?, options))
    }

    /// The options for `objects` ordinary objects of this factory.
    pub fn options(factory: &dyn Factory, objects: usize) -> Options {
        let object_bytes = factory.object_bytes();
        let l1_bytes = 2 * (objects + 2) * object_bytes.next_multiple_of(PAGE);
        Options { capacity_bytes: (objects * object_bytes) as u64, object_bytes, l1_bytes }
    }

    fn of(factory: &dyn Factory, opened: Opened, options: Options) -> Self {
        let Opened { adapter, l1 } = opened;
        assert!(l1.len() >= options.l1_bytes, "the factory made {l1:?} for {options:?}");
        Self { adapter, l1, object_bytes: options.object_bytes, limit: factory.limit() }
    }

    /// A lease of any free range of L1, page-aligned.
    #[track_caller]
    pub fn lease(&self, bytes: usize) -> Lease {
        // More than once: another thread may free what was passed by, and take what lies ahead.
        for _ in 0..100 {
            let mut at = 0;
            loop {
                match self.l1.lease(at, bytes) {
                    Ok(lease) => return lease,
                    Err(MemoryError::Leased { held_offset, held_length, .. }) => {
                        at = (held_offset + held_length).next_multiple_of(PAGE);
                    }
                    Err(_) => break,
                }
            }
            thread::yield_now();
        }
        panic!("no {bytes} bytes of {:?} are free; {} are leased", self.l1, self.l1.leased_bytes());
    }

    /// An ordinary object to store, with the bytes that derive from its key.
    #[track_caller]
    pub fn item(&self, key: &ObjectKey) -> StoreItem {
        self.item_of(key, self.object_bytes)
    }

    /// An object of another length to store.
    #[track_caller]
    pub fn item_of(&self, key: &ObjectKey, bytes: usize) -> StoreItem {
        let mut lease = self.lease(bytes);
        fill(key, lease.as_mut_slice().expect("the suite needs main memory"));
        StoreItem { key: key.clone(), memory: lease.freeze() }
    }

    /// An ordinary object to load, into memory that does not hold its bytes.
    #[track_caller]
    pub fn blank(&self, key: &ObjectKey) -> LoadItem {
        self.blank_of(key, self.object_bytes)
    }

    /// An object of another length to load.
    #[track_caller]
    pub fn blank_of(&self, key: &ObjectKey, bytes: usize) -> LoadItem {
        let mut memory = self.lease(bytes);
        memory.as_mut_slice().expect("the suite needs main memory").fill(BLANK);
        LoadItem { key: key.clone(), memory }
    }

    /// The result of a task.
    #[track_caller]
    pub fn wait<T>(&self, task: Task<T>) -> T {
        task.wait(self.limit)
            .unwrap_or_else(|late| panic!("{:?} did not end within {:?}", late.0, self.limit))
    }

    /// Asks until `holds` says yes; panics with `what` after the limit. For what the contract promises without saying
    /// when.
    #[track_caller]
    pub fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < self.limit, "not within {:?}: {what}", self.limit);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How long a test waits for anything.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Stores ordinary objects; one outcome per key.
    #[track_caller]
    pub fn store(&self, keys: &[ObjectKey]) -> StoreReport {
        self.store_items(keys.iter().map(|key| self.item(key)).collect())
    }

    /// Stores these objects; one outcome per item.
    #[track_caller]
    pub fn store_items(&self, batch: Vec<StoreItem>) -> StoreReport {
        let asked = batch.len();
        let report = self.wait(self.adapter.submit_store(batch));
        assert_eq!(report.outcomes.len(), asked, "a store has one outcome per item");
        report
    }

    /// Looks keys up; one answer per key.
    #[track_caller]
    pub fn lookup(&self, keys: &[ObjectKey]) -> LookupReport {
        let report = self.wait(self.adapter.submit_lookup_and_lock(keys.to_vec()));
        assert_eq!(report.keys, keys, "a lookup answers the keys it was asked");
        assert_eq!(report.answers.len(), keys.len(), "a lookup has one answer per key");
        report
    }

    /// Loads ordinary objects; one outcome per key.
    #[track_caller]
    pub fn load(&self, keys: &[ObjectKey]) -> LoadReport {
        self.load_items(keys.iter().map(|key| self.blank(key)).collect())
    }

    /// Loads these objects; one outcome per item. Whatever is reported as loaded is checked byte by byte.
    #[track_caller]
    pub fn load_items(&self, batch: Vec<LoadItem>) -> LoadReport {
        let keys: Vec<ObjectKey> = batch.iter().map(|item| item.key.clone()).collect();
        let report = self.wait(self.adapter.submit_load(batch));
        check_load(&keys, &report);
        report
    }

    /// Deletes objects; one answer per key.
    #[track_caller]
    pub fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        let report = self.adapter.delete(keys);
        assert_eq!(report.answers.len(), keys.len(), "a delete has one answer per key");
        report
    }

    /// Stores ordinary objects, each of which must be written.
    #[track_caller]
    pub fn must_store(&self, keys: &[ObjectKey]) {
        for (key, outcome) in keys.iter().zip(&self.store(keys).outcomes) {
            let bytes = self.object_bytes as u64;
            assert!(is_written(&outcome.result, bytes), "store of {key}: {:?}", outcome.result);
        }
    }

    /// Loads ordinary objects, each of which must come back byte for byte.
    #[track_caller]
    pub fn must_load(&self, keys: &[ObjectKey]) {
        for (key, outcome) in keys.iter().zip(&self.load(keys).outcomes) {
            assert!(outcome.result.is_ok(), "load of {key}: {:?}", outcome.result);
        }
    }

    /// Deletes ordinary objects, each of which must be freed.
    #[track_caller]
    pub fn must_delete(&self, keys: &[ObjectKey]) {
        for (key, answer) in keys.iter().zip(&self.delete(keys).answers) {
            let freed = matches!(answer, Deleted::Freed { bytes } if *bytes == self.object_bytes as u64);
            assert!(freed, "delete of {key}: {answer:?}");
        }
    }

    /// Looks keys up, each of which must be a hit of an ordinary object. The pins stay.
    #[track_caller]
    pub fn must_hit(&self, keys: &[ObjectKey]) {
        for (key, answer) in keys.iter().zip(&self.lookup(keys).answers) {
            let hit = matches!(answer, Looked::Hit { bytes } if *bytes == self.object_bytes as u64);
            assert!(hit, "lookup of {key}: {answer:?}");
        }
    }

    /// Looks keys up, each of which must be a plain miss.
    #[track_caller]
    pub fn must_miss(&self, keys: &[ObjectKey]) {
        for (key, answer) in keys.iter().zip(&self.lookup(keys).answers) {
            let miss = matches!(answer, Looked::Miss(error) if error.is_miss());
            assert!(miss, "lookup of {key}, which is not there: {answer:?}");
        }
    }

    /// Length of the object under `key`, if there is one; pins nothing in the end.
    #[track_caller]
    pub fn present(&self, key: &ObjectKey) -> Option<u64> {
        let keys = std::slice::from_ref(key);
        let report = self.lookup(keys);
        match report.answers.first() {
            Some(Looked::Hit { bytes }) => {
                self.adapter.unlock(keys);
                Some(*bytes)
            }
            _ => None,
        }
    }

    /// Bytes in use; panics when they pass the capacity.
    #[track_caller]
    pub fn used(&self) -> u64 {
        let usage = self.adapter.usage();
        assert!(usage.used_bytes <= usage.capacity_bytes, "{usage:?}");
        usage.used_bytes
    }

    /// Panics unless this many ordinary objects' bytes are in use.
    #[track_caller]
    pub fn must_use(&self, objects: usize) {
        assert_eq!(self.used(), (objects * self.object_bytes) as u64, "bytes in use, of {objects} objects");
    }
}

/// Panics unless there is one outcome per key, and what was reported as loaded is right, byte by byte.
#[track_caller]
pub(super) fn check_load(keys: &[ObjectKey], report: &LoadReport) {
    assert_eq!(report.outcomes.len(), keys.len(), "a load has one outcome per item");
    for (key, outcome) in keys.iter().zip(&report.outcomes) {
        if let Ok(loaded) = outcome.result {
            let lease = outcome.memory.as_ref().expect("a load that succeeded gives its lease back");
            assert_eq!(loaded, lease.len() as u64, "a load is of the whole lease");
            let bytes = lease.as_slice().expect("the suite needs main memory");
            check(key, bytes).unwrap_or_else(|wrong| panic!("a load reported success, but {wrong}"));
        }
    }
}

/// Whether a store wrote this many bytes.
pub(super) fn is_written(result: &Result<Stored, crate::L2Error>, bytes: u64) -> bool {
    matches!(result, Ok(Stored::Written { bytes: written }) if *written == bytes)
}

/// Whether an operation failed with an error of this kind.
pub(super) fn failed_as<T>(result: &Result<T, crate::L2Error>, kind: ErrorKind) -> bool {
    matches!(result, Err(error) if error.kind() == kind)
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host of {:?} with {:?}", self.adapter, self.l1)
    }
}
