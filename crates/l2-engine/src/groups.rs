//! How a batch is cut into jobs: small objects share a request, large ones have their own.

/// An object up to this length shares its request with others: one request of many files costs a third of many
/// requests. From 1 MiB up, there is nothing left to save, and an outcome of its own is worth more.
const SMALL: usize = 512 << 10;
/// A job of small objects has at least this many, if there are as many: waking a worker costs as much as moving them.
const WORTH_A_WORKER: usize = 8;
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
        let small = items.iter().filter(|item| what(item).1 <= SMALL).count();
        let size = small.div_ceil(self.workers).max(WORTH_A_WORKER).min(self.most);
        let mut groups: Vec<Vec<T>> = Vec::new();
        let mut open: Option<(u64, usize)> = None;
        for item in items {
            let (region, length) = what(&item);
            let is_small = length <= SMALL;
            match (open, groups.last_mut()) {
                // One request has memory of one region.
                (Some((same, count)), Some(group)) if is_small && same == region && count < size => {
                    group.push(item);
                    open = Some((region, count + 1));
                }
                _ => {
                    groups.push(vec![item]);
                    open = is_small.then_some((region, 1));
                }
            }
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
            }
            prop_assert_eq!(groups.concat(), items);
        }
    }

    #[test]
    fn a_batch_of_small_objects_is_spread_over_the_workers() {
        let sizes = |count: usize, open_files| -> Vec<usize> {
            let groups = Grouping::new(2, open_files).cut(vec![4096; count], |&length| (0, length));
            groups.iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(64, 1024), [32, 32]);
        assert_eq!(sizes(6, 1024), [6]);
        assert_eq!(sizes(20, 64), [8, 8, 4]);
        assert_eq!(sizes(3, 4), [1, 1, 1]);
    }
}
