//! Our side: an adapter in a directory of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nixl_l2::paths::{Layout, key_to_path};
use nixl_l2::{
    AdapterConfig, Backend, Deleted, DynamicConfig, FileStorage, KeyScope, L2Adapter, Lease, LoadItem,
    LoadReport, ObjectKey, SharedLease, StaticConfig, StoreItem, StoreReport, Task,
};
use tempfile::TempDir;

use crate::bed::{Bed, Cost, Loads, MIB, Objects, Stores};

/// Nothing here takes longer unless it hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of a file of a pool.
const FILE: u64 = 32 * MIB as u64;

/// An adapter, open; its files go with it.
pub(crate) struct Adapter {
    // Closed before its directory is removed.
    adapter: Arc<dyn L2Adapter>,
    scope: KeyScope,
    home: TempDir,
}

/// How an adapter moves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    pub(crate) direct: bool,
    /// The usual number by default.
    pub(crate) workers: Option<usize>,
}

impl Adapter {
    /// `nixl_store_dynamic`.
    pub(crate) fn dynamic(bed: &Bed, how: How) -> Result<Self> {
        const ROOM: u64 = 64 << 30;
        let home = bed.directory()?;
        let mut config = DynamicConfig::new(Backend::Posix, home.path(), ROOM);
        config.use_direct_io = how.direct;
        config.engine.workers = how.workers;
        Self::open(bed, config.into(), home)
    }

    /// `nixl_store` with room for these objects.
    pub(crate) fn pool(bed: &Bed, objects: Objects) -> Result<Self> {
        let home = bed.directory()?;
        let mut config = StaticConfig::new(Backend::Posix, objects.total().div_ceil(FILE));
        config.slot_bytes = Some(FILE);
        config.file = Some(FileStorage::new(home.path()));
        Self::open(bed, config.into(), home)
    }

    fn open(bed: &Bed, config: AdapterConfig, home: TempDir) -> Result<Self> {
        let adapter = nixl_l2::open(&config, bed.l1())?;
        Ok(Self { adapter, scope: KeyScope::new("org/model", 0, 0, "")?, home })
    }

    /// With objects stored in it.
    pub(crate) fn holding(self, bed: &Bed, objects: Objects) -> Result<Self> {
        bed.store(objects, &self)?;
        Ok(self)
    }

    pub(crate) fn get(&self) -> &dyn L2Adapter {
        &*self.adapter
    }

    /// The key of an object: a hash of 32 bytes that looks random, as LMCache's.
    pub(crate) fn key(&self, number: u64) -> Result<ObjectKey> {
        let mut hash = [0; 32];
        let mut random = fastrand::Rng::with_seed(number);
        hash.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.u64(..).to_le_bytes()));
        Ok(self.scope.key(&hash)?)
    }

    pub(crate) fn keys(&self, numbers: &[u64]) -> Result<Vec<ObjectKey>> {
        numbers.iter().map(|number| self.key(*number)).collect()
    }

    /// The files of objects, of a dynamic adapter.
    pub(crate) fn files(&self, objects: Objects) -> Result<Vec<PathBuf>> {
        let file = |number| Ok(self.home.path().join(key_to_path(&self.key(number)?, Layout::Flat)));
        (0..objects.count).map(file).collect()
    }

    /// Objects to load.
    pub(crate) fn items(&self, numbers: &[u64], memory: Vec<Lease>) -> Result<Vec<LoadItem>> {
        let items = self.keys(numbers)?.into_iter().zip(memory);
        Ok(items.map(|(key, memory)| LoadItem { key, memory }).collect())
    }

    /// Submits a store.
    pub(crate) fn submit_store(
        &self,
        numbers: &[u64],
        memory: Vec<SharedLease>,
    ) -> Result<Task<StoreReport>> {
        let items = self.keys(numbers)?.into_iter().zip(memory);
        Ok(self.adapter.submit_store(items.map(|(key, memory)| StoreItem { key, memory }).collect()))
    }
}

impl Loads for Adapter {
    fn load(&self, numbers: &[u64], memory: Vec<Lease>) -> Result<(Cost, Vec<Lease>)> {
        let items = self.items(numbers, memory)?;
        let (cost, report) = Cost::of(|| wait(self.adapter.submit_load(items)));
        Ok((cost, loaded(report?)?))
    }
}

impl Stores for Adapter {
    fn store(&self, numbers: &[u64], memory: Vec<SharedLease>) -> Result<Cost> {
        let items = self.keys(numbers)?.into_iter().zip(memory);
        let items: Vec<StoreItem> = items.map(|(key, memory)| StoreItem { key, memory }).collect();
        let (cost, report) = Cost::of(|| wait(self.adapter.submit_store(items)));
        stored(&report?)?;
        Ok(cost)
    }

    fn remove(&self, numbers: &[u64]) -> Result<()> {
        let report = self.adapter.delete(&self.keys(numbers)?);
        match report.answers.iter().find(|answer| !matches!(answer, Deleted::Freed { .. })) {
            Some(other) => bail!("an object was not deleted: {other:?}"),
            None => Ok(()),
        }
    }
}

/// The result of a task.
pub(crate) fn wait<T>(task: Task<T>) -> Result<T> {
    task.wait(LIMIT).ok().context("a task was not done within two minutes")
}

/// The memory of a load that went well.
pub(crate) fn loaded(report: LoadReport) -> Result<Vec<Lease>> {
    let memory = report.outcomes.into_iter().map(|outcome| {
        outcome.result?;
        outcome.memory.context("a load that succeeded kept its memory")
    });
    memory.collect()
}

/// Whether all of a store was written.
pub(crate) fn stored(report: &StoreReport) -> Result<()> {
    if let Some((_, error)) = report.failures().next() {
        bail!("a store failed: {error}");
    }
    let memory = report.outcomes.iter().filter_map(|outcome| outcome.memory.as_ref());
    let bytes: u64 = memory.map(|memory| memory.len() as u64).sum();
    ensure!(report.written_bytes() == bytes, "an object was there already");
    Ok(())
}
