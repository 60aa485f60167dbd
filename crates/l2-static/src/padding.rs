//! What objects occupy beyond their length, by tenant: the index counts lengths, and the pool whole pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use l2_core::{KeyHasherBuilder, KeyScope, ObjectKey, SaltUsage};

/// The sums. One that is 0 is not kept, so that objects of whole pages cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Padding(Mutex<HashMap<String, u64, KeyHasherBuilder>>);

/// The padding of one object, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Padded {
    all: Arc<Padding>,
    scope: KeyScope,
    bytes: u64,
}

impl Padding {
    /// Counts the padding of an object; `None` for one without.
    pub(crate) fn add(self: &Arc<Self>, key: &ObjectKey, bytes: u64) -> Option<Box<Padded>> {
        if bytes == 0 {
            return None;
        }
        *self.sums().entry(key.cache_salt().to_owned()).or_default() += bytes;
        Some(Box::new(Padded { all: Arc::clone(self), scope: key.scope().clone(), bytes }))
    }

    /// Adds what each tenant has to its lengths.
    pub(crate) fn add_to(&self, usage: &mut [SaltUsage]) {
        let sums = self.sums();
        for tenant in usage {
            tenant.bytes += sums.get(&tenant.salt).copied().unwrap_or_default();
        }
    }

    fn sums(&self) -> MutexGuard<'_, HashMap<String, u64, KeyHasherBuilder>> {
        // Each change is one call of a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Padded {
    fn drop(&mut self) {
        let mut sums = self.all.sums();
        if let Some(sum) = sums.get_mut(self.scope.cache_salt()) {
            *sum -= self.bytes;
            if *sum == 0 {
                sums.remove(self.scope.cache_salt());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::testing::fixtures::key_of;

    #[test]
    fn a_tenants_padding_is_added_to_what_it_has_and_goes_with_its_objects() {
        let padding = Arc::new(Padding::default());
        let count = |salt: &str, bytes| padding.add(&key_of("org/m", salt, 1), bytes);
        assert!(count("a", 0).is_none());
        let (one, two, _other) = (count("a", 5), count("a", 7), count("", 1));
        let bytes = || {
            let of = |salt: &str| SaltUsage { salt: salt.to_owned(), bytes: 100, objects: 1 };
            let mut usage = ["a", "", "b"].map(of);
            padding.add_to(&mut usage);
            usage.map(|tenant| tenant.bytes)
        };
        assert_eq!(bytes(), [112, 101, 100]);
        drop(one);
        assert_eq!(bytes(), [107, 101, 100]);
        drop(two);
        assert_eq!((bytes(), padding.sums().len()), ([100, 101, 100], 1));
    }
}
