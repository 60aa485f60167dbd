//! What the device gives at best: blocks by io_uring, with direct I/O, at the depth and length that are fastest.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use compio_buf::{BufResult, IntoInner, IoBuf, Slice};
use compio_driver::op::{ReadAt, WriteAt};
use compio_driver::{OpCode, Proactor, PushEntry};
use fastrand::Rng;
use memmap2::{Advice, MmapMut};

use crate::bed::{KIB, LARGEST, MIB};
use crate::plain::{create, options};

/// Up to here blocks have shorter buffers, of which there are more.
const SHORT: usize = MIB;
/// What is tried: blocks in flight, and bytes of a block.
const TRIED: [(usize, usize); 8] = [
    (1, 32 * MIB),
    (2, 32 * MIB),
    (4, 32 * MIB),
    (4, 8 * MIB),
    (4, MIB),
    (16, MIB),
    (64, MIB),
    (64, 128 * KIB),
];

/// No block takes longer unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// Moves files of one length in blocks.
pub(crate) struct Ring {
    depth: usize,
    block: usize,
    /// For blocks of `SHORT` bytes at most.
    short: Vec<Buffer>,
    long: Vec<Buffer>,
}

/// The driver takes what belongs to nobody else for as long as it likes.
type Buffer = &'static mut [u8];
type Block = Slice<Buffer>;

impl Ring {
    /// With memory for all that is tried, which is kept up to the end of the program (192 MiB).
    pub(crate) fn new() -> Result<Self> {
        let deepest = |is_short: bool| {
            TRIED.iter().filter(|tried| (tried.1 <= SHORT) == is_short).map(|tried| tried.0).max()
        };
        let [(depth, block), ..] = TRIED;
        Ok(Self {
            depth,
            block,
            short: buffers(deepest(true).unwrap_or_default(), SHORT)?,
            long: buffers(deepest(false).unwrap_or_default(), LARGEST)?,
        })
    }

    /// Takes the fastest of those that are tried: of each, three runs together.
    pub(crate) fn tune(&mut self, run: impl Fn(&mut Self) -> Result<Duration>) -> Result<()> {
        let mut best = (Duration::MAX, TRIED[0]);
        for tried in TRIED {
            (self.depth, self.block) = tried;
            let mut took = Duration::ZERO;
            for _ in 0..3 {
                took += run(self)?;
            }
            if took < best.0 {
                best = (took, tried);
            }
        }
        (self.depth, self.block) = best.1;
        Ok(())
    }

    /// Opens (to write: makes and reserves), moves and closes files of `bytes` bytes each. How long that took.
    pub(crate) fn run(&mut self, way: Way, paths: &[PathBuf], bytes: usize) -> Result<Duration> {
        let begun = Instant::now();
        match way {
            Way::Read => {
                self.read_all(paths, bytes, |_, _, _| Ok(()))?;
            }
            Way::Write => {
                let make = |path: &PathBuf| {
                    create(&temporary(path), bytes as u64, true)
                        .with_context(|| format!("cannot make {} of {bytes} bytes", path.display()))
                };
                self.go(paths.iter().map(make), bytes, WriteAt::new, |_, _, _| Ok(()))?;
                paths.iter().try_for_each(|path| std::fs::rename(temporary(path), path))?;
            }
        }
        Ok(begun.elapsed())
    }

    /// Reads files, and hands on each block: of which file, from where, and what.
    pub(crate) fn read_all(
        &mut self,
        paths: &[PathBuf],
        bytes: usize,
        block: impl FnMut(usize, u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let open = |path: &PathBuf| {
            let opened = options(true).read(true).open(path);
            opened.with_context(|| format!("cannot read {}", path.display()))
        };
        self.go(paths.iter().map(open), bytes, ReadAt::new, block)
    }

    fn go<T>(
        &mut self,
        files: impl Iterator<Item = Result<File>>,
        bytes: usize,
        operation: impl Fn(Arc<File>, u64, Block) -> T,
        mut moved: impl FnMut(usize, u64, &[u8]) -> Result<()>,
    ) -> Result<()>
    where
        T: OpCode + IntoInner<Inner = Block> + 'static,
    {
        // One more than there are blocks: the driver has an entry of its own, for which it takes blocks out of a full queue, and those
        // that are done by then it forgets to tell of.
        let mut driver = Proactor::builder().capacity(u32::try_from(self.depth + 1)?).build()?;
        let mut todo = VecDeque::new();
        for (number, file) in files.enumerate() {
            let file = Arc::new(file?);
            todo.extend(
                (0..bytes).step_by(self.block).map(|offset| (number, Arc::clone(&file), offset as u64)),
            );
        }
        let buffers = if self.block <= SHORT { &mut self.short } else { &mut self.long };
        let mut flying = VecDeque::new();
        loop {
            while flying.len() < self.depth
                && let Some((number, file, offset)) = todo.pop_front()
            {
                let block = buffers.pop().context("more blocks than buffers")?.slice(..self.block);
                flying.push_back((number, offset, driver.push(operation(file, offset, block))));
            }
            if flying.is_empty() {
                return Ok(());
            }
            let mut ended = false;
            for (number, offset, entry) in std::mem::take(&mut flying) {
                let entry = match entry {
                    PushEntry::Pending(key) => driver.pop(key),
                    ready => ready,
                };
                match entry {
                    PushEntry::Ready(BufResult(count, operation)) => {
                        ensure!(count? == self.block, "fewer bytes were moved than asked for");
                        let block = operation.into_inner();
                        moved(number, offset, &block)?;
                        buffers.push(block.into_inner());
                        ended = true;
                    }
                    pending => flying.push_back((number, offset, pending)),
                }
            }
            if !ended {
                driver.poll(Some(LIMIT)).context("a block was not moved within a minute")?;
            }
        }
    }
}

/// How it moves.
impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} KiB in flight", self.depth, self.block / KIB)
    }
}

/// Memory as the device likes it best, in huge pages, with something in it: in ordinary ones a block reaches the device in hundreds
/// of pieces.
fn buffers(count: usize, length: usize) -> Result<Vec<Buffer>> {
    let mut map = MmapMut::map_anon(count * length)?;
    // A kernel that has none goes on without.
    let _ = map.advise(Advice::HugePage);
    Rng::with_seed(1).fill(&mut map);
    let kept: &'static mut MmapMut = Box::leak(Box::new(map));
    Ok(kept.chunks_exact_mut(length).collect())
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}
