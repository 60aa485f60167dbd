//! One round of a bench: an adapter opened, its calls timed, everything deleted, and the adapter closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use nixl_l2::{
    AdapterConfig, Deleted, KeyScope, L2Adapter, Lease, LoadItem, ObjectKey, StoreItem, Stored, Visit,
};

use super::numbers::{Numbers, percentile};
use crate::cli::content;
use crate::cli::interrupt::INTERRUPTED;
use crate::cli::metrics::Metrics;
use crate::cli::session::{open, take};
use crate::cli::slots::Slots;
use crate::cli::tally::gigabytes_a_second;

/// The model name of the keys: no server's.
const MODEL: &str = "nixl-l2-bench";
/// How often all objects are loaded; the best pass counts.
pub(super) const PASSES: usize = 3;
/// Most objects that are loaded one by one.
pub(super) const SINGLES: usize = 200;
/// What leases hold before a load, so that bytes which it did not write are not right by chance.
const BLANK: u8 = 0xa5;

/// What a round is made of.
#[derive(Debug)]
pub(super) struct Round<'a> {
    pub(super) config: &'a AdapterConfig,
    /// As many as a batch has objects.
    pub(super) slots: &'a Slots,
    pub(super) objects: usize,
    pub(super) batch: usize,
    pub(super) stop: &'a Arc<AtomicBool>,
    /// Where the adapter is shown while it is open.
    pub(super) metrics: Option<&'a Metrics>,
    pub(super) bar: &'a ProgressBar,
}

impl Round<'_> {
    /// Opens, measures, and leaves nothing, whatever went wrong.
    pub(super) fn run(&self) -> Result<Numbers> {
        let keys = self.keys()?;
        let visit = self.config.file_path().map(Visit::begin);
        let start = Instant::now();
        let adapter = open(std::slice::from_ref(self.config), self.slots.region(), self.slots.block_bytes())?;
        let init_s = start.elapsed().as_secs_f64();
        if let Some(metrics) = self.metrics {
            metrics.watch(vec![Arc::clone(&adapter)]);
        }
        let mut under_way = UnderWay {
            round: self,
            adapter: &*adapter,
            keys: &keys,
            numbers: Numbers { init_s, ..Numbers::default() },
            may_miss: self.config.eviction().is_some(),
        };
        let measured = under_way.measure();
        let numbers = under_way.numbers;
        let left = clear(&*adapter, &keys);
        if let Some(metrics) = self.metrics {
            metrics.freeze();
        }
        adapter.close()?;
        drop(visit);
        measured?;
        left?;
        Ok(numbers)
    }

    /// Keys that no other run has: what another one left is in nobody's way.
    fn keys(&self) -> Result<Vec<ObjectKey>> {
        let scope = KeyScope::new(MODEL, 0, 0, "")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let key = |number: usize| {
            // The number first: shards go by the first bytes.
            let number = xxhash_rust::xxh3::xxh3_64(&number.to_be_bytes());
            let hash = [&number.to_be_bytes()[..], &now.to_be_bytes(), &std::process::id().to_be_bytes()];
            Ok(scope.key(&hash.concat())?)
        };
        (0..self.objects).map(key).collect()
    }
}

/// Deletes what is left of the objects.
fn clear(adapter: &dyn L2Adapter, keys: &[ObjectKey]) -> Result<()> {
    let report = adapter.delete(keys);
    for (key, answer) in keys.iter().zip(report.answers) {
        match answer {
            Deleted::Failed(error) => {
                return Err(error).context("an object of the bench could not be deleted");
            }
            Deleted::Busy => bail!("an object of the bench is still in use, and stays: key {key}"),
            Deleted::Freed { .. } | Deleted::Absent => {}
        }
    }
    Ok(())
}

/// A round with its adapter open.
struct UnderWay<'a> {
    round: &'a Round<'a>,
    adapter: &'a dyn L2Adapter,
    keys: &'a [ObjectKey],
    numbers: Numbers,
    /// Whether objects may go by themselves.
    may_miss: bool,
}

