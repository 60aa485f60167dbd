//! Eviction among a million objects: choosing them, and stores that have to make room. Beside each is the raw floor: an exact
//! LRU list, the crate `lru`, on one thread, without anything else.
//!
//! See `docs/benchmarks.md`.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use benches::{Keys, OBJECT};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, SamplingMode, Throughput};
use l2_core::{KeyHasherBuilder, L2Adapter, ObjectKey, StoreItem};
use l2_evict::{ArcPolicy, Controller, EvictionPolicy, Lru, Want, Watermark};
use l2_index::Index;
use l2_index::testing::IndexAdapter;
use l2_memory::Region;
use lru::LruCache;

/// Objects in the index.
const OBJECTS: u64 = 1_000_000;
/// Objects that are chosen at once: as many as a policy remembers of one scan.
const CHOSEN: usize = 62_500;
/// Objects of a store.
const BATCH: usize = 100;

type Policy = (&'static str, fn() -> Box<dyn EvictionPolicy>);

const POLICIES: [Policy; 2] = [("LRU", || Box::new(Lru::new())), ("ARC", || Box::new(ArcPolicy::new()))];

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("choose 62500 of 1000000");
    group.sample_size(20).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(CHOSEN as u64));
    let full = Full::new()?;
    for policy in POLICIES {
        choose(&mut group, &full, policy)?;
    }
    drop(full);
    let mut floor = Floor::new()?;
    floor.choose(&mut group);
    group.finish();

    // As many as one scan finds, so that there is a scan in each.
    let mut group = criterion.benchmark_group("store 62500 where 1000000 are all that fit");
    group.sample_size(20).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(CHOSEN as u64));
    for policy in POLICIES {
        make_room(&mut group, policy)?;
    }
    floor.make_room(&mut group)?;
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// An index in which no other object has room. Half of the objects were used again since they were stored.
struct Full {
    keys: Keys,
    adapter: IndexAdapter,
}

impl Full {
    fn new() -> Result<Self> {
        // Less than an object more, so that it is never wholly in use: then it is the stores that make room, and not a pass.
        let (keys, index) = (Keys::new()?, Arc::new(Index::new((OBJECTS + 1) * OBJECT - 1)));
        keys.fill(&index, OBJECTS)?;
        let mut again = (0..OBJECTS).step_by(2).peekable();
        while again.peek().is_some() {
            let keys = keys.batch(again.by_ref().take(64))?;
            index.pin_batch(&keys, 0);
            index.unpin_batch(&keys, Some(0));
        }
        Ok(Self { keys, adapter: IndexAdapter::new(index, |_| Ok(())) })
    }
}

/// By a policy that has not looked yet: all stamps are read.
fn choose(group: &mut BenchmarkGroup<'_, WallTime>, full: &Full, (name, policy): Policy) -> Result<()> {
    let residents = full.adapter.evictable();
    let want = Want { objects: CHOSEN, bytes: u64::MAX, pressed: true, asker: None };
    let chosen = policy().victims(&*residents, want).len();
    ensure!(chosen == CHOSEN, "{name} chose {chosen} objects");
    group.bench_function(name, |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut policy = policy();
            (policy.victims(&*residents, want), policy)
        });
    });
    Ok(())
}

/// Through the contract of an adapter, [`BATCH`] at a time; nothing is moved or deleted but in the index.
fn make_room(group: &mut BenchmarkGroup<'_, WallTime>, (name, policy): Policy) -> Result<()> {
    let full = Full::new()?;
    let controller = Controller::start()?;
    let attachment = controller.attach(&full.adapter, policy(), Watermark::new(1.0, 0.1)?);
    let length = usize::try_from(OBJECT)?;
    let memory = Region::allocate(length)?.lease(0, length)?.freeze();
    let mut next = OBJECTS;
    let mut batches = || {
        let keys = full.keys.batch((next..).take(CHOSEN)).unwrap_or_default();
        next += CHOSEN as u64;
        let item = |key: &ObjectKey| StoreItem { key: key.clone(), memory: memory.clone() };
        keys.chunks(BATCH).map(|keys| keys.iter().map(item).collect()).collect()
    };
    let mut refused = None;
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            &mut batches,
            |batches: Vec<Vec<StoreItem>>| {
                for batch in batches {
                    let report = full.adapter.submit_store(batch).try_take();
                    if let Some((_, error)) = report.as_ref().and_then(|report| report.failures().next()) {
                        refused.get_or_insert_with(|| error.to_string());
                    }
                }
            },
            BatchSize::PerIteration,
        );
    });
    if let Some(error) = refused {
        bail!("{name}: {error}");
    }
    let (stored, evicted) = (next - OBJECTS, attachment.evictions().objects);
    ensure!(stored == evicted, "{name}: {stored} objects were stored, and {evicted} evicted");
    Ok(())
}

/// As many objects as the list may have.
struct Floor {
    keys: Keys,
    list: LruCache<ObjectKey, u64, KeyHasherBuilder>,
}

impl Floor {
    fn new() -> Result<Self> {
        let keys = Keys::new()?;
        let room = NonZero::new(usize::try_from(OBJECTS)?).context("there are objects")?;
        let mut list = LruCache::with_hasher(room, KeyHasherBuilder);
        for number in 0..OBJECTS {
            list.put(keys.key(number)?, OBJECT);
        }
        Ok(Self { keys, list })
    }

    /// Takes the least recently used ones out; putting them back is not measured.
    fn choose(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) {
        group.bench_function("raw: lru", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut sum = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    let chosen: Vec<_> = (0..CHOSEN).map_while(|_| self.list.pop_lru()).collect();
                    sum += start.elapsed();
                    for (key, bytes) in chosen {
                        self.list.put(key, bytes);
                    }
                }
                sum
            });
        });
    }

    /// Puts new ones in, each in the place of one that is there.
    fn make_room(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) -> Result<()> {
        let Self { keys, list } = self;
        let (mut next, mut evicted) = (OBJECTS, 0);
        let mut batch = || {
            let batch = keys.batch((next..).take(CHOSEN)).unwrap_or_default();
            next += CHOSEN as u64;
            batch
        };
        group.bench_function("raw: lru", |bencher| {
            bencher.iter_batched(
                &mut batch,
                |keys| evicted += keys.into_iter().filter_map(|key| list.push(key, OBJECT)).count() as u64,
                BatchSize::PerIteration,
            );
        });
        let stored = next - OBJECTS;
        ensure!(stored == evicted, "{stored} objects were stored, and {evicted} evicted");
        Ok(())
    }
}
