//! How much of what a service asks for is still there, when the index is smaller than what was stored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use l2_core::{L2Adapter, LoadItem, ObjectKey, StoreItem, Task};
use l2_evict::{ArcPolicy, Attachment, Controller, EvictionPolicy, Lru, Watermark};
use l2_index::Index;
use l2_index::testing::IndexAdapter;
use l2_memory::Region;
use serde::Deserialize;

use crate::keys::{Keys, OBJECT};

/// Eviction begins at this part of the capacity,
const TRIGGER: f64 = 0.9;
/// and takes this part of the objects at a time.
const RATIO: f64 = 0.1;

/// A path as seen from the top of the repository, wherever a program is started: cargo starts benches elsewhere.
pub fn in_repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Requests of a service, each a list of blocks: equal leading ids mean a shared prefix.
#[derive(Debug, Clone)]
pub struct Trace(Vec<Vec<u64>>);

/// Which objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The least recently used.
    Lru,
    /// Adaptive: recent against frequent use.
    Arc,
}

/// One line of a trace file.
#[derive(Deserialize)]
struct Line {
    hash_ids: Vec<u64>,
}

impl Trace {
    /// Where the Mooncake trace of conversations lies, if it was put there, as seen from the repository.
    pub const USUAL_PLACE: &str = "../shared/data/mooncake_conversation_trace.jsonl";

    /// Reads a trace in the Mooncake format: one JSON object a line, with the blocks of a request in `hash_ids`.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is something else.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("trace {}", file.display()))?;
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let request = |(line, number): (&str, usize)| {
            let parsed = serde_json::from_str(line);
            let Line { hash_ids } =
                parsed.with_context(|| format!("trace {}, line {number}", file.display()))?;
            anyhow::Ok(hash_ids)
        };
        Ok(Self(lines.map(request).collect::<Result<_>>()?))
    }

    /// A trace of the first of these requests.
    pub fn first(&self, requests: usize) -> Self {
        Self(self.0.iter().take(requests).cloned().collect())
    }

    /// The requests.
    pub fn requests(&self) -> &[Vec<u64>] {
        &self.0
    }

    /// Blocks of all requests.
    pub fn blocks(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Prefix hits if nothing ever went: no policy can have more.
    pub fn most_hits(&self) -> usize {
        let mut stored = BTreeSet::<u64>::new();
        let hits = self.0.iter().map(|blocks| {
            let hits = blocks.iter().take_while(|block| stored.contains(*block)).count();
            stored.extend(blocks);
            hits
        });
        hits.sum()
    }

    /// Plays the requests one after the other on an index with room for so many blocks. Prefix hits: blocks at the front
    /// of a request that were there.
    ///
    /// Each request looks its blocks up, loads those at the front that are there, gives the pins back, and stores in one
    /// batch those that are missing; the next one comes when eviction has nothing more to do. So the number is the same
    /// every time.
    ///
    /// # Errors
    /// When the index loses, refuses or keeps something that it should not.
    pub fn hits(&self, room: u64, policy: Policy) -> Result<usize> {
        let largest = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let mut player = Player::new(room, policy, largest)?;
        let mut hits = 0;
        for (blocks, number) in self.0.iter().zip(1..) {
            hits += player.play(blocks).with_context(|| format!("request {number}"))?;
        }
        Ok(hits)
    }
}

impl Policy {
    fn start(self) -> Box<dyn EvictionPolicy> {
        match self {
            Self::Lru => Box::new(Lru::new()),
            Self::Arc => Box::new(ArcPolicy::new()),
        }
    }
}

/// An index, what evicts from it, and memory for one request.
struct Player {
    keys: Keys,
    adapter: IndexAdapter,
    attachment: Attachment,
    l1: Region,
    _controller: Controller,
}

impl Player {
    fn new(room: u64, policy: Policy, largest: usize) -> Result<Self> {
        let adapter = IndexAdapter::new(Arc::new(Index::new(room * OBJECT)), |_| Ok(()));
        let controller = Controller::start()?;
        let attachment = controller.attach(&adapter, policy.start(), Watermark::new(TRIGGER, RATIO)?);
        let l1 = Region::allocate(largest.max(1) * usize::try_from(OBJECT)?)?;
        let player = Self { keys: Keys::new()?, adapter, attachment, l1, _controller: controller };
        player.settle();
        Ok(player)
    }

    fn play(&mut self, blocks: &[u64]) -> Result<usize> {
        let keys = self.keys.batch(blocks.iter().copied())?;
        let lookup = self.adapter.submit_lookup_and_lock(keys.clone());
        let id = lookup.id();
        let looked = answered(lookup)?;
        let hits = looked.prefix_hits();
        let loaded = self.load(keys.iter().take(hits));
        let pinned: Vec<ObjectKey> = looked.hits().map(|(key, _)| key.clone()).collect();
        self.adapter.unlock_task(id, &pinned);
        loaded?;

        let mut seen = BTreeSet::new();
        let missing = keys
            .into_iter()
            .zip(blocks)
            .zip(&looked.answers)
            .filter(|((_, block), answer)| !answer.is_hit() && seen.insert(*block));
        self.store(missing.map(|((key, _), _)| key).collect())?;
        self.settle();
        Ok(hits)
    }

