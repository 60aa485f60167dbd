//! Pins: each is a lease, with an owner and an end.
//!
//! An entry keeps the number of its youngest lease alone. The leases of an entry make a ring, in which the oldest comes
//! after the youngest, so that entries which nobody has pinned pay nothing, and the lease that ends first is at hand.
//!
//! All leases of a shard make a queue besides, in the order in which they were added. All last equally long, so that is the
//! order in which they end: to find those that have ended costs what has ended.

use std::num::NonZeroU32;
use std::time::Duration;

use l2_core::TaskId;

use crate::entry::Lease;

/// One lease.
#[derive(Debug, Clone, Copy)]
struct Node {
    owner: TaskId,
    /// [`FOREVER`], or when it ends, by the index's clock.
    until: Duration,
    /// In use: the next older-to-younger one of its entry. Free: the next free one.
    next: Option<Lease>,
    /// Those before and after it in the queue.
    sooner: Option<Lease>,
    later: Option<Lease>,
    /// The entry's place.
    slot: u32,
}

/// A time that never comes.
pub(crate) const FOREVER: Duration = Duration::MAX;

/// The leases of one shard.
#[derive(Debug)]
pub(crate) struct Leases {
    nodes: Vec<Node>,
    first_free: Option<Lease>,
    /// Most leases at once.
    most: usize,
    /// The ends of the queue.
    soonest: Option<Lease>,
    latest: Option<Lease>,
}

impl Leases {
    /// None, of at most `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self { nodes: Vec::new(), first_free: None, most, soonest: None, latest: None }
    }

    fn node(&self, lease: Lease) -> Option<&Node> {
        self.nodes.get(lease.get() as usize - 1)
    }

    fn node_mut(&mut self, lease: Lease) -> Option<&mut Node> {
        self.nodes.get_mut(lease.get() as usize - 1)
    }

    fn next(&self, lease: Lease) -> Option<Lease> {
        self.node(lease)?.next
    }

    /// Adds a lease to those of the entry at `slot`; no lease ends before one that was there before it. `false` when there
    /// are too many.
    pub(crate) fn add(
        &mut self,
        youngest: &mut Option<Lease>,
        slot: u32,
        owner: TaskId,
        until: Duration,
    ) -> bool {
        let Some(lease) = self.take_free() else { return false };
        // Alone it comes after itself; else between the youngest and the oldest.
        let oldest = youngest.and_then(|youngest| self.next(youngest)).unwrap_or(lease);
        // Somebody else may have come first who read the clock after this one did.
        let sooner = self.latest.replace(lease);
        let until = sooner.and_then(|sooner| self.node(sooner)).map_or(until, |node| until.max(node.until));
        if let Some(node) = self.node_mut(lease) {
            *node = Node { owner, until, next: Some(oldest), sooner, later: None, slot };
        }
        match sooner.and_then(|sooner| self.node_mut(sooner)) {
            Some(before) => before.later = Some(lease),
            None => self.soonest = Some(lease),
        }
        if let Some(before) = youngest.and_then(|youngest| self.node_mut(youngest)) {
            before.next = Some(lease);
        }
        *youngest = Some(lease);
        true
    }

    /// Whether one more can be added.
    pub(crate) fn has_room(&self) -> bool {
        self.first_free.is_some() || self.nodes.len() < self.most
    }

    fn take_free(&mut self) -> Option<Lease> {
        if let Some(lease) = self.first_free {
            self.first_free = self.next(lease);
            return Some(lease);
        }
        if self.nodes.len() >= self.most {
            return None;
        }
        self.nodes.push(Node { owner: 0, until: FOREVER, next: None, sooner: None, later: None, slot: 0 });
        u32::try_from(self.nodes.len()).ok().and_then(NonZeroU32::new)
    }

    /// Takes the lease after `before` out of the ring of `youngest`.
    fn remove_after(&mut self, youngest: &mut Option<Lease>, before: Lease) {
        let Some(lease) = self.next(before) else { return };
        let after = self.next(lease);
        if lease == before {
            *youngest = None;
        } else {
            if let Some(node) = self.node_mut(before) {
                node.next = after;
            }
            if *youngest == Some(lease) {
                *youngest = Some(before);
            }
        }
        self.unlink(lease);
        let free = self.first_free;
        if let Some(node) = self.node_mut(lease) {
            node.next = free;
            self.first_free = Some(lease);
        }
    }

    /// Takes a lease out of the queue.
    fn unlink(&mut self, lease: Lease) {
        let Some(Node { sooner, later, .. }) = self.node(lease).copied() else { return };
        match sooner.and_then(|sooner| self.node_mut(sooner)) {
            Some(before) => before.later = later,
            None => self.soonest = later,
        }
        match later.and_then(|later| self.node_mut(later)) {
            Some(after) => after.sooner = sooner,
            None => self.latest = sooner,
        }
    }

    /// Takes the oldest lease of an entry. Whether it had any.
    pub(crate) fn take_oldest(&mut self, youngest: &mut Option<Lease>) -> bool {
        let Some(before) = *youngest else { return false };
        self.remove_after(youngest, before);
        true
    }

    /// Takes the oldest lease of `owner`. Whether there was one.
    pub(crate) fn take_of(&mut self, youngest: &mut Option<Lease>, owner: TaskId) -> bool {
        let Some(last) = *youngest else { return false };
        let mut before = last;
        while let Some(lease) = self.next(before) {
            if self.node(lease).is_some_and(|node| node.owner == owner) {
                self.remove_after(youngest, before);
                return true;
            }
            if lease == last {
                break;
            }
            before = lease;
        }
        false
    }

    /// Takes every lease of an entry.
    pub(crate) fn take_all(&mut self, youngest: &mut Option<Lease>) {
        while self.take_oldest(youngest) {}
    }

    /// Takes the leases of an entry that have ended; how many. The oldest end first.
    pub(crate) fn take_ended(&mut self, youngest: &mut Option<Lease>, now: Duration) -> u64 {
        let mut ended = 0;
        while let Some(last) = *youngest
            && let Some(oldest) = self.next(last)
            && self.node(oldest).is_some_and(|node| node.until <= now)
        {
            self.remove_after(youngest, last);
            ended += 1;
        }
        ended
    }

    /// How many leases an entry has.
    pub(crate) fn count(&self, youngest: Option<Lease>) -> u32 {
        let Some(last) = youngest else { return 0 };
        let mut count = 1;
        let mut at = last;
        while let Some(next) = self.next(at)
            && next != last
        {
            count += 1;
            at = next;
        }
        count
    }

    /// The place of the entry whose lease ends first, if that has ended.
    pub(crate) fn first_ended(&self, now: Duration) -> Option<u32> {
        let node = self.soonest.and_then(|soonest| self.node(soonest));
        node.filter(|node| node.until <= now).map(|node| node.slot)
    }
}

#[cfg(test)]
mod tests;
