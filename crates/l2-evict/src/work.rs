//! What is to be done for one adapter, and what was.

use std::collections::VecDeque;

use l2_core::{Candidate, ObjectKey};

use crate::alarm::Alarm;
use crate::attached::{CHUNK, Settled};
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
    /// Out of sight, and could not be deleted: each pass tries some again.
    failed: VecDeque<Candidate>,
    /// Threads that delete something now.
    busy: usize,
    /// Threads that choose now what is to be condemned.
    pub(crate) choosing: usize,
    pub(crate) evictions: Evictions,
    /// Whether deletes failed in the last pass, so that what goes on failing is logged once.
    pub(crate) failing: bool,
    pub(crate) is_detached: bool,
}

impl Work {
    pub(crate) fn new(alarm: Alarm) -> Self {
        Self {
            alarm,
            heard: Vec::new(),
            condemned: VecDeque::new(),
            condemned_bytes: 0,
            failed: VecDeque::new(),
            busy: 0,
            choosing: 0,
            evictions: Evictions::default(),
            failing: false,
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

    /// Takes all of them, not to be deleted.
    pub(crate) fn take_back(&mut self) -> Vec<Candidate> {
        self.condemned_bytes = 0;
        std::mem::take(&mut self.condemned).into()
    }

    /// Takes condemned objects to delete: what frees so many bytes, and at most [`CHUNK`]. Who takes any tells
    /// [`Work::end`] what became of them.
    pub(crate) fn take(&mut self, bytes: u64) -> Vec<Candidate> {
        let (mut taken, mut sum) = (Vec::new(), 0u64);
        while taken.len() < CHUNK
            && sum < bytes
            && let Some(candidate) = self.condemned.pop_front()
        {
            sum = sum.saturating_add(candidate.bytes);
            taken.push(candidate);
        }
        self.condemned_bytes -= sum;
        self.busy += usize::from(!taken.is_empty());
        taken
    }

    /// Takes objects to try again, as [`Work::take`].
    pub(crate) fn take_failed(&mut self) -> Vec<Candidate> {
        let some = self.failed.len().min(CHUNK);
        self.busy += usize::from(some > 0);
        self.failed.drain(..some).collect()
    }

    /// What was taken is settled.
    pub(crate) fn end(&mut self, settled: &Settled) {
        self.busy -= 1;
        self.evictions.add(&settled.done);
        self.failed.extend(&settled.failed);
    }

    /// Whether others are deleting something, or choosing what to delete.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy > 0 || self.choosing > 0
    }
}
