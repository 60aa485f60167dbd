//! What is to be done for one adapter, and what was.

use std::collections::VecDeque;

use l2_core::{Candidate, ObjectKey};

use crate::alarm::Alarm;
use crate::attached::CHUNK;
use crate::evictions::Evictions;

/// Shared by the controller's thread and by stores that ask for room.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) alarm: Alarm,
    /// Stores that the policy was not told of yet.
    pub(crate) heard: Vec<(ObjectKey, u64)>,
    /// Out of sight, to be deleted in this order by whoever comes next.
    condemned: VecDeque<Candidate>,
    condemned_bytes: u64,
    /// Bytes of what is being deleted now.
    deleting_bytes: u64,
    /// Threads that delete something now.
    busy: usize,
    /// Threads that choose now what is to be condemned.
    pub(crate) choosing: usize,
    pub(crate) evictions: Evictions,
    /// Objects that could not be deleted since one could.
    failed_in_a_row: u64,
    /// Whether any failed when it was last tried, so that what goes on failing is logged once.
    pub(crate) is_failing: bool,
    pub(crate) is_detached: bool,
}

impl Work {
    pub(crate) fn new(alarm: Alarm) -> Self {
        Self {
            alarm,
            heard: Vec::new(),
            condemned: VecDeque::new(),
            condemned_bytes: 0,
            deleting_bytes: 0,
            busy: 0,
            choosing: 0,
            evictions: Evictions::default(),
            failed_in_a_row: 0,
            is_failing: false,
            is_detached: false,
        }
    }

    /// Adds condemned objects, to be deleted after those that are there.
    pub(crate) fn add(&mut self, condemned: Vec<Candidate>) {
        let bytes = condemned.iter().fold(0, |sum: u64, candidate| sum.saturating_add(candidate.bytes));
        self.condemned_bytes = self.condemned_bytes.saturating_add(bytes);
        self.condemned.extend(condemned);
    }

    /// How many objects are condemned and nobody deletes yet.
    pub(crate) fn condemned(&self) -> usize {
        self.condemned.len()
    }

    /// Their bytes.
    pub(crate) fn condemned_bytes(&self) -> u64 {
        self.condemned_bytes
    }

    /// Their bytes, and those of what is being deleted.
    pub(crate) fn going_bytes(&self) -> u64 {
        self.condemned_bytes.saturating_add(self.deleting_bytes)
    }

    /// Takes all of them, not to be deleted.
    pub(crate) fn take_back(&mut self) -> Vec<Candidate> {
        self.condemned_bytes = 0;
        std::mem::take(&mut self.condemned).into()
    }

    /// Takes condemned objects to delete: what frees so many bytes, and at most [`CHUNK`]. While the last could
    /// not be deleted it is one, for what cannot be deleted is of no use to anybody any more; and the last of them, for its
    /// neighbours may have the same fault. Who takes any tells [`Work::end`] what became of them.
    pub(crate) fn take(&mut self, bytes: u64) -> Vec<Candidate> {
        let (mut taken, mut sum) = (Vec::new(), 0u64);
        let most = if self.is_in_doubt() { 1 } else { CHUNK };
        while taken.len() < most
            && sum < bytes
            && let Some(candidate) =
                if self.is_in_doubt() { self.condemned.pop_back() } else { self.condemned.pop_front() }
        {
            sum = sum.saturating_add(candidate.bytes);
            taken.push(candidate);
        }
        self.condemned_bytes -= sum;
        self.deleting_bytes += sum;
        self.busy += usize::from(!taken.is_empty());
        taken
    }

    /// Somebody deletes what was not taken; [`Work::end_again`] tells what became of it.
    pub(crate) fn begin(&mut self) {
        self.busy += 1;
    }

    /// What was taken is settled.
    pub(crate) fn end(&mut self, done: &Evictions, bytes: u64) {
        self.deleting_bytes -= bytes;
        self.failed_in_a_row = if done.objects > 0 { 0 } else { self.failed_in_a_row + done.failed };
        self.end_again(done, 0);
    }

