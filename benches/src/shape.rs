//! What a pool has been through, and what is then stored in what is left of it.

use anyhow::Result;
use fastrand::Rng;

use crate::pool::{Object, Pool};

const PAGE: usize = 4096;

/// The lengths of objects, in bytes.
#[derive(Debug, Clone, Copy)]
pub enum Lengths {
    /// All of one length.
    Equal(usize),
    /// One of two, each as often.
    Either(usize, usize),
    /// Whole pages from the first to the second, each as often.
    Between(usize, usize),
}

impl Lengths {
    fn draw(self, rng: &mut Rng) -> usize {
        match self {
            Self::Equal(length) => length,
            Self::Either(one, other) => {
                if rng.bool() {
                    one
                } else {
                    other
                }
            }
            Self::Between(low, high) => rng.usize(low / PAGE..=high / PAGE) * PAGE,
        }
    }
}

/// What happened to a pool before the objects came that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It was filled; then objects chosen at random were deleted and others stored in their place, an eighth of the pool at a
    /// time, until twice the pool was replaced. Last, more were deleted at random.
    Replaced,
    /// It was filled, and objects chosen at random were deleted.
    Deleted,
    /// It was filled, and every second object was deleted: with objects of one page no two free pages touch.
    EverySecond,
}

/// A benchmark's case.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// For people.
    pub name: &'static str,
    /// What the pool was filled with.
    pub filled: Lengths,
    /// What became of that.
    pub past: Past,
    /// What is stored at last, and measured.
    pub measured: Lengths,
}

impl Shape {
    /// The objects to measure, `bytes` in all and a part of one more. They are the same for every pool.
    pub fn measured(&self, bytes: usize) -> Vec<Object> {
        let mut rng = Rng::with_seed(1);
        let mut objects = Vec::new();
        let mut sum = 0;
        while sum < bytes {
            let length = self.measured.draw(&mut rng);
            sum += length;
            objects.push(Object { number: objects.len() as u64, length });
        }
        objects
    }

    /// Takes an empty pool through its past, and stores `measured`. It is then `percent` full; [`Past::EverySecond`] takes no
    /// notice of that, for half of the pool is left.
    ///
    /// # Errors
    /// What the adapter says.
    pub fn fragment(&self, pool: &Pool, measured: &[Object], percent: u64) -> Result<()> {
        let bytes: u64 = measured.iter().map(|object| object.length as u64).sum();
        let capacity = pool.capacity();
        let wanted_free = capacity * (100 - percent) / 100;
        let mut past =
            Life { pool, lengths: self.filled, rng: Rng::with_seed(2), next: 1 << 32, live: Vec::new() };
        past.fill(0)?;
        match self.past {
            Past::Replaced => {
                for _ in 0..16 {
                    past.delete_until_free(wanted_free + capacity / 8)?;
                    past.fill(wanted_free)?;
                }
                past.delete_until_free(wanted_free + bytes)?;
            }
            Past::Deleted => past.delete_until_free(wanted_free + bytes)?,
            Past::EverySecond => {
                let every_second: Vec<_> = past.live.iter().copied().step_by(2).collect();
                pool.delete(&every_second)?;
            }
        }
        pool.store(measured)?;
        Ok(())
    }
}

/// A pool while it becomes what it is.
struct Life<'a> {
    pool: &'a Pool,
    lengths: Lengths,
    rng: Rng,
    next: u64,
    live: Vec<Object>,
}

impl Life<'_> {
    /// Stores objects until the next would leave less than `free` bytes.
    fn fill(&mut self, free: u64) -> Result<()> {
        let mut left = self.pool.free().saturating_sub(free);
        let mut objects = Vec::new();
        loop {
            let length = self.lengths.draw(&mut self.rng);
            let Some(rest) = left.checked_sub(length as u64) else { break };
            left = rest;
            objects.push(Object { number: self.next, length });
            self.next += 1;
        }
        self.pool.store_all(&objects)?;
        self.live.extend(objects);
        Ok(())
    }

    /// Deletes objects chosen at random until so many bytes are free.
    fn delete_until_free(&mut self, free: u64) -> Result<()> {
        let mut missing = free.saturating_sub(self.pool.free());
        let mut chosen = Vec::new();
        while missing > 0 && !self.live.is_empty() {
            let object = self.live.swap_remove(self.rng.usize(..self.live.len()));
            missing = missing.saturating_sub(object.length as u64);
            chosen.push(object);
        }
        self.pool.delete(&chosen)
    }
}