    fn load<'a>(&self, keys: impl ExactSizeIterator<Item = &'a ObjectKey>) -> Result<()> {
        let wanted = keys.len() as u64 * OBJECT;
        let length = usize::try_from(OBJECT)?;
        let item = |(key, at): (&ObjectKey, usize)| {
            anyhow::Ok(LoadItem { key: key.clone(), memory: self.l1.lease(at * length, length)? })
        };
        let batch = keys.zip(0..).map(item).collect::<Result<_>>()?;
        let loaded = answered(self.adapter.submit_load(batch))?.loaded_bytes();
        ensure!(loaded == wanted, "{loaded} bytes were loaded, and {wanted} were pinned");
        Ok(())
    }

    fn store(&self, keys: Vec<ObjectKey>) -> Result<()> {
        let memory = self.l1.lease(0, usize::try_from(OBJECT)?)?.freeze();
        let batch = keys.into_iter().map(|key| StoreItem { key, memory: memory.clone() }).collect();
        let report = answered(self.adapter.submit_store(batch))?;
        match report.failures().next() {
            Some((_, error)) => bail!("a block was not stored: {error}"),
            None => Ok(()),
        }
    }

    /// Waits until eviction has nothing more to do.
    fn settle(&self) {
        while !self.attachment.is_idle() {
            std::thread::yield_now();
        }
    }
}

/// The result of a task that has ended when it is returned.
fn answered<T>(task: Task<T>) -> Result<T> {
    task.wait(Duration::ZERO).ok().context("this adapter answers at once")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{self, Write};

    use super::*;

    /// Least recently used, written down: the blocks in the order of their uses, no index, no threads.
    struct Model {
        room: usize,
        clock: u64,
        used: BTreeMap<u64, u64>,
        order: BTreeMap<u64, u64>,
    }

    impl Model {
        fn new(room: usize) -> Self {
            Self { room, clock: 0, used: BTreeMap::new(), order: BTreeMap::new() }
        }

        fn play(&mut self, blocks: &[u64]) -> usize {
            let hit: Vec<bool> = blocks.iter().map(|block| self.used.contains_key(block)).collect();
            let prefix = hit.iter().take_while(|hit| **hit).count();
            let with = |wanted| blocks.iter().zip(&hit).filter(move |(_, hit)| **hit == wanted);
            self.use_all(with(true).map(|(block, _)| *block).collect());
            self.use_all(blocks[..prefix].to_vec());
            self.use_all(with(false).map(|(block, _)| *block).collect());
            while 10 * self.used.len() >= 9 * self.room {
                let share = self.used.len() / 10;
                (0..share.max(1)).for_each(|_| self.evict());
            }
            prefix
        }

        /// The last of a batch is used first.
        fn use_all(&mut self, blocks: Vec<u64>) {
            let first = self.clock;
            self.clock += blocks.len() as u64;
            for (block, back) in blocks.iter().zip((0..blocks.len() as u64).rev()) {
                match self.used.insert(*block, first + back) {
                    Some(before) => drop(self.order.remove(&before)),
                    // A store without room.
                    None if self.used.len() > self.room => self.evict(),
                    None => {}
                }
                self.order.insert(first + back, *block);
            }
        }

        fn evict(&mut self) {
            let (_, block) = self.order.pop_first().unwrap();
            self.used.remove(&block);
        }
    }

    #[track_caller]
    fn trace(text: &str) -> Result<Trace> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Trace::read(file.path())
    }

    #[test]
    fn a_trace_is_read_line_by_line_and_a_bad_line_is_named() {
        let read = trace("{\"hash_ids\": [1, 2]}\n\n{\"timestamp\": 3, \"hash_ids\": [1, 3]}\n").unwrap();
        assert_eq!(read.requests(), [[1, 2], [1, 3]]);
        assert_eq!((read.blocks(), read.most_hits(), read.first(1).most_hits()), (4, 1, 0));
        let error = trace("{\"hash_ids\": [1]}\n{\"hashes\": []}\n").unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    }

    #[test]
    fn with_room_for_everything_either_policy_hits_all_that_was_seen() {
        let trace = Trace(vec![vec![1, 2, 3], vec![1, 2, 4], vec![5], vec![1, 2, 3], vec![2, 1]]);
        assert_eq!(trace.most_hits(), 7);
        for policy in [Policy::Lru, Policy::Arc] {
            assert_eq!(trace.hits(100, policy).unwrap(), 7);
        }
    }

    #[test]
    fn on_a_real_trace_lru_hits_exactly_what_a_list_in_the_order_of_uses_does() {
        let place = in_repository(Trace::USUAL_PLACE);
        if !place.is_file() {
            let _ = writeln!(io::stderr(), "skipped: {} is not there", place.display());
            return;
        }
        let trace = Trace::read(&place).unwrap().first(1500);
        for room in [10_000, 3000, 500] {
            let mut model = Model::new(room);
            let expect: usize = trace.requests().iter().map(|blocks| model.play(blocks)).sum();
            assert_eq!(trace.hits(room as u64, Policy::Lru).unwrap(), expect, "{room} blocks");
            assert!(expect < trace.most_hits(), "{room} blocks are too many to test anything");
        }
    }
}
