//! An index of many objects behind the contract of an adapter, as the two adapters have it, but without storage.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use l2_core::{KeyScope, L2Adapter, ObjectKey};
use l2_evict::{Attachment, Controller, Lru, Watermark};
use l2_index::testing::IndexAdapter;
use l2_index::{Index, Reserve};

/// Keys of a lookup.
pub(crate) const BATCH: usize = 64;
/// Bytes that an object counts for.
const BYTES: u64 = 4096;

/// Which keys are looked up together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// Those of a prompt, which were stored one after the other: what servers ask for.
    Prompt,
    /// Any: the worst that can be.
    Anywhere,
}

/// An index that is full but for one object.
pub(crate) struct World {
    pub(crate) adapter: IndexAdapter,
    scope: KeyScope,
    entries: u64,
}

impl World {
    /// So many objects, under keys that look random.
    pub(crate) fn filled(entries: u64) -> Result<Self> {
        let index = Arc::new(Index::new((entries + 1) * BYTES));
        let adapter = IndexAdapter::new(index, |_| Ok(()));
        let world = Self { adapter, scope: KeyScope::new("org/model", 0, 0, "")?, entries };
        for number in 0..entries {
            let stamp = world.adapter.index().stamps(1).next().context("a stamp for each")?;
            match world.adapter.index().reserve(&world.key(number)?, BYTES, stamp) {
                Reserve::Reserved(reservation) => reservation.commit(),
                other => bail!("object {number}: {other:?}"),
            }
        }
        Ok(world)
    }

    /// The key of an object: a hash of 32 bytes, as LMCache's.
    fn key(&self, number: u64) -> Result<ObjectKey> {
        let mut hash = [0; 32];
        let mut random = fastrand::Rng::with_seed(number);
        hash.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.u64(..).to_le_bytes()));
        Ok(self.scope.key(&hash)?)
    }

    /// A batch of keys, of objects from number `first` on.
    pub(crate) fn batch(
        &self,
        random: &mut fastrand::Rng,
        which: Which,
        first: u64,
    ) -> Result<Vec<ObjectKey>> {
        match which {
            Which::Prompt => {
                let start = random.u64(first..=self.entries - BATCH as u64);
                (start..).take(BATCH).map(|number| self.key(number)).collect()
            }
            Which::Anywhere => (0..BATCH).map(|_| self.key(random.u64(first..self.entries))).collect(),
        }
    }

    /// Uses objects one after the other from `first` on: they are the last to go then.
    pub(crate) fn use_all_from(&self, first: u64) -> Result<()> {
        let mut numbers = (first..self.entries).peekable();
        while numbers.peek().is_some() {
            let keys: Vec<ObjectKey> =
                numbers.by_ref().take(BATCH).map(|number| self.key(number)).collect::<Result<_>>()?;
            let index = self.adapter.index();
            index.pin_batch(&keys, 0);
            index.unpin_batch(&keys, Some(0));
        }
        Ok(())
    }

    /// Looks a batch up, all of which must be there, and gives the pins back. How long each took.
    pub(crate) fn look_up(&self, keys: Vec<ObjectKey>) -> Result<(Duration, Duration)> {
        let start = Instant::now();
        let mut task = self.adapter.submit_lookup_and_lock(keys);
        let report = task.try_take().context("a hit is answered at once")?;
        let looked_up = start.elapsed();
        ensure!(report.prefix_hits() == BATCH, "a key is missing");
        let start = Instant::now();
        self.adapter.unlock_task(task.id(), &report.keys);
        Ok((looked_up, start.elapsed()))
    }

    /// Attaches a controller that has nothing to do: what a lookup costs with eviction configured.
    pub(crate) fn attach_idle(&self, to: &Controller) -> Result<Attachment> {
        Ok(to.attach(&self.adapter, Box::new(Lru::new()), Watermark::new(1.0, 0.1)?))
    }

    /// Attaches one that has to evict a tenth at once.
    pub(crate) fn attach_full(&self, to: &Controller) -> Result<Attachment> {
        let trigger = (self.entries as f64 - 0.5) / (self.entries + 1) as f64;
        Ok(to.attach(&self.adapter, Box::new(Lru::new()), Watermark::new(trigger, 0.1)?))
    }
}