    /// What had failed before was tried again. That it fails again says nothing of the others.
    pub(crate) fn end_again(&mut self, done: &Evictions, _: u64) {
        self.busy -= 1;
        self.evictions.add(done);
        if done.objects > 0 {
            self.failed_in_a_row = 0;
        }
    }

    /// Whether the last that was tried could not be deleted.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.failed_in_a_row > 0
    }

    /// Whether the storage fails, as far as one can tell: to go on is of no use, and nothing would be visible any more.
    pub(crate) fn has_failed(&self) -> bool {
        /// So many objects in a row could not be deleted.
        const FAILURES: u64 = 8;
        self.failed_in_a_row >= FAILURES
    }

    /// Whether others are deleting something, or choosing what to delete.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy > 0 || self.choosing > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{object, stamps};

    /// Objects of 10 bytes, used in this order.
    fn work(objects: u64) -> Work {
        let mut work = Work::new(Alarm::ringing());
        work.add((0..objects).map(|used| object(used, 10, false)).collect());
        work
    }

    fn done(objects: u64, failed: u64) -> Evictions {
        Evictions { objects, bytes: 10 * objects, failed, ..Evictions::default() }
    }

    #[test]
    fn as_much_is_taken_as_is_asked_for_and_counts_as_going_until_it_has_gone() {
        let mut work = work(300);
        assert_eq!((work.condemned(), work.condemned_bytes(), work.going_bytes()), (300, 3000, 3000));
        assert_eq!(stamps(&work.take(20)), [0, 1]);
        assert_eq!((work.condemned(), work.condemned_bytes(), work.going_bytes()), (298, 2980, 3000));
        assert_eq!(stamps(&work.take(21)), [2, 3, 4]);
        work.end(&done(2, 0), 20);
        assert_eq!(work.going_bytes(), 2980);
        assert!(work.take(0).is_empty());
        assert_eq!(work.take(u64::MAX).len(), CHUNK);
        assert_eq!(work.take_back().len(), 300 - 5 - CHUNK);
        assert_eq!((work.condemned(), work.condemned_bytes()), (0, 0));
        assert!(work.take(u64::MAX).is_empty());
        assert_eq!(work.going_bytes(), 10 * (3 + CHUNK as u64), "two are deleting something");
    }

    #[test]
    fn while_the_last_could_not_be_deleted_one_is_risked_and_not_its_neighbour() {
        let mut work = work(30);
        let taken = work.take(50);
        assert_eq!(taken.len(), 5);
        // One that could be deleted is enough.
        work.end(&done(1, 4), 50);
        assert!(!work.is_in_doubt() && !work.has_failed());
        assert_eq!(work.take(30).len(), 3);
        work.end(&done(0, 3), 30);
        assert!(work.is_in_doubt() && !work.has_failed());
        assert_eq!(stamps(&work.take(u64::MAX)), [29]);
        work.end(&done(0, 1), 10);
        // Those that were spared say nothing.
        work.begin();
        work.end(&done(0, 0), 0);
        assert!(work.is_in_doubt() && !work.has_failed());
        for failed in 4..8 {
            assert!(!work.has_failed(), "{failed} failed");
            work.begin();
            work.end(&done(0, 1), 0);
        }
        assert!(work.has_failed());
        // That what had failed before fails again says nothing, that it now can be deleted says much.
        work.begin();
        work.end_again(&done(0, 9), 0);
        assert!(work.is_in_doubt());
        work.begin();
        work.end_again(&done(1, 0), 0);
        assert!(!work.is_in_doubt());
        assert_eq!(work.evictions, Evictions { objects: 2, bytes: 20, failed: 21, ..Evictions::default() });
    }

    #[test]
    fn who_deletes_or_chooses_is_busy() {
        let mut work = work(2);
        assert!(!work.is_busy());
        work.take(10);
        work.take(10);
        assert!(work.take(10).is_empty() && work.is_busy());
        work.end(&done(1, 0), 10);
        assert!(work.is_busy());
        work.end(&done(1, 0), 10);
        assert!(!work.is_busy());
        work.choosing += 1;
        assert!(work.is_busy());
        work.choosing -= 1;
        work.begin();
        assert!(work.is_busy());
        work.end_again(&done(0, 0), 0);
        assert!(!work.is_busy());
    }
}
