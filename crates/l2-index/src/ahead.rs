//! Where the table of each shard lies, as far as is known without the shard's lock: for reading ahead, and for nothing else.
//!
//! What is known may be out of date, and its two halves may be of different tables: then something is read ahead that
//! nobody needs, and the next batch knows better.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use l2_core::memory::prefetch_at;

use crate::shards::{SHARDS, shard_of};
use crate::slab::shorten;
use crate::table::{Line, home};

/// Of all shards. Apart from their locks, whose lines of the caches go to and fro between processors.
pub(crate) struct Ahead([Lines; SHARDS]);

/// The lines of one table.
struct Lines {
    first: AtomicPtr<Line>,
    count: AtomicUsize,
}

impl Ahead {
    /// Nothing is known.
    pub(crate) fn new() -> Self {
        Self(
            [const { Lines { first: AtomicPtr::new(std::ptr::null_mut()), count: AtomicUsize::new(0) } };
                SHARDS],
        )
    }

    /// Notes where the table of a shard lies. Relaxed, as everything here: nobody follows these pointers.
    pub(crate) fn note(&self, shard: usize, lines: &[Line]) {
        let Some(known) = self.0.get(shard) else { return };
        let first = lines.as_ptr().cast_mut();
        if known.first.load(Ordering::Relaxed) != first {
            known.first.store(first, Ordering::Relaxed);
            known.count.store(lines.len(), Ordering::Relaxed);
        }
    }

    /// Begins to read the line in which a key of this hash is looked for first.
    pub(crate) fn read(&self, hash: u64) {
        if let Some(known) = self.0.get(shard_of(hash)) {
            let line = home(shorten(hash), known.count.load(Ordering::Relaxed));
            prefetch_at(known.first.load(Ordering::Relaxed).wrapping_add(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_that_was_noted_last_is_known() {
        let ahead = Ahead::new();
        ahead.read(u64::MAX);
        for lines in [[Line::default(); 4], [Line::default(); 4]] {
            ahead.note(3, &lines);
            let known = &ahead.0[3];
            assert_eq!(known.first.load(Ordering::Relaxed).cast_const(), lines.as_ptr());
            assert_eq!(known.count.load(Ordering::Relaxed), 4);
            ahead.read(3 << 60);
        }
        ahead.note(SHARDS, &[]);
        assert!(ahead.0[2].first.load(Ordering::Relaxed).is_null());
    }
}
