//! Pieces of work for `cargo xtask count`, which runs this under callgrind: `counts CASE ROUNDS` does the piece so many
//! times, `counts` lists the cases.
//!
//! What one round takes is the difference of two runs over the difference of their rounds; what comes before the first
//! round is in neither. So a round must cost the same whenever it comes.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use l2_core::{KeyScope, L2Adapter, ObjectKey};
use l2_evict::{ArcPolicy, EvictionPolicy, Lru, Want};
use l2_index::paths::{Layout, key_to_path};
use l2_index::testing::IndexAdapter;
use l2_index::{BeginDelete, Index, Pin, Reserve};

/// Objects in the index.
const OBJECTS: u64 = 10_000;
/// Bytes that an object counts for.
const BYTES: u64 = 4096;
/// Keys of a batch.
const BATCH: u64 = 64;
/// Objects that a policy chooses.
const CHOSEN: usize = 100;

/// A piece of work, and its name.
type Case = (&'static str, fn(&World, u64) -> Result<()>);

const CASES: [Case; 6] = [
    ("pin and unpin 64 keys", pin),
    ("look 64 keys up that are absent", miss),
    ("reserve, commit and delete 64 objects", store),
    ("paths of 64 keys", paths),
    ("LRU chooses 100 of 10000", |world, rounds| choose(world, rounds, || Box::new(Lru::new()))),
    ("ARC chooses 100 of 10000", |world, rounds| choose(world, rounds, || Box::new(ArcPolicy::new()))),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [case, rounds] = args.as_slice() else {
        let mut out = std::io::stdout();
        CASES.iter().try_for_each(|(name, _)| writeln!(out, "{name}"))?;
        return Ok(());
    };
    let found = CASES.iter().find(|(name, _)| name == case);
    let (_, work) = found.with_context(|| format!("there is no case {case:?}"))?;
    work(&World::new()?, rounds.parse().with_context(|| format!("{rounds:?} is no number of rounds"))?)
}

/// An index that is full but for a batch.
struct World {
    index: Arc<Index>,
    adapter: IndexAdapter,
    scope: KeyScope,
}

impl World {
    fn new() -> Result<Self> {
        let index = Arc::new(Index::new((OBJECTS + BATCH) * BYTES));
        let adapter = IndexAdapter::new(Arc::clone(&index), |_| Ok(()));
        let world = Self { index, adapter, scope: KeyScope::new("org/model", 0, 0, "")? };
        let keys = world.keys(0, OBJECTS)?;
        world.store(&keys)?;
        Ok(world)
    }

    /// The keys of so many objects: hashes of 32 bytes that look random, as LMCache's.
    fn keys(&self, first: u64, count: u64) -> Result<Vec<ObjectKey>> {
        let key = |number| {
            let mut hash = [0; 32];
            let mut random = fastrand::Rng::with_seed(number);
            hash.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.u64(..).to_le_bytes()));
            Ok(self.scope.key(&hash)?)
        };
        (first..first + count).map(key).collect()
    }

    fn store(&self, keys: &[ObjectKey]) -> Result<()> {
        for (key, stamp) in keys.iter().zip(self.index.stamps(keys.len())) {
            match self.index.reserve(key, BYTES, stamp) {
                Reserve::Reserved(reservation) => reservation.commit(),
                other => bail!("an object was not stored: {other:?}"),
            }
        }
        Ok(())
    }
}

fn pin(world: &World, rounds: u64) -> Result<()> {
    let keys = world.keys(1000, BATCH)?;
    for _ in 0..rounds {
        let hits =
            world.index.pin_batch(&keys, 1).iter().filter(|pin| matches!(pin, Pin::Hit { .. })).count();
        ensure!(
            hits == keys.len() && world.index.unpin_batch(&keys, Some(1)) == hits,
            "an object is missing"
        );
    }
    Ok(())
}

fn miss(world: &World, rounds: u64) -> Result<()> {
    let keys = world.keys(OBJECTS, BATCH)?;
    for _ in 0..rounds {
        let pins = world.index.pin_batch(&keys, 1);
        ensure!(pins.iter().all(|pin| matches!(pin, Pin::Absent)), "an object is there");
    }
    Ok(())
}

fn store(world: &World, rounds: u64) -> Result<()> {
    let keys = world.keys(OBJECTS, BATCH)?;
    for _ in 0..rounds {
        world.store(&keys)?;
        for key in &keys {
            let BeginDelete::Started(deletion) = world.index.begin_delete(key) else { bail!("it stays") };
            deletion.finish();
        }
    }
    Ok(())
}

fn paths(world: &World, rounds: u64) -> Result<()> {
    let keys = world.keys(0, BATCH)?;
    for _ in 0..rounds {
        let bytes: usize = keys.iter().map(|key| key_to_path(key, Layout::Sharded).len()).sum();
        ensure!(bytes > 64 * keys.len(), "a path is shorter than its hash");
    }
    Ok(())
}

fn choose(world: &World, rounds: u64, policy: fn() -> Box<dyn EvictionPolicy>) -> Result<()> {
    let residents = world.adapter.evictable();
    let want = Want { objects: CHOSEN, bytes: u64::MAX, pressed: true, asker: None };
    for _ in 0..rounds {
        // One that has not looked yet.
        ensure!(policy().victims(&*residents, want).len() == CHOSEN, "fewer were chosen");
    }
    Ok(())
}
