//! The index by itself, on one thread: lookups, stores and scans, at ten thousand and at a million objects. Beside each is
//! the raw floor: the same of a map of the standard library, with the same keys and hash, on one thread, without anything else.
//!
//! See `docs/benchmarks.md`.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::{Keys, OBJECT};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, SamplingMode, Throughput};
use l2_core::{InvalidKey, KeyHasherBuilder, ObjectKey, ScanCursor};
use l2_index::{BeginDelete, Index, Pin, Reserve};

/// Keys of a batch.
const BATCH: u64 = 64;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    for entries in [10_000, 1_000_000] {
        let objects = Objects::fill(entries)?;
        let mut group = criterion.benchmark_group(format!("{entries} objects"));
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
        let floor = Floor::fill(&objects)?;
        objects.look_up(&mut group)?;
        floor.look_up(&mut group, &objects)?;
        objects.store(&mut group)?;
        let floor = floor.store(&mut group, &objects)?;
        objects.scan(&mut group)?;
        floor.scan(&mut group);
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}

/// An index of so many objects, with room for a batch more.
struct Objects {
    keys: Keys,
    index: Arc<Index>,
    entries: u64,
}

impl Objects {
    fn fill(entries: u64) -> Result<Self> {
        let (keys, index) = (Keys::new()?, Arc::new(Index::new((entries + BATCH) * OBJECT)));
        keys.fill(&index, entries)?;
        Ok(Self { keys, index, entries })
    }

    /// Batches of objects anywhere in the index, always the same ones.
    fn anywhere(&self) -> impl FnMut() -> Result<Vec<ObjectKey>, InvalidKey> {
        let mut random = fastrand::Rng::with_seed(1);
        move || self.keys.batch((0..BATCH).map(|_| random.u64(0..self.entries)))
    }

    /// Objects anywhere in the index, pinned and unpinned.
    fn look_up(&self, group: &mut BenchmarkGroup<'_, WallTime>) -> Result<()> {
        let mut batch = self.anywhere();
        let is_hit = |pin: &Pin| matches!(pin, Pin::Hit { .. });
        ensure!(self.index.pin_batch(&batch()?, 1).iter().all(is_hit), "an object is missing");
        group.throughput(Throughput::Elements(BATCH));
        group.bench_function("pin and unpin 64", |bencher| {
            bencher.iter_batched(
                || batch().unwrap_or_default(),
                |keys| (self.index.pin_batch(&keys, 0), self.index.unpin_batch(&keys, Some(0)), keys),
                BatchSize::LargeInput,
            );
        });
        Ok(())
    }

    /// New objects, reserved and committed; deleting them again is not measured.
    fn store(&self, group: &mut BenchmarkGroup<'_, WallTime>) -> Result<()> {
        let (mut next, mut stored, mut deleted) = (self.entries, 0, 0);
        group.throughput(Throughput::Elements(BATCH));
        group.bench_function("reserve and commit 64", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut sum = Duration::ZERO;
                for _ in 0..rounds {
                    let keys = self.keys.batch(next..next + BATCH).unwrap_or_default();
                    next += BATCH;
                    let start = Instant::now();
                    for (key, stamp) in keys.iter().zip(self.index.stamps(keys.len())) {
                        if let Reserve::Reserved(reservation) = self.index.reserve(key, OBJECT, stamp) {
                            reservation.commit();
                        }
                    }
                    sum += start.elapsed();
                    stored += BATCH;
                    deleted += keys.iter().map(|key| u64::from(self.delete(key))).sum::<u64>();
                }
                sum
            });
        });
        ensure!(stored == deleted, "of {stored} objects {deleted} were there afterwards");
        Ok(())
    }

    fn delete(&self, key: &ObjectKey) -> bool {
        let BeginDelete::Started(deletion) = self.index.begin_delete(key) else { return false };
        deletion.finish();
        true
    }

    /// All objects, as a policy sees them that has to choose.
    fn scan(&self, group: &mut BenchmarkGroup<'_, WallTime>) -> Result<()> {
        let scan = || {
            let (mut from, mut seen, mut coldest) = (Some(ScanCursor::default()), 0, u64::MAX);
            while let Some(cursor) = from {
                from = self.index.scan(cursor, &mut |_, candidate| {
                    seen += 1;
                    coldest = coldest.min(candidate.used.0);
                });
            }
            (seen, coldest)
        };
        let seen = scan().0;
        ensure!(seen <= self.entries && seen + BATCH >= self.entries, "{seen} objects were seen");
        group.throughput(Throughput::Elements(seen)).sample_size(30).sampling_mode(SamplingMode::Flat);
        group.bench_function("scan", |bencher| bencher.iter(scan));
        Ok(())
    }
}

/// The same keys in a plain map, each with the bytes of its object.
struct Floor(HashMap<ObjectKey, u64, KeyHasherBuilder>);

impl Floor {
    fn fill(objects: &Objects) -> Result<Self> {
        let keys = objects.keys.batch(0..objects.entries)?;
        Ok(Self(keys.into_iter().map(|key| (key, OBJECT)).collect()))
    }

    fn look_up(&self, group: &mut BenchmarkGroup<'_, WallTime>, objects: &Objects) -> Result<()> {
        let mut batch = objects.anywhere();
        ensure!(batch()?.iter().all(|key| self.0.contains_key(key)), "a key is missing");
        group.throughput(Throughput::Elements(BATCH));
        group.bench_function("raw: get 64", |bencher| {
            bencher.iter_batched(
                || batch().unwrap_or_default(),
                |keys| (keys.iter().filter_map(|key| self.0.get(key)).sum::<u64>(), keys),
                BatchSize::LargeInput,
            );
        });
        Ok(())
    }

    fn store(mut self, group: &mut BenchmarkGroup<'_, WallTime>, objects: &Objects) -> Result<Self> {
        let (mut next, mut removed) = (objects.entries, 0);
        group.throughput(Throughput::Elements(BATCH));
        group.bench_function("raw: insert 64", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut sum = Duration::ZERO;
                for _ in 0..rounds {
                    let keys = objects.keys.batch(next..next + BATCH).unwrap_or_default();
                    next += BATCH;
                    let start = Instant::now();
                    self.0.extend(keys.iter().map(|key| (key.clone(), OBJECT)));
                    sum += start.elapsed();
                    removed += keys.iter().filter_map(|key| self.0.remove(key)).count() as u64;
                }
                sum
            });
        });
        let inserted = next - objects.entries;
        ensure!(inserted == removed, "of {inserted} keys {removed} were there afterwards");
        Ok(self)
    }

    fn scan(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        group.throughput(Throughput::Elements(self.0.len() as u64));
        group.bench_function("raw: iterate", |bencher| {
            bencher.iter(|| black_box(&self.0).iter().map(|(key, bytes)| key.hash64().min(*bytes)).min());
        });
    }
}
