//! What all rows share: a directory, an L1, the bytes of each object, and how a load or a store is measured.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use nixl_l2::{HugePages, Lease, Nixl, Region, SharedLease};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
/// The largest object.
pub(crate) const LARGEST: usize = 32 * MIB;
/// Objects begin in the pattern this far from each other, so that no two are equal.
const STEP: usize = 64;
const DIFFERENT: usize = 4096;
/// What leases hold before a load, so that bytes which it did not write are not right by chance.
const BLANK: u8 = 0xa5;

/// Objects of one length, and how they are moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objects {
    /// Bytes of each.
    pub(crate) bytes: usize,
    /// How many go into one call.
    pub(crate) batch: u64,
    /// How many there are.
    pub(crate) count: u64,
}

// More than a processor's own caches hold, so that what is loaded comes from memory.
pub(crate) const SMALL: Objects = Objects { bytes: 16 * KIB, batch: 64, count: 8192 };
pub(crate) const MIDDLE: Objects = Objects { bytes: MIB, batch: 16, count: 256 };
pub(crate) const LARGE: Objects = Objects { bytes: LARGEST, batch: 4, count: 16 };

impl Objects {
    /// Bytes of all.
    pub(crate) fn total(self) -> u64 {
        self.count * self.bytes as u64
    }

    /// The numbers of the objects, batch by batch.
    pub(crate) fn batches(self) -> impl Iterator<Item = Vec<u64>> {
        (0..self.count / self.batch)
            .map(move |batch| (batch * self.batch..(batch + 1) * self.batch).collect())
    }

    /// The numbers of all.
    pub(crate) fn all(self) -> Vec<u64> {
        (0..self.count).collect()
    }
}

/// What something cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of all threads of the process, in the kernel too.
    pub(crate) cpu: Duration,
}

impl Cost {
    /// Of a piece of work.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (Self, T) {
        let before = cpu_time();
        let begun = Instant::now();
        let done = work();
        let wall = begun.elapsed();
        (Self { wall, cpu: cpu_time().saturating_sub(before) }, done)
    }

    fn plus(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// What the threads of this process have used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Loads objects, ours or the raw way.
pub(crate) trait Loads {
    /// Loads objects of these numbers, and gives the memory back in order.
    fn load(&self, numbers: &[u64], memory: Vec<Lease>) -> Result<(Cost, Vec<Lease>)>;
}

/// Stores objects, ours or the raw way.
pub(crate) trait Stores {
    /// Stores objects of these numbers.
    fn store(&self, numbers: &[u64], memory: Vec<SharedLease>) -> Result<Cost>;

    /// Removes them again.
    fn remove(&self, numbers: &[u64]) -> Result<()>;
}

/// The directory, L1, and the bytes of the objects.
pub(crate) struct Bed {
    place: TempDir,
    l1: Region,
    pattern: Vec<u8>,
}

impl Bed {
    /// In a directory, beside the build by default; with an L1 on such pages.
    pub(crate) fn make(place: Option<&Path>, pages: HugePages) -> Result<Self> {
        /// A store of as much goes on while others are measured.
        const L1: usize = (1 << 30) + 64 * MIB;
        Nixl::load().context("run this as `cargo xtask bench --table`")?.silence();
        let place = match place {
            Some(place) => place.to_owned(),
            None => std::env::current_exe()?.parent().context("the program is in no directory")?.to_owned(),
        };
        let made = tempfile::Builder::new().prefix("nixl-l2-table-").tempdir_in(&place);
        let place = made.with_context(|| {
            format!("cannot write to {}: make it, or name another with --dir", place.display())
        })?;
        let mut pattern = vec![0; LARGEST + STEP * DIFFERENT];
        Rng::with_seed(1).fill(&mut pattern);
        Ok(Self { place, l1: Region::allocate_with(L1, pages)?, pattern })
    }

    pub(crate) fn place(&self) -> &Path {
        self.place.path()
    }

    pub(crate) fn l1(&self) -> &Region {
        &self.l1
    }

    /// A directory for one row.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.place())?)
    }

    /// What an object holds.
    pub(crate) fn content(&self, number: u64, bytes: usize) -> Result<&[u8]> {
        let start = usize::try_from(number)? % DIFFERENT * STEP;
        self.pattern.get(start..start + bytes).context("an object is longer than the pattern")
    }

    /// Memory for objects, one after the other from `from` on, in which nothing is right.
    pub(crate) fn blank(&self, from: usize, count: usize, bytes: usize) -> Result<Vec<Lease>> {
        let lease = |number: usize| {
            let mut lease = self.l1.lease(from + number * bytes, bytes)?;
            lease.as_mut_slice().context("L1 is DRAM")?.fill(BLANK);
            anyhow::Ok(lease)
        };
        (0..count).map(lease).collect()
    }

    /// Memory that holds objects.
    pub(crate) fn filled(&self, from: usize, numbers: &[u64], bytes: usize) -> Result<Vec<SharedLease>> {
        let lease = |(number, mut lease): (&u64, Lease)| {
            lease.as_mut_slice().context("L1 is DRAM")?.copy_from_slice(self.content(*number, bytes)?);
            Ok(lease.freeze())
        };
        let blank = self.blank(from, numbers.len(), bytes)?;
        numbers.iter().zip(blank).map(lease).collect()
    }

    /// Compares what was loaded.
    pub(crate) fn check(&self, numbers: &[u64], memory: &[Lease]) -> Result<()> {
        ensure!(numbers.len() == memory.len(), "objects are missing");
        for (&number, lease) in numbers.iter().zip(memory) {
            let right = lease.as_slice() == Some(self.content(number, lease.len())?);
            ensure!(right, "object {number} of {} bytes was loaded with wrong bytes", lease.len());
        }
        Ok(())
    }

    /// Loads all objects, batch by batch, and compares each; the cost of the loads alone.
    ///
    /// Each has memory of its own, and all is blanked before: what a load writes to is in no processor's own cache, but for
    /// the last of it, as a server's L1 is not, and above all not in that of the thread that reads the raw way.
    pub(crate) fn load(&self, objects: Objects, by: &dyn Loads) -> Result<Cost> {
        let mut cost = Cost::default();
        let mut blank = self.blank(0, usize::try_from(objects.count)?, objects.bytes)?.into_iter();
        for numbers in objects.batches() {
            let (batch, memory) = by.load(&numbers, blank.by_ref().take(numbers.len()).collect())?;
            self.check(&numbers, &memory)?;
            cost = cost.plus(batch);
        }
        Ok(cost)
    }

    /// Stores all objects, batch by batch, from memory that is in no processor's cache, as above.
    pub(crate) fn store(&self, objects: Objects, by: &dyn Stores) -> Result<Cost> {
        let mut cost = Cost::default();
        let mut filled = self.filled(0, &objects.all(), objects.bytes)?.into_iter();
        for numbers in objects.batches() {
            cost = cost.plus(by.store(&numbers, filled.by_ref().take(numbers.len()).collect())?);
        }
        Ok(cost)
    }
}
