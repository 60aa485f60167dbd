//! The table of ranges that are leased: disjoint, non-empty, ordered by their start.

use std::collections::BTreeMap;

/// Disjoint ranges of a region, each held by one lease.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    /// Start of a range to its end (exclusive).
    held: BTreeMap<usize, usize>,
}

impl Ranges {
    /// Takes `start..end`, or names the first held range (start, end) that overlaps it.
    pub(crate) fn take(&mut self, start: usize, end: usize) -> Result<(), (usize, usize)> {
        if let Some(held) = self.overlapping(start, end) {
            return Err(held);
        }
        self.held.insert(start, end);
        Ok(())
    }

    /// The last held range that overlaps `start..end`.
    pub(crate) fn overlapping(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        // Disjoint and ordered: only the last range that starts before `end` can reach into `start..end`.
        let last = self.held.range(..end).next_back().map(|(&start, &end)| (start, end));
        last.filter(|&(_, held_end)| held_end > start)
    }

    /// Gives the range that starts at `start` back.
    pub(crate) fn release(&mut self, start: usize) {
        let released = self.held.remove(&start);
        debug_assert!(released.is_some(), "a lease releases only what it took");
    }

    /// Splits the range that starts at `start` in two at `middle`, which lies strictly inside it.
    pub(crate) fn split(&mut self, start: usize, middle: usize) {
        if let Some(end) = self.held.insert(start, middle) {
            self.held.insert(middle, end);
        }
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.held.iter().map(|(start, end)| end - start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Take(usize, usize),
        Release(usize),
        Split(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..60, 1usize..12).prop_map(|(start, length)| Step::Take(start, start + length)),
            (0usize..8).prop_map(Step::Release),
            (0usize..8, 1usize..12).prop_map(|(pick, by)| Step::Split(pick, by)),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// The model is one owner per byte.
        #[test]
        fn no_byte_ever_has_two_owners(steps in steps()) {
            let mut table = Ranges::default();
            let mut live: Vec<(usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(start, end) => {
                        let free = live.iter().all(|&(s, e)| e <= start || end <= s);
                        prop_assert_eq!(table.take(start, end).is_ok(), free);
                        if free {
                            live.push((start, end));
                        }
                    }
                    Step::Release(pick) if pick < live.len() => {
                        let (start, _) = live.swap_remove(pick);
                        table.release(start);
                    }
                    Step::Split(pick, by) if pick < live.len() => {
                        let (start, end) = live[pick];
                        if start + by < end {
                            table.split(start, start + by);
                            live[pick] = (start, start + by);
                            live.push((start + by, end));
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(table.bytes(), live.iter().map(|(s, e)| e - s).sum::<usize>());
            }
        }
    }
}
