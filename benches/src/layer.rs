//! A layer that loads files, measured by criterion beside the raw way to do the same.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use criterion::{BatchSize, Criterion, Throughput};
use l2_core::{KeyScope, L2Adapter, LoadItem, ObjectKey, StoreItem};
use l2_memory::{Lease, Region};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

/// Fills memory, and gives it back.
type Load<'a> = &'a mut dyn FnMut(Vec<Lease>) -> Result<Vec<Lease>>;

/// Files of one length, and memory to load all of them into.
#[derive(Debug)]
pub struct Layer {
    home: TempDir,
    count: usize,
    bytes: usize,
    l1: Region,
}

impl Layer {
    /// What is measured: many small files, and some large ones.
    ///
    /// # Errors
    /// When no files can be written beside the build.
    pub fn each() -> Result<[Self; 2]> {
        Ok([Self::make(64, 16 << 10)?, Self::make(16, 1 << 20)?])
    }

    fn make(count: usize, bytes: usize) -> Result<Self> {
        let beside = std::env::current_exe()?;
        let home = tempfile::tempdir_in(beside.parent().context("the program is in no directory")?)?;
        let layer = Self { home, count, bytes, l1: Region::allocate(count * bytes)? };
        for (number, path) in layer.paths().into_iter().enumerate() {
            fs::write(path, layer.content(number))?;
        }
        Ok(layer)
    }

    /// The memory.
    pub fn l1(&self) -> &Region {
        &self.l1
    }

    /// A directory of its own for an adapter.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.home.path())?)
    }

    /// The files.
    pub fn paths(&self) -> Vec<PathBuf> {
        (0..self.count).map(|number| self.home.path().join(number.to_string())).collect()
    }

    /// Bytes of a file.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The files, open.
    ///
    /// # Errors
    /// When one does not open.
    pub fn open(&self) -> Result<Vec<Arc<std::os::fd::OwnedFd>>> {
        self.paths().into_iter().map(|path| Ok(Arc::new(File::open(path)?.into()))).collect()
    }

    /// All memory, a lease for each file.
    ///
    /// # Errors
    /// When somebody still has some of it.
    pub fn leases(&self) -> Result<Vec<Lease>> {
        (0..self.count).map(|number| Ok(self.l1.lease(number * self.bytes, self.bytes)?)).collect()
    }

    /// Measures `load`, which gives all memory back with the files' bytes in it, beside open, `pread` and close.
    ///
    /// # Errors
    /// When bytes are wrong, or a load fails; once, before the time is taken.
    pub fn measure(
        &self,
        criterion: &mut Criterion,
        name: &str,
        mut load: impl FnMut(Vec<Lease>) -> Result<Vec<Lease>>,
    ) -> Result<()> {
        let mut raw = |mut leases: Vec<Lease>| {
            for (path, lease) in self.paths().iter().zip(&mut leases) {
                File::open(path)?.read_exact_at(lease.as_mut_slice().context("L1 is DRAM")?, 0)?;
            }
            Ok(leases)
        };
        let of = format!("{name}, {} × {} KiB", self.count, self.bytes >> 10);
        let mut group = criterion.benchmark_group(of);
        group.throughput(Throughput::Bytes((self.count * self.bytes) as u64));
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2)).sample_size(30);
        self.check(&mut raw)?;
        self.check(&mut load)?;
        let mut failed = None;
        let ways: [(&str, Load<'_>); 2] = [("raw", &mut raw), ("ours", &mut load)];
        for (way, load) in ways {
            group.bench_function(way, |bencher| {
                let mut run = |leases: Result<Vec<Lease>>| match leases.and_then(&mut *load) {
                    Ok(leases) => leases,
                    Err(error) => {
                        failed.get_or_insert(error);
                        Vec::new()
                    }
                };
                bencher.iter_batched(|| self.leases(), &mut run, BatchSize::PerIteration);
            });
        }
        group.finish();
        failed.map_or(Ok(()), Err)
    }

    /// Measures loads by an adapter, of objects as the files are.
    ///
    /// # Errors
    /// As [`Layer::measure`].
    pub fn measure_adapter(
        &self,
        criterion: &mut Criterion,
        name: &str,
        adapter: &dyn L2Adapter,
    ) -> Result<()> {
        let scope = KeyScope::new("org/model", 0, 0, "")?;
        let keys: Vec<ObjectKey> = (0..self.count as u64)
            .map(|number| Ok(scope.key(&number.to_le_bytes())?))
            .collect::<Result<_>>()?;
        let mut leases = self.leases()?;
        for (number, lease) in leases.iter_mut().enumerate() {
            lease.as_mut_slice().context("L1 is DRAM")?.copy_from_slice(&self.content(number));
        }
        let items = keys
            .iter()
            .zip(leases)
            .map(|(key, lease)| StoreItem { key: key.clone(), memory: lease.freeze() });
        let report = adapter.submit_store(items.collect()).wait(LIMIT).ok().context("a store hangs")?;
        if let Some((_, error)) = report.failures().next() {
            bail!("a store failed: {error}");
        }
        drop(report);
        self.measure(criterion, name, |leases| {
            let items = keys.iter().zip(leases).map(|(key, memory)| LoadItem { key: key.clone(), memory });
            let report = adapter.submit_load(items.collect()).wait(LIMIT).ok().context("a load hangs")?;
            let memory = report.outcomes.into_iter().map(|outcome| {
                outcome.result?;
                outcome.memory.context("a load that succeeded kept its memory")
            });
            memory.collect()
        })
    }

    fn content(&self, number: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        fastrand::Rng::with_seed(number as u64).fill(&mut bytes);
        bytes
    }

    fn check(&self, load: Load<'_>) -> Result<()> {
        let mut leases = self.leases()?;
        leases.iter_mut().filter_map(Lease::as_mut_slice).for_each(|bytes| bytes.fill(0));
        let loaded = load(leases)?;
        ensure!(loaded.len() == self.count, "files are missing");
        for (number, lease) in loaded.iter().enumerate() {
            ensure!(lease.as_slice() == Some(&*self.content(number)), "file {number} has wrong bytes");
        }
        Ok(())
    }
}
