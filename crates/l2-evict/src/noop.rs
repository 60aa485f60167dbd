//! The policy that lets nothing go.

use l2_core::ObjectKey;

use crate::policy::EvictionPolicy;

/// Holds nothing, so nothing is ever evicted: an adapter that is full rejects stores.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noop;

impl EvictionPolicy for Noop {
    fn stored(&mut self, _objects: &[(ObjectKey, u64)]) {}

    fn accessed(&mut self, _keys: &[ObjectKey]) {}

    fn deleted(&mut self, _key: &ObjectKey) {}

    fn contains(&self, _key: &ObjectKey) -> bool {
        false
    }

    fn len(&self) -> usize {
        0
    }

    fn next_victims(&mut self, _at_most: usize) -> Vec<ObjectKey> {
        Vec::new()
    }

    fn rewind(&mut self, _at_most: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::testing::fixtures::key;

    #[test]
    fn it_holds_and_gives_nothing_whatever_it_hears() {
        let mut noop = Noop;
        noop.stored(&[(key(1), 1)]);
        noop.accessed(&[key(1)]);
        assert!(!noop.contains(&key(1)) && noop.is_empty());
        assert_eq!(noop.next_victims(9), []);
        assert!(!noop.rewind(9));
    }
}