impl UnderWay<'_> {
    fn measure(&mut self) -> Result<()> {
        let keys = self.keys;
        self.round.bar.set_message("stores");
        self.store()?;
        self.round.bar.set_message("lookups");
        let present = self.look_up()?;
        if present.is_empty() {
            bail!("of {} objects that were stored none is found", keys.len());
        }
        // What is compared from here on is all that is loaded.
        self.numbers.verified = true;
        self.round.bar.set_message("loads");
        for _ in 0..PASSES {
            let rate = self.load_all(&present)?;
            self.numbers.load_gbps = self.numbers.load_gbps.max(rate);
        }
        self.round.bar.set_message("single loads");
        let mut singles = Vec::with_capacity(SINGLES);
        for key in present.iter().take(SINGLES) {
            let (loaded, took) = self.load(std::slice::from_ref(key))?;
            if loaded > 0 {
                singles.push(took.as_secs_f64() * 1e6);
            }
        }
        self.numbers.load1_p50_us = percentile(&mut singles, 50);
        self.numbers.load1_p99_us = percentile(&mut singles, 99);
        self.round.bar.set_message("deletes");
        self.delete(&present)
    }

    /// One batch is done.
    fn step(&self, objects: usize) -> Result<()> {
        self.round.bar.inc(objects as u64);
        if self.round.stop.load(Ordering::Relaxed) {
            bail!("{INTERRUPTED}");
        }
        Ok(())
    }

    fn leases(&self, count: usize) -> Result<Vec<Lease>> {
        let leases = self.round.slots.lease(count)?;
        if leases.len() < count {
            bail!("only {} of {count} objects of L1 are free: a transfer did not end in time", leases.len());
        }
        Ok(leases)
    }

    fn store(&mut self) -> Result<()> {
        let (mut written, mut time) = (0, Duration::ZERO);
        for keys in self.keys.chunks(self.round.batch) {
            let items = keys.iter().zip(self.leases(keys.len())?).map(|(key, mut memory)| {
                if let Some(bytes) = memory.as_mut_slice() {
                    content::fill(key, bytes);
                }
                StoreItem { key: key.clone(), memory: memory.freeze() }
            });
            let items: Vec<_> = items.collect();
            let start = Instant::now();
            let report =
                take(self.adapter.submit_store(items), format_args!("store of {} objects", keys.len()))?;
            time += start.elapsed();
            for outcome in report.outcomes {
                match outcome.result? {
                    Stored::Written { bytes } => written += bytes,
                    Stored::AlreadyPresent => bail!("an object of a new key is there already"),
                }
            }
            self.step(keys.len())?;
        }
        self.numbers.store_gbps = gigabytes_a_second(written, time);
        Ok(())
    }

    /// The keys that are there.
    fn look_up(&mut self) -> Result<Vec<ObjectKey>> {
        let (mut present, mut time) = (Vec::new(), Duration::ZERO);
        for keys in self.keys.chunks(self.round.batch) {
            let asked = keys.to_vec();
            let start = Instant::now();
            let task = self.adapter.submit_lookup_and_lock(asked);
            let report = take(task, format_args!("lookup of {} objects", keys.len()))?;
            time += start.elapsed();
            let hits: Vec<ObjectKey> = report.hits().map(|(key, _)| key.clone()).collect();
            self.adapter.unlock(&hits);
            if hits.len() < keys.len() && !self.may_miss {
                bail!("of {} objects that were stored {} are found", keys.len(), hits.len());
            }
            present.extend(hits);
            self.step(keys.len())?;
        }
        self.numbers.lookup_keys_per_s = per_second(self.keys.len(), time);
        Ok(present)
    }

    /// The rate of one pass.
    fn load_all(&mut self, present: &[ObjectKey]) -> Result<f64> {
        let (mut loaded, mut time) = (0, Duration::ZERO);
        for keys in present.chunks(self.round.batch) {
            let (bytes, took) = self.load(keys)?;
            loaded += bytes;
            time += took;
        }
        Ok(gigabytes_a_second(loaded, time))
    }

    /// Loads one batch, and compares every byte when the time is taken.
    fn load(&mut self, keys: &[ObjectKey]) -> Result<(u64, Duration)> {
        let items = keys.iter().zip(self.leases(keys.len())?).map(|(key, mut memory)| {
            if let Some(bytes) = memory.as_mut_slice() {
                bytes.fill(BLANK);
            }
            LoadItem { key: key.clone(), memory }
        });
        let items: Vec<_> = items.collect();
        let start = Instant::now();
        let report = take(self.adapter.submit_load(items), format_args!("load of {} objects", keys.len()))?;
        let time = start.elapsed();
        let mut loaded = 0;
        for (key, outcome) in keys.iter().zip(report.outcomes) {
            match outcome.result {
                Ok(bytes) => loaded += bytes,
                Err(error) if error.is_miss() && self.may_miss => continue,
                Err(error) => return Err(error.into()),
            }
            let memory = outcome.memory.context("a load that succeeded kept its memory")?;
            let bytes = memory.as_slice().context("main memory can be read")?;
            if let Some(at) = content::first_difference(key, bytes) {
                self.numbers.verified = false;
                self.numbers
                    .first_mismatch
                    .get_or_insert_with(|| format!("byte {at} of {}, key {key}", bytes.len()));
            }
        }
        self.step(keys.len())?;
        Ok((loaded, time))
    }

    fn delete(&mut self, present: &[ObjectKey]) -> Result<()> {
        let mut time = Duration::ZERO;
        for keys in present.chunks(self.round.batch) {
            let start = Instant::now();
            let report = self.adapter.delete(keys);
            time += start.elapsed();
            for answer in report.answers {
                if let Deleted::Failed(error) = answer {
                    return Err(error.into());
                }
            }
            self.step(keys.len())?;
        }
        self.numbers.delete_keys_per_s = per_second(present.len(), time);
        Ok(())
    }
}

fn per_second(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}
