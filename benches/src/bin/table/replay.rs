//! The whole replay of a trace of conversations: with an adapter, and with plain `std::fs` in its place.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use benches::{Pairs, Trace, in_repository};
use nixl_l2::{Lease, SharedLease};
use tempfile::TempDir;

use crate::adapters::{Adapter, How, wait};
use crate::bed::{Bed, KIB, Loads, Stores};
use crate::row::{Bound, Row, Work};
use crate::table::{Table, say};

/// Bytes of a block of tokens.
const BLOCK: usize = 64 * KIB;
/// As many pairs as a ratio needs: each moves tens of GB.
const PAIRS: usize = 5;

const WORK: Work = Work {
    ours: "the conversation trace, blocks of 64 KiB",
    against: "the same with std::fs",
    unit: "GB/s",
    bounds: &[Bound::RatioAtLeast(0.8)],
};

/// What a replay asks of a cache.
trait Cache {
    /// Which blocks are there.
    fn look_up(&self, ids: &[u64]) -> Result<Vec<bool>>;
    fn load(&self, ids: &[u64], memory: Vec<Lease>) -> Result<Vec<Lease>>;
    fn store(&self, ids: &[u64], memory: Vec<SharedLease>) -> Result<()>;
}

/// The whole trace, or its first requests.
pub(crate) fn measure(
    bed: &Bed,
    table: &mut Table,
    trace: Option<&Path>,
    requests: Option<u64>,
) -> Result<()> {
    if !table.wants(WORK) {
        return Ok(());
    }
    let usual = in_repository(Trace::USUAL_PLACE);
    let file = trace.unwrap_or(&usual);
    if trace.is_none() && !file.exists() {
        return say(format_args!("({}: left out, for there is no {})", WORK.ours, file.display()));
    }
    let mut trace = Trace::read(file)?;
    if let Some(requests) = requests {
        trace = trace.first(usize::try_from(requests)?);
    }
    let mut bytes = 0;
    let plainly = || Ok(play(bed, &trace, &Plain { home: bed.directory()? })?.took);
    let ours = || {
        let played = play(bed, &trace, &Adapter::dynamic(bed, How::default())?)?;
        bytes = played.bytes;
        anyhow::Ok(played.took)
    };
    let pairs = Pairs::measure(PAIRS, plainly, ours)?;
    table.add(Row::of_speeds(WORK, bytes, &pairs))
}

struct Played {
    /// All but the comparing.
    took: Duration,
    /// Loaded and stored.
    bytes: u64,
}

/// For each request: looks its blocks up, loads those at the front that are there, stores those that are missing.
fn play(bed: &Bed, trace: &Trace, cache: &dyn Cache) -> Result<Played> {
    let begun = Instant::now();
    let (mut comparing, mut bytes) = (Duration::ZERO, 0);
    for ids in trace.requests() {
        let there = cache.look_up(ids)?;
        let run = there.iter().take_while(|there| **there).count();
        let front = ids.get(..run).unwrap_or_default();
        let leases = front.iter().enumerate().map(|(at, _)| Ok(bed.l1().lease(at * BLOCK, BLOCK)?));
        let loaded = cache.load(front, leases.collect::<Result<_>>()?)?;
        let begun = Instant::now();
        bed.check(front, &loaded)?;
        comparing += begun.elapsed();
        drop(loaded);

        let mut seen = BTreeSet::new();
        let missing = ids.iter().zip(&there).filter(|(id, there)| !**there && seen.insert(**id));
        let missing: Vec<u64> = missing.map(|(id, _)| *id).collect();
        bytes += ((front.len() + missing.len()) * BLOCK) as u64;
        if !missing.is_empty() {
            cache.store(&missing, bed.filled(0, &missing, BLOCK)?)?;
        }
    }
    Ok(Played { took: begun.elapsed() - comparing, bytes })
}

impl Cache for Adapter {
    fn look_up(&self, ids: &[u64]) -> Result<Vec<bool>> {
        let task = self.get().submit_lookup_and_lock(self.keys(ids)?);
        let id = task.id();
        let report = wait(task)?;
        let there = report.bitmap();
        let pinned: Vec<_> = report.hits().map(|(key, _)| key.clone()).collect();
        self.get().unlock_task(id, &pinned);
        Ok(there)
    }

    fn load(&self, ids: &[u64], memory: Vec<Lease>) -> Result<Vec<Lease>> {
        if ids.is_empty() { Ok(Vec::new()) } else { Ok(Loads::load(self, ids, memory)?.1) }
    }

    fn store(&self, ids: &[u64], memory: Vec<SharedLease>) -> Result<()> {
        Stores::store(self, ids, memory).map(|_| ())
    }
}

/// A file for each block, by `std::fs`.
struct Plain {
    home: TempDir,
}

impl Plain {
    fn path(&self, id: u64) -> PathBuf {
        self.home.path().join(format!("block-{id:064}"))
    }
}

impl Cache for Plain {
    fn look_up(&self, ids: &[u64]) -> Result<Vec<bool>> {
        let is_there = |id: &u64| match fs::metadata(self.path(*id)) {
            Ok(found) if found.len() == BLOCK as u64 => Ok(true),
            Ok(found) => bail!("a block has {} bytes", found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        };
        ids.iter().map(is_there).collect()
    }

    fn load(&self, ids: &[u64], mut memory: Vec<Lease>) -> Result<Vec<Lease>> {
        for (id, lease) in ids.iter().zip(&mut memory) {
            let bytes = lease.as_mut_slice().context("L1 is DRAM")?;
            File::open(self.path(*id))?.read_exact(bytes)?;
        }
        Ok(memory)
    }

    fn store(&self, ids: &[u64], memory: Vec<SharedLease>) -> Result<()> {
        for (id, lease) in ids.iter().zip(&memory) {
            let path = self.path(*id);
            let temporary = path.with_extension("tmp");
            fs::write(&temporary, lease.as_slice().context("L1 is DRAM")?)?;
            fs::rename(temporary, path)?;
        }
        Ok(())
    }
}
