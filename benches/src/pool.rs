//! A `nixl_store` on files, and an L1 whose first half is stored from and whose second half is loaded into.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use l2_config::{Backend, FileStorage, StaticConfig};
use l2_core::{Deleted, KeyScope, L2Adapter, LoadItem, ObjectKey, StoreItem, Task};
use l2_memory::Region;
use l2_static::StaticAdapter;
use nixl_safe::Nixl;

/// Nothing here takes longer unless it hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// How pools are made.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The directory for the files; they have no names.
    pub place: PathBuf,
    /// With `O_DIRECT`.
    pub direct: bool,
    /// NIXL's io_uring queue instead of its default, Linux AIO.
    pub uring: bool,
}

/// An object of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// What its key is made of.
    pub number: u64,
    /// Bytes, whole pages.
    pub length: usize,
}

/// A pool of files. Pools may share one L1, for one is used at a time.
#[derive(Debug)]
pub struct Pool {
    adapter: StaticAdapter,
    l1: Region,
    scope: KeyScope,
}

impl Pool {
    /// Makes `files` files of `file_bytes` bytes.
    ///
    /// # Errors
    /// What the adapter says.
    pub fn open(storage: &Storage, files: u64, file_bytes: u64, l1: &Region) -> Result<Self> {
        let nixl = Nixl::load().context("run this as `cargo xtask bench`")?;
        nixl.silence();
        let mut config = StaticConfig::new(Backend::Posix, files);
        config.slot_bytes = Some(file_bytes);
        let mut file = FileStorage::new(&storage.place);
        file.use_direct_io = storage.direct;
        config.file = Some(file);
        if storage.uring {
            config.plugin_params.set("use_uring", "true");
        }
        let adapter = StaticAdapter::open(nixl, &config, l1, None)?;
        Ok(Self { adapter, l1: l1.clone(), scope: KeyScope::new("bench", 0, 0, "")? })
    }

    /// Bytes of the pool.
    pub fn capacity(&self) -> u64 {
        self.adapter.usage().capacity_bytes
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        let usage = self.adapter.usage();
        usage.capacity_bytes - usage.used_bytes
    }

    /// Stores objects that L1's first half holds one after the other, and says how long it took from the call to the end.
    ///
    /// # Errors
    /// When one is not stored, or is there already.
    pub fn store(&self, objects: &[Object]) -> Result<Duration> {
        let item = |(object, offset): (Object, usize)| {
            let memory = self.l1.lease(offset, object.length)?.freeze();
            anyhow::Ok(StoreItem { key: self.key(object)?, memory })
        };
        let batch = one_after_the_other(objects, 0).map(item).collect::<Result<Vec<_>>>()?;
        let (took, report) = timed(|| self.adapter.submit_store(batch))?;
        if let Some((_, error)) = report.failures().next() {
            bail!("a store failed: {error}");
        }
        ensure!(report.written_bytes() == total(objects), "an object was there already");
        Ok(took)
    }

    /// [`Pool::store`], in as many batches as L1 asks for.
    ///
    /// # Errors
    /// As [`Pool::store`].
    pub fn store_all(&self, mut objects: &[Object]) -> Result<()> {
        while !objects.is_empty() {
            let fit = one_after_the_other(objects, 0)
                .take_while(|(object, offset)| offset + object.length <= self.half())
                .count();
            let (now, later) = objects.split_at(fit);
            ensure!(!now.is_empty(), "an object is longer than half of L1");
            self.store(now)?;
            objects = later;
        }
        Ok(())
    }

    /// Loads objects into L1's second half, one after the other, and says how long it took from the call to the end.
    ///
    /// # Errors
    /// When one is not loaded.
    pub fn load(&self, objects: &[Object]) -> Result<Duration> {
        let item = |(object, offset): (Object, usize)| {
            anyhow::Ok(LoadItem { key: self.key(object)?, memory: self.l1.lease(offset, object.length)? })
        };
        let batch = one_after_the_other(objects, self.half()).map(item).collect::<Result<Vec<_>>>()?;
        let (took, report) = timed(|| self.adapter.submit_load(batch))?;
        if let Some((_, error)) = report.failures().next() {
            bail!("a load failed: {error}");
        }
        ensure!(report.loaded_bytes() == total(objects), "fewer bytes were loaded than asked for");
        Ok(took)
    }

    /// Loads objects that were stored together last, and compares their bytes.
    ///
    /// # Errors
    /// When one is not loaded, or is not what was stored.
    pub fn verify(&self, objects: &[Object]) -> Result<()> {
        let length = usize::try_from(total(objects))?;
        self.l1.lease(self.half(), length)?.as_mut_slice().context("L1 is DRAM")?.fill(0);
        self.load(objects)?;
        let (stored, loaded) = (self.l1.lease(0, length)?, self.l1.lease(self.half(), length)?);
        ensure!(stored.as_slice() == loaded.as_slice(), "what was loaded is not what was stored");
        Ok(())
    }

    /// Deletes objects.
    ///
    /// # Errors
    /// When one is not there, or stays.
    pub fn delete(&self, objects: &[Object]) -> Result<()> {
        let keys = objects.iter().map(|&object| self.key(object)).collect::<Result<Vec<_>>>()?;
        let report = self.adapter.delete(&keys);
        match report.answers.iter().find(|answer| !matches!(answer, Deleted::Freed { .. })) {
            Some(other) => bail!("an object was not deleted: {other:?}"),
            None => Ok(()),
        }
    }

    fn half(&self) -> usize {
        self.l1.len() / 2
    }

    fn key(&self, object: Object) -> Result<ObjectKey> {
        Ok(self.scope.key(&object.number.to_le_bytes())?)
    }
}

fn total(objects: &[Object]) -> u64 {
    objects.iter().map(|object| object.length as u64).sum()
}

fn one_after_the_other(objects: &[Object], start: usize) -> impl Iterator<Item = (Object, usize)> {
    objects.iter().scan(start, |next, &object| {
        let offset = *next;
        *next += object.length;
        Some((object, offset))
    })
}

fn timed<T>(submit: impl FnOnce() -> Task<T>) -> Result<(Duration, T)> {
    let begun = Instant::now();
    let report = submit().wait(LIMIT).ok().context("a task was not done within two minutes")?;
    Ok((begun.elapsed(), report))
}
