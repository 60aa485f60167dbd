//! One object, stored, loaded, compared and deleted through an adapter of its own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use l2_config::{AdapterConfig, DynamicConfig, RecoverScan, StaticConfig};
use l2_core::{
    Deleted, ErrorKind, KeyScope, L2Adapter, L2Error, LoadItem, Looked, ObjectKey, StoreItem, Stored, Task,
};
use l2_dynamic::DynamicAdapter;
use l2_memory::Region;
use l2_static::{PoolPlan, StaticAdapter};
use nixl_safe::Nixl;

use crate::apart::{host, put_below};
use crate::subject::L1_PAGE;

/// The model name in the key of the object that is tried: no server's.
pub const MODEL: &str = "nixl-l2-doctor";
/// What memory holds before the load, so that bytes which it did not write are not right by chance.
const BLANK: u8 = 0xa5;

/// How a step ended: how long it took, or why it failed.
pub(crate) type Step = Result<Duration, Failure>;

/// Why a step failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    /// It was for want of room alone.
    pub(crate) is_full: bool,
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), is_full: false }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, is_full: false }
    }
}

impl From<L2Error> for Failure {
    fn from(error: L2Error) -> Self {
        Self { text: error.to_string(), is_full: error.kind() == ErrorKind::Full }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What became of the object; a step that was not reached is `None`.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) store: Step,
    pub(crate) load: Option<Step>,
    pub(crate) delete: Option<Step>,
}

/// The configuration of an adapter that can be opened beside a server of `config`: it counts and evicts nothing, deletes
/// no files when it closes, makes no shards, and of a pool it has only the slots that the object needs, with names that
/// no server has.
pub(crate) fn harmless(config: &AdapterConfig, bytes: u64) -> AdapterConfig {
    match config {
        AdapterConfig::Dynamic(config) => of_files(config.clone()).into(),
        AdapterConfig::Static(config) => of_pool(config.clone(), bytes).into(),
    }
}

fn of_files(mut config: DynamicConfig) -> DynamicConfig {
    config.eviction = None;
    config.persist_enabled = true;
    config.recover_scan = RecoverScan::Off;
    config.shard_dirs = false;
    config
}

fn of_pool(mut config: StaticConfig, bytes: u64) -> StaticConfig {
    let slot_bytes = PoolPlan::new(&config, L1_PAGE, Some(bytes)).slot_bytes().max(1);
    // A page of direct I/O may be larger than L1's: one slot more than the sum.
    config.pool_size = config.pool_size.min(bytes.div_ceil(slot_bytes) + 1);
    config.eviction = None;
    if config.file.is_none() {
        put_below(&mut config, &format!("doctor-{}-", host()));
    }
    config
}

/// Tries one object of `bytes` bytes; each step may take `limit`.
pub(crate) fn run(nixl: Nixl, config: &AdapterConfig, bytes: usize, limit: Duration) -> Trial {
    let not_begun = |why| Trial { store: Err(why), load: None, delete: None };
    match Bench::open(nixl, config, bytes, limit) {
        Ok(bench) => bench.run(),
        Err(why) => not_begun(why),
    }
}

/// What the object is tried with.
struct Bench {
    adapter: Arc<dyn L2Adapter>,
    l1: Region,
    /// Where the second place in L1 begins.
    stride: usize,
    key: ObjectKey,
    right: Vec<u8>,
    limit: Duration,
}

impl Bench {
    fn open(nixl: Nixl, config: &AdapterConfig, bytes: usize, limit: Duration) -> Result<Self, Failure> {
        let stride = bytes.checked_next_multiple_of(L1_PAGE).filter(|stride| stride.checked_mul(2).is_some());
        let stride = stride.ok_or("one chunk is as large as all memory")?;
        let l1 = Region::allocate(2 * stride).map_err(|error| error.to_string())?;
        let opened = match config {
            AdapterConfig::Dynamic(config) => {
                DynamicAdapter::open(nixl, config, &l1).map(|adapter| Arc::new(adapter) as Arc<dyn L2Adapter>)
            }
            AdapterConfig::Static(config) => StaticAdapter::open(nixl, config, &l1, Some(bytes as u64))
                .map(|adapter| Arc::new(adapter) as Arc<dyn L2Adapter>),
        };
        let adapter = opened?;
        // No other run has it, and what a run that was killed has left is in nobody's way.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let hash = [&now.to_be_bytes()[..], &std::process::id().to_be_bytes()].concat();
        let key = KeyScope::new(MODEL, 0, 0, "").and_then(|scope| scope.key(&hash));
        let key = key.map_err(|error| error.to_string())?;
        let mut right = vec![0; bytes];
        fastrand::Rng::with_seed(key.hash64()).fill(&mut right);
        Ok(Self { adapter, l1, stride, key, right, limit })
    }

