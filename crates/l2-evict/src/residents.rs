//! A policy that is told of stores and deletions in the order in which they happened, although they are heard in
//! another.
//!
//! An adapter tells of a change after it made it, and outside its locks. So when a key is deleted and stored again at
//! once, the deletion may be heard after the store. A policy that believed it would forget an object that is there,
//! which nothing would ever evict. Here errors are only ever made to the other side: a key may be held that is gone; it
//! goes when its deletion answers that it is absent.

use std::collections::HashMap;

use l2_core::{KeyHasherBuilder, ObjectKey};

use crate::policy::EvictionPolicy;

/// The keys that the policy holds.
#[derive(Debug)]
pub(crate) struct Residents {
    policy: Box<dyn EvictionPolicy>,
    /// Keys that were stored while they were held: how many deletions were not heard of yet, so that they are of
    /// objects before this one. Almost always empty.
    outrun: HashMap<ObjectKey, u32, KeyHasherBuilder>,
}

impl Residents {
    pub(crate) fn new(policy: Box<dyn EvictionPolicy>) -> Self {
        Self { policy, outrun: HashMap::default() }
    }

    pub(crate) fn stored(&mut self, objects: &[(ObjectKey, u64)]) {
        for (key, _) in objects {
            if self.policy.contains(key) {
                let deletions = self.outrun.entry(key.clone()).or_default();
                *deletions = deletions.saturating_add(1);
            }
        }
        self.policy.stored(objects);
    }

    /// Objects that were there before they were told of: they may have been told of already.
    pub(crate) fn found(&mut self, objects: &[(ObjectKey, u64)]) {
        for object in objects {
            if !self.policy.contains(&object.0) {
                self.policy.stored(std::slice::from_ref(object));
            }
        }
    }

    pub(crate) fn accessed(&mut self, keys: &[ObjectKey]) {
        self.policy.accessed(keys);
    }

    /// An adapter told of a deletion.
    pub(crate) fn deleted(&mut self, key: &ObjectKey) {
        match self.outrun.get_mut(key) {
            Some(deletions) if *deletions > 1 => *deletions -= 1,
            Some(_) => drop(self.outrun.remove(key)),
            None => self.policy.deleted(key),
        }
    }

    /// A victim was not there when it was to be deleted. It may have been stored since.
    pub(crate) fn absent(&mut self, key: &ObjectKey) {
        if !self.outrun.contains_key(key) {
            self.policy.deleted(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.policy.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.policy.is_empty()
    }

    pub(crate) fn next_victims(&mut self, at_most: usize) -> Vec<ObjectKey> {
        self.policy.next_victims(at_most)
    }

    pub(crate) fn rewind(&mut self, at_most: usize) -> bool {
        self.policy.rewind(at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lru::Lru;
    use l2_core::testing::fixtures::key;

    fn empty() -> Residents {
        Residents::new(Box::new(Lru::new()))
    }

    fn store(residents: &mut Residents, number: u64) {
        residents.stored(&[(key(number), 1)]);
    }

    #[test]
    fn a_deletion_that_is_heard_after_the_next_store_does_not_hide_the_object() {
        let mut residents = empty();
        store(&mut residents, 1);
        store(&mut residents, 1);
        store(&mut residents, 1);
        residents.deleted(&key(1));
        residents.deleted(&key(1));
        assert_eq!(residents.len(), 1);
        residents.deleted(&key(1));
        assert!(residents.is_empty() && residents.outrun.is_empty());
    }

    #[test]
    fn a_victim_that_was_absent_and_stored_since_is_kept() {
        let mut residents = empty();
        store(&mut residents, 1);
        assert_eq!(residents.next_victims(1), [key(1)]);
        store(&mut residents, 1);
        residents.absent(&key(1));
        assert_eq!(residents.next_victims(2), [key(1)]);
    }

    #[test]
    fn what_is_found_and_held_already_keeps_its_place_and_goes_when_it_is_deleted() {
        let mut residents = empty();
        store(&mut residents, 1);
        store(&mut residents, 2);
        residents.found(&[(key(1), 1), (key(3), 1)]);
        assert_eq!(residents.next_victims(9), [key(1), key(2), key(3)]);
        for number in 1..4 {
            residents.deleted(&key(number));
        }
        assert!(residents.is_empty());
    }

    #[test]
    fn a_key_that_is_held_but_gone_goes_when_it_is_found_absent() {
        let mut residents = empty();
        // Deleted before its store was heard of.
        residents.deleted(&key(1));
        store(&mut residents, 1);
        // Loaded, but deleted before that was heard of.
        store(&mut residents, 2);
        residents.deleted(&key(2));
        residents.accessed(&[key(2)]);
        for key in residents.next_victims(9) {
            residents.absent(&key);
        }
        assert!(residents.is_empty());
    }
}
