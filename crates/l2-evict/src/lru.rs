//! The policy that lets the least recently used go first.

use l2_core::{KeyHasherBuilder, ObjectKey};
use lru::LruCache;

use crate::policy::EvictionPolicy;

type List = LruCache<ObjectKey, (), KeyHasherBuilder>;

/// The least recently used goes first; of one batch, the last key goes first.
#[derive(Debug)]
pub struct Lru {
    /// What was not given yet.
    list: List,
    /// Victims that were given. All of them are colder than all of `list`, and they are in order, so that the two in a
    /// row are the order of use, and neither stepping over nor going on costs anything.
    given: List,
}

impl Lru {
    /// One that holds nothing.
    pub fn new() -> Self {
        let empty = || LruCache::unbounded_with_hasher(KeyHasherBuilder);
        Self { list: empty(), given: empty() }
    }

    /// Makes these the most recently used, the first of them the most.
    fn touch<'a>(&mut self, batch: impl DoubleEndedIterator<Item = &'a ObjectKey>) {
        for key in batch.rev() {
            if !self.list.promote(key) {
                self.given.pop(key);
                self.list.put(key.clone(), ());
            }
        }
    }
}

impl Default for Lru {
    fn default() -> Self {
        Self::new()
    }
}

impl EvictionPolicy for Lru {
    fn stored(&mut self, objects: &[(ObjectKey, u64)]) {
        self.touch(objects.iter().map(|(key, _)| key));
    }

    fn accessed(&mut self, keys: &[ObjectKey]) {
        self.touch(keys.iter());
    }

    fn deleted(&mut self, key: &ObjectKey) {
        if self.list.pop(key).is_none() {
            self.given.pop(key);
        }
    }

    fn contains(&self, key: &ObjectKey) -> bool {
        self.list.contains(key) || self.given.contains(key)
    }

    fn len(&self) -> usize {
        self.list.len() + self.given.len()
    }

    fn next_victims(&mut self, at_most: usize) -> Vec<ObjectKey> {
        let mut victims = Vec::new();
        while victims.len() < at_most
            && let Some((key, ())) = self.list.pop_lru()
        {
            self.given.put(key.clone(), ());
            victims.push(key);
        }
        victims
    }

    fn rewind(&mut self, at_most: usize) -> bool {
        for _ in 0..at_most {
            let Some((key, ())) = self.given.pop_mru() else { break };
            self.list.put(key.clone(), ());
            self.list.demote(&key);
        }
        !self.given.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::testing::fixtures;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const KEYS: u64 = 12;

    #[derive(Debug, Clone)]
    enum Op {
        Stored(Vec<u64>),
        Accessed(Vec<u64>),
        Deleted(u64),
        NextVictims(usize),
        Rewind(usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let batch = || vec(0..KEYS, 0..6);
        let op = prop_oneof![
            3 => batch().prop_map(Op::Stored),
            2 => batch().prop_map(Op::Accessed),
            2 => (0..KEYS).prop_map(Op::Deleted),
            3 => (0usize..5).prop_map(Op::NextVictims),
            1 => (0usize..5).prop_map(Op::Rewind),
        ];
        vec(op, 0..60)
    }

    /// Numbers of keys, coldest first, and how many at the front were given.
    #[derive(Default)]
    struct Model {
        order: Vec<u64>,
        given: usize,
    }

    impl Model {
        fn remove(&mut self, number: u64) {
            if let Some(at) = self.order.iter().position(|&other| other == number) {
                self.order.remove(at);
                self.given -= usize::from(at < self.given);
            }
        }

        fn touch(&mut self, batch: &[u64]) {
            for &number in batch.iter().rev() {
                self.remove(number);
                self.order.push(number);
            }
        }

        fn next_victims(&mut self, at_most: usize) -> Vec<ObjectKey> {
            let end = (self.given + at_most).min(self.order.len());
            let victims = keys(&self.order[self.given..end]);
            self.given = end;
            victims
        }
    }

    fn keys(numbers: &[u64]) -> Vec<ObjectKey> {
        numbers.iter().map(|&number| fixtures::key(number)).collect()
    }

    fn with_bytes(numbers: &[u64]) -> Vec<(ObjectKey, u64)> {
        keys(numbers).into_iter().map(|key| (key, 1)).collect()
    }

    proptest! {
        #[test]
        fn victims_come_in_the_order_of_a_plain_list(ops in ops()) {
            let (mut lru, mut model) = (Lru::new(), Model::default());
            for op in ops {
                match op {
                    Op::Stored(batch) => {
                        lru.stored(&with_bytes(&batch));
                        model.touch(&batch);
                    }
                    Op::Accessed(batch) => {
                        lru.accessed(&keys(&batch));
                        model.touch(&batch);
                    }
                    Op::Deleted(number) => {
                        lru.deleted(&fixtures::key(number));
                        model.remove(number);
                    }
                    Op::NextVictims(at_most) => {
                        prop_assert_eq!(lru.next_victims(at_most), model.next_victims(at_most));
                    }
                    Op::Rewind(at_most) => {
                        model.given = model.given.saturating_sub(at_most);
                        prop_assert_eq!(lru.rewind(at_most), model.given > 0);
                    }
                }
                prop_assert_eq!(lru.len(), model.order.len());
                prop_assert_eq!(lru.is_empty(), model.order.is_empty());
                for number in 0..KEYS {
                    prop_assert_eq!(lru.contains(&fixtures::key(number)), model.order.contains(&number));
                }
            }
            prop_assert!(!lru.rewind(usize::MAX));
            prop_assert_eq!(lru.next_victims(usize::MAX), keys(&model.order));
        }
    }

    #[test]
    fn a_prefix_loses_its_tail_first() {
        let mut lru = Lru::default();
        lru.stored(&with_bytes(&[1, 2, 3]));
        lru.stored(&with_bytes(&[4, 5]));
        lru.accessed(&keys(&[1, 2]));
        assert_eq!(lru.next_victims(9), keys(&[3, 5, 4, 2, 1]));
    }
}