    fn run(self) -> Trial {
        let store = self.store();
        let load = store.is_ok().then(|| self.load());
        // Whatever became of the store: one that was given up may have come through after all.
        let delete = self.delete();
        let delete = store.is_ok().then_some(delete);
        // What it has to say of its end concerns nobody: nothing is kept.
        let _ = self.adapter.close();
        Trial { store, load, delete }
    }

    fn wait<T>(&self, task: Task<T>) -> Result<T, Failure> {
        task.wait(self.limit).map_err(|_| L2Error::timed_out(self.limit).into())
    }

    fn store(&self) -> Step {
        let mut memory = self.l1.lease(0, self.right.len()).map_err(|error| error.to_string())?;
        memory.as_mut_slice().ok_or("main memory cannot be written")?.copy_from_slice(&self.right);
        let begun = Instant::now();
        let item = StoreItem { key: self.key.clone(), memory: memory.freeze() };
        let report = self.wait(self.adapter.submit_store(vec![item]))?;
        let took = begun.elapsed();
        match report.outcomes.into_iter().next().map(|outcome| outcome.result) {
            Some(Ok(Stored::Written { .. })) => Ok(took),
            Some(Ok(Stored::AlreadyPresent)) => Err("the object of a new key is there already".into()),
            Some(Err(error)) => Err(error.into()),
            None => Err("the store has no outcome".into()),
        }
    }

    fn load(&self) -> Step {
        let mut memory = self.l1.lease(self.stride, self.right.len()).map_err(|error| error.to_string())?;
        memory.as_mut_slice().ok_or("main memory cannot be written")?.fill(BLANK);
        let begun = Instant::now();
        let looked = self.wait(self.adapter.submit_lookup_and_lock(vec![self.key.clone()]))?;
        if let Some(Looked::Miss(error)) = looked.answers.into_iter().next() {
            return Err(error.into());
        }
        let item = LoadItem { key: self.key.clone(), memory };
        let loaded = self.wait(self.adapter.submit_load(vec![item]));
        let took = begun.elapsed();
        self.adapter.unlock(std::slice::from_ref(&self.key));
        let outcome = loaded?.outcomes.into_iter().next().ok_or("the load has no outcome")?;
        outcome.result?;
        let memory = outcome.memory.ok_or("the load kept its memory")?;
        let loaded = memory.as_slice().ok_or("main memory cannot be read")?;
        match loaded.iter().zip(&self.right).position(|(loaded, right)| loaded != right) {
            None => Ok(took),
            Some(at) => Err(format!("byte {at} of {} is not what was stored", self.right.len()).into()),
        }
    }

    fn delete(&self) -> Step {
        let begun = Instant::now();
        let report = self.adapter.delete(std::slice::from_ref(&self.key));
        match report.answers.into_iter().next() {
            Some(Deleted::Freed { .. }) => Ok(begun.elapsed()),
            Some(Deleted::Failed(error)) => Err(error.into()),
            Some(Deleted::Busy) => Err("it is still in use".into()),
            Some(Deleted::Absent) | None => Err("it was gone already".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_config::{Backend, EvictionConfig, EvictionPolicyName, FileStorage};

    #[test]
    fn beside_a_server_nothing_is_evicted_counted_or_deleted() {
        let mut config = DynamicConfig::new(Backend::Posix, "/x", 1 << 30);
        config.eviction = Some(EvictionConfig::new(EvictionPolicyName::Lru));
        config.persist_enabled = false;
        config.shard_dirs = true;
        let AdapterConfig::Dynamic(tame) = harmless(&config.into(), 1) else { panic!("another type") };
        assert!(tame.eviction.is_none() && tame.persist_enabled && !tame.shard_dirs);
        assert_eq!(tame.recover_scan, RecoverScan::Off);
    }

    #[test]
    fn of_a_pool_only_what_the_object_needs_is_made_under_names_of_its_own() {
        let of = |config: StaticConfig, bytes| match harmless(&config.into(), bytes) {
            AdapterConfig::Static(tame) => tame,
            AdapterConfig::Dynamic(_) => panic!("another type"),
        };
        let mut files = StaticConfig::new(Backend::Posix, 1000);
        files.file = Some(FileStorage::new("/x"));
        files.slot_bytes = Some(1 << 20);
        assert_eq!(of(files.clone(), 3 << 20).pool_size, 4);
        files.pool_size = 2;
        assert_eq!(of(files, 3 << 20).pool_size, 2);

        let mut objects = StaticConfig::new(Backend::Obj, 1000);
        let own = format!("doctor-{}-", host());
        assert_eq!(of(objects.clone(), 1).object_prefix, Some(format!("nixl-l2/{own}")));
        for length in [500, 512] {
            objects.object_prefix = Some("a".repeat(length));
            let tame = of(objects.clone(), 1);
            assert!(tame.validate().is_ok() && tame.object_prefix != objects.object_prefix, "{tame:?}");
            assert!(tame.object_prefix.is_some_and(|prefix| prefix.ends_with(&own)));
        }
    }
}
