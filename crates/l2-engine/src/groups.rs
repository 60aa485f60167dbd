//! How a batch is cut into jobs: small objects share a request, large ones have their own.

/// An object up to this length shares its request with others. One request of many files costs a third of many requests; and
/// of objects of 1 MiB, each of which takes the processor's caches, what is not copying is a seventh of
/// the time: the code of all layers has to come from memory again. Above that an outcome of its own is worth more.
const SMALL: usize = 1 << 20;
/// What an object costs beside the copying (a file to open and close, its place in all tables), in bytes that could be copied
/// meanwhile.
const OBJECT: usize = 64 << 10;
/// A request of so much is worth a worker of its own, bytes and objects together: waking one costs as much as moving it.
const WORTH_A_WORKER: usize = 640 << 10;
/// No object is added to a request of so much: another worker may take the next one.
const ENOUGH: usize = 5 << 20;
/// Most objects in one request.
const GROUP_MAX: usize = 64;

/// How a batch is cut.
#[derive(Debug, Clone, Copy)]
pub struct Grouping {
    workers: usize,
    /// Most objects that one job may have.
    most: usize,
}

impl Grouping {
    /// For so many workers, and a process that may have so many files open. A quarter of those is ours: a worker has
    /// at most twice its share open, while one job is in flight and the next is opening.
    pub fn new(workers: usize, open_files: u64) -> Self {
        let share = usize::try_from(open_files / 4).unwrap_or(usize::MAX) / workers.max(1);
        Self { workers: workers.max(1), most: share.clamp(1, GROUP_MAX) }
    }

    /// A job for each object: object stores take no two in one request.
    pub fn alone(workers: usize) -> Self {
        Self { workers: workers.max(1), most: 1 }
    }

    /// With jobs half as large, for objects that have two files open each.
    #[must_use]
    pub fn halved(self) -> Self {
        Self { most: (self.most / 2).max(1), ..self }
    }

    /// Most objects of one job.
    pub fn most(self) -> usize {
        self.most
    }

    /// Cuts a batch, in order. `what` gives an item's region (its id) and length in bytes.
    pub fn cut<T>(self, items: Vec<T>, what: impl Fn(&T) -> (u64, usize)) -> Vec<Vec<T>> {
        let small = items.iter().map(|item| what(item).1).filter(|length| *length <= SMALL);
        // What the small ones cost that are in no group yet, and how many groups are to take it: as many for each worker.
        let mut left: usize = small.map(|length| length + OBJECT).sum();
        let mut jobs = left.div_ceil(ENOUGH).next_multiple_of(self.workers).max(1);
        let mut groups: Vec<Vec<T>> = Vec::new();
        // The region of the last group and what it may still take, if it is one of small objects.
        let mut open: Option<(u64, usize)> = None;
        for item in items {
            let (region, length) = what(&item);
            if length > SMALL {
                groups.push(vec![item]);
                open = None;
                continue;
            }
            let room = match (open, groups.last_mut()) {
                // One request has memory of one region.
                (Some((same, room)), Some(group))
                    if same == region && room > 0 && group.len() < self.most =>
                {
                    group.push(item);
                    room
                }
                _ => {
                    groups.push(vec![item]);
                    // Where regions change there are more groups than were planned: the last is not to take all that is left.
                    let share = left.div_ceil(jobs).clamp(WORTH_A_WORKER, ENOUGH);
                    jobs = (jobs - 1).max(1);
                    share
                }
            };
            let cost = length + OBJECT;
            left -= cost;
            open = Some((region, room.saturating_sub(cost)));
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn groups_keep_the_order_and_the_limits(
            items in prop::collection::vec((0u64..2, prop_oneof![Just(4096), Just(SMALL), Just(SMALL + 1)]), 0..300),
            workers in 1usize..9,
            open_files in 0u64..5000,
        ) {
            let grouping = Grouping::new(workers, open_files);
            let groups = grouping.cut(items.clone(), |&item| item);
            for group in &groups {
                prop_assert!(!group.is_empty() && group.len() <= grouping.most);
                prop_assert!(group.iter().all(|item| item.0 == group[0].0));
                prop_assert!(group.len() == 1 || group.iter().all(|item| item.1 <= SMALL));
                let cost: usize = group.iter().map(|item| item.1 + OBJECT).sum();
                prop_assert!(group.len() == 1 || cost < ENOUGH + SMALL + OBJECT);
            }
            prop_assert_eq!(groups.concat(), items);
        }
    }

    #[test]
    fn a_batch_is_spread_over_the_workers_unless_that_is_not_worth_waking_them() {
        let sizes = |count: usize, length: usize, open_files| -> Vec<usize> {
            let groups = Grouping::new(2, open_files).cut(vec![length; count], |&length| (0, length));
            groups.iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(64, 16 << 10, 1024), [32, 32]);
        assert_eq!(sizes(6, 4096, 1024), [6]);
        assert_eq!(sizes(20, 4096, 1024), [10, 10]);
        assert_eq!(sizes(20, 4096, 64), [8, 8, 4]);
        assert_eq!(sizes(3, 4096, 4), [1, 1, 1]);
        assert_eq!(sizes(200, 4096, 1024), [50, 50, 50, 50]);
        // Larger ones share requests of a few, so that no worker waits for another.
        assert_eq!(sizes(16, 1 << 20, 1024), [4, 4, 4, 4]);
        assert_eq!(sizes(10, 1 << 20, 1024), [3, 3, 2, 2]);
        assert_eq!(sizes(4, 1 << 20, 1024), [2, 2]);
        assert_eq!(sizes(3, (1 << 20) + 1, 1024), [1, 1, 1]);
    }
}
