//! What is measured of one size.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use l2_evict::Controller;
use serde::{Deserialize, Serialize};

use crate::world::{BATCH, Which, World};

/// The size that others are compared with.
const SMALL: u64 = 10_000;
/// Batches that are timed together.
const RUN: usize = 500;
/// Most objects that are looked up while others are evicted.
const MOST_HOT: u64 = 1_000_000;
/// How often each size is measured.
const PAIRS: usize = 31;

/// The figures of one size.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) entries: u64,
    /// Resident memory for each object, after filling, and at most until the end of the eviction.
    pub(crate) bytes_each: f64,
    pub(crate) peak_bytes_each: f64,
    /// Keys of one thread: lookups alone, and with their unlocks.
    pub(crate) lookups_per_second: f64,
    pub(crate) cycles_per_second: f64,
    /// Time of a lookup, alone and with its unlock, over that in an index of [`SMALL`] objects.
    pub(crate) prompt: Against,
    pub(crate) anywhere: Against,
    pub(crate) batch_p50_us: f64,
    pub(crate) batch_p99_us: f64,
    pub(crate) evict_tenth_s: f64,
    pub(crate) batch_p99_meanwhile_us: f64,
}

/// Times over those in an index of [`SMALL`] objects.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Against {
    pub(crate) lookup: f64,
    pub(crate) cycle: f64,
}

impl Figures {
    pub(crate) fn measure(entries: u64) -> Result<Self> {
        let before = resident("VmRSS")?;
        let large = World::filled(entries)?;
        let filled = resident("VmRSS")?;
        let each = |bytes: u64| bytes.saturating_sub(before) as f64 / entries as f64;

        let controller = Controller::start()?;
        let idle = large.attach_idle(&controller)?;
        let small = World::filled(SMALL)?;
        let idle_small = small.attach_idle(&controller)?;
        // As in a server that has run for a while: the first write to a page may cost what no later one does.
        large.use_all_from(0)?;
        small.use_all_from(0)?;
        let mut random = fastrand::Rng::with_seed(7);
        let mut times = Times::default();
        let prompt = compare(&small, &large, Which::Prompt, &mut times)?;
        let anywhere = compare(&small, &large, Which::Anywhere, &mut Times::default())?;
        drop((idle, idle_small));
        // What is looked up while others go was used after them.
        let hot = entries - (entries / 2).min(MOST_HOT);
        large.use_all_from(hot)?;
        let start = Instant::now();
        let attachment = large.attach_full(&controller)?;
        let mut meanwhile = Times::default();
        let mut evict_tenth_s = None;
        while evict_tenth_s.is_none() || meanwhile.lookups.len() < 100 {
            meanwhile.one(&large, &mut random, Which::Prompt, hot)?;
            if attachment.is_idle() {
                evict_tenth_s.get_or_insert_with(|| start.elapsed().as_secs_f64());
            }
        }
        let evicted = attachment.evictions().objects;
        ensure!(evicted >= entries / 10, "{evicted} objects were evicted");
        Ok(Self {
            entries,
            bytes_each: each(filled),
            peak_bytes_each: each(resident("VmHWM")?),
            lookups_per_second: times.keys_per_second(times.lookup_time()),
            cycles_per_second: times.keys_per_second(times.lookup_time() + times.unlocks),
            prompt,
            anywhere,
            batch_p50_us: times.percentile(50),
            batch_p99_us: times.percentile(99),
            evict_tenth_s: evict_tenth_s.unwrap_or_default(),
            batch_p99_meanwhile_us: meanwhile.percentile(99),
        })
    }

    pub(crate) fn row(&self) -> Vec<String> {
        let against = |against: Against| format!("{:.2}, {:.2}", against.cycle, against.lookup);
        vec![
            self.entries.to_string(),
            format!("{:.0}, {:.0}", self.bytes_each, self.peak_bytes_each),
            format!("{:.1}, {:.1}", self.cycles_per_second / 1e6, self.lookups_per_second / 1e6),
            against(self.prompt),
            against(self.anywhere),
            format!("{:.1}, {:.1}", self.batch_p50_us, self.batch_p99_us),
            format!("{:.3}", self.evict_tenth_s),
            format!("{:.1}", self.batch_p99_meanwhile_us),
        ]
    }
}

/// Looks up in both in turn.
fn compare(small: &World, large: &World, which: Which, times: &mut Times) -> Result<Against> {
    let (mut one, mut other) = (fastrand::Rng::with_seed(7), fastrand::Rng::with_seed(8));
    let mut of_small = Times::default();
    let mut against = Vec::new();
    // The first pair warms the caches.
    for _ in 0..=PAIRS {
        let base = of_small.run(small, which, &mut one)?;
        let run = times.run(large, which, &mut other)?;
        against.push(Against { lookup: run.0 / base.0, cycle: (run.0 + run.1) / (base.0 + base.1) });
    }
    against.remove(0);
    let median = |of: fn(&Against) -> f64| {
        let mut all: Vec<f64> = against.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Ok(Against { lookup: median(|against| against.lookup), cycle: median(|against| against.cycle) })
}

/// How long batches took.
#[derive(Debug, Default)]
struct Times {
    lookups: Vec<Duration>,
    unlocks: Duration,
}

impl Times {
    /// Looks [`RUN`] batches up. The seconds of the lookups and of the unlocks, without those of making keys.
    fn run(&mut self, world: &World, which: Which, random: &mut fastrand::Rng) -> Result<(f64, f64)> {
        let unlocks = self.unlocks;
        let mut lookups = Duration::ZERO;
        for _ in 0..RUN {
            lookups += self.one(world, random, which, 0)?;
        }
        Ok((lookups.as_secs_f64(), (self.unlocks - unlocks).as_secs_f64()))
    }

    fn one(
        &mut self,
        world: &World,
        random: &mut fastrand::Rng,
        which: Which,
        first: u64,
    ) -> Result<Duration> {
        let (lookup, unlock) = world.look_up(world.batch(random, which, first)?)?;
        self.lookups.push(lookup);
        self.unlocks += unlock;
        Ok(lookup)
    }

    fn lookup_time(&self) -> Duration {
        self.lookups.iter().sum()
    }

    fn keys_per_second(&self, time: Duration) -> f64 {
        (self.lookups.len() * BATCH) as f64 / time.as_secs_f64()
    }

    /// In microseconds.
    fn percentile(&mut self, percent: usize) -> f64 {
        self.lookups.sort_unstable();
        let at = self.lookups.len().saturating_sub(1) * percent / 100;
        self.lookups.get(at).copied().unwrap_or_default().as_secs_f64() * 1e6
    }
}

/// A line of this process's memory in bytes.
fn resident(line: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.context("/proc/self/status is not as it was")? * 1024)
}
