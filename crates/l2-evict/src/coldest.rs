//! The objects that were used least recently, found by reading all stamps once in a while.
//!
//! Uses only ever get later stamps. So the coldest of one scan are colder than whatever is used after it, and can be given
//! one after the other, without another scan, for as long as they last; those that were used meanwhile have another stamp,
//! which their adapter sees. If something was pinned during the scan, is free now, and is colder than what comes next, there
//! has to be another scan.

use l2_core::{Candidate, Evictable, Releases, ScanCursor, Shown, Stamp};

/// A scan is made for at least one in so many objects, so that each victim pays for reading this many stamps.
const SCANNED_PER_VICTIM: u64 = 16;
/// But for no fewer victims than this,
const LEAST: u64 = 1024;
/// and for no more: they take 40 bytes and the tag each, twice while they are chosen.
const MOST: u64 = 1 << 20;

/// Some of the coldest objects, each with a tag.
#[derive(Debug)]
pub(crate) struct Coldest<T> {
    /// The coldest last.
    queue: Vec<(Candidate, T)>,
    /// All that could go and was used before this is in the queue, or was.
    whole_until: Stamp,
}

impl<T: Copy> Coldest<T> {
    pub(crate) const fn new() -> Self {
        Self { queue: Vec::new(), whole_until: Stamp(u64::MAX) }
    }

    /// Heeds what has become one that could go since the scan.
    pub(crate) fn heed(&mut self, releases: Releases) {
        self.whole_until = releases.oldest;
    }

    /// The next one to go; `None` when there has to be a scan to know.
    pub(crate) fn pop(&mut self) -> Option<(Candidate, T)> {
        self.queue.pop_if(|(next, _)| next.used <= self.whole_until)
    }

    /// Whether [`Coldest::pop`] has one.
    pub(crate) fn has_next(&self) -> bool {
        self.queue.last().is_some_and(|(next, _)| next.used <= self.whole_until)
    }
}

/// The coldest of the objects that are offered.
#[derive(Debug)]
pub(crate) struct Selection<T> {
    most: usize,
    kept: Vec<(Candidate, T)>,
    /// Once so many are kept: no stamp after this is among them.
    cut: Option<Stamp>,
}

impl<T: Copy> Selection<T> {
    /// As many as should be chosen of these residents.
    pub(crate) fn of(residents: &dyn Evictable) -> Self {
        Self::of_at_most(most_of(residents.objects()))
    }

    fn of_at_most(most: usize) -> Self {
        Self { most, kept: Vec::new(), cut: None }
    }

    pub(crate) fn offer(&mut self, candidate: &Candidate, tag: T) {
        if self.cut.is_some_and(|cut| candidate.used > cut) {
            return;
        }
        self.kept.push((*candidate, tag));
        if self.kept.len() >= 2 * self.most {
            self.cut();
        }
    }

    /// Keeps the coldest. Done once for as many offers as are kept, so that an offer costs the same however many are.
    fn cut(&mut self) {
        if self.kept.len() > self.most {
            let (_, last, _) =
                self.kept.select_nth_unstable_by_key(self.most - 1, |(candidate, _)| candidate.used);
            self.cut = Some(last.0.used);
            self.kept.truncate(self.most);
        }
    }

    pub(crate) fn finish(mut self) -> Coldest<T> {
        self.cut();
        self.kept.sort_unstable_by_key(|(candidate, _)| std::cmp::Reverse(candidate.used));
        Coldest { queue: self.kept, ..Coldest::new() }
    }
}

/// How many of so many objects are chosen in one scan.
fn most_of(objects: u64) -> usize {
    usize::try_from((objects / SCANNED_PER_VICTIM).clamp(LEAST, MOST)).unwrap_or(usize::MAX)
}

/// Whether a scan could find anything: after one that found nothing, only if something has become free since.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    /// [`Releases::count`] before a scan that found nothing.
    barren: Option<u64>,
}

impl Scans {
    /// Shows `visit` every object that could go now. Whether there was any.
    pub(crate) fn scan(
        &mut self,
        residents: &dyn Evictable,
        mut visit: impl FnMut(Shown<'_>, &Candidate),
    ) -> bool {
        let releases = residents.releases().count;
        if self.barren == Some(releases) {
            return false;
        }
        let mut found = false;
        let mut from = Some(ScanCursor::default());
        while let Some(cursor) = from {
            from = residents.scan(cursor, &mut |shown, candidate| {
                found = true;
                visit(shown, candidate);
            });
        }
        self.barren = (!found).then_some(releases);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::EntryId;
    use proptest::prelude::*;

    fn candidate(used: u64) -> Candidate {
        Candidate { id: EntryId(used), used: Stamp(used), bytes: 1, key_hash: 0, reused: false }
    }

    proptest! {
        #[test]
        fn the_coldest_come_first_and_no_more_than_were_asked_for(
            mut stamps in prop::collection::btree_set(0u64..1000, 0..200).prop_map(Vec::from_iter).prop_shuffle(),
            most in 1usize..40,
        ) {
            let mut selection = Selection::of_at_most(most);
            for stamp in &stamps {
                selection.offer(&candidate(*stamp), *stamp);
                prop_assert!(selection.kept.len() < 2 * most);
            }
            let mut coldest = selection.finish();
            stamps.sort_unstable();
            stamps.truncate(most);
            for stamp in stamps {
                prop_assert!(coldest.has_next());
                prop_assert_eq!(coldest.pop(), Some((candidate(stamp), stamp)));
            }
            prop_assert!(!coldest.has_next() && coldest.pop().is_none());
        }
    }

    #[test]
    fn a_sixteenth_is_chosen_but_no_fewer_than_a_thousand_and_no_more_than_a_million() {
        let chosen = [0, 16 << 10, 32 << 10, 1 << 24, 1 << 40].map(most_of);
        assert_eq!(chosen, [1 << 10, 1 << 10, 2 << 10, 1 << 20, 1 << 20]);
    }

    #[test]
    fn nothing_comes_that_something_released_since_is_colder_than() {
        let mut selection = Selection::of_at_most(9);
        (1..=5).for_each(|stamp| selection.offer(&candidate(stamp), ()));
        let mut coldest = selection.finish();
        coldest.heed(Releases { count: 1, oldest: Stamp(3) });
        let given: Vec<u64> =
            std::iter::from_fn(|| coldest.pop()).map(|(candidate, ())| candidate.used.0).collect();
        assert_eq!((given, coldest.has_next()), (vec![1, 2, 3], false));
    }
}
