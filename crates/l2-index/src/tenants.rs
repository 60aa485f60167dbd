//! Bytes and objects of each tenant (cache salt).

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use l2_core::{KeyHasherBuilder, KeyScope};

/// A scope, for its salt alone.
struct BySalt(KeyScope);

impl PartialEq for BySalt {
    fn eq(&self, other: &Self) -> bool {
        self.0.cache_salt() == other.0.cache_salt()
    }
}

impl Eq for BySalt {}

impl Hash for BySalt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.salt_hash64());
    }
}

/// What a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holding {
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
}

/// What the tenants have in one shard. One that has nothing is not kept.
#[derive(Default)]
pub(crate) struct Tenants(HashMap<BySalt, Holding, KeyHasherBuilder>);

impl Tenants {
    pub(crate) fn add(&mut self, scope: &KeyScope, bytes: u64) {
        // The map finds by salt whatever else the scope says.
        let holding = self.0.entry(BySalt(scope.clone())).or_default();
        holding.bytes = holding.bytes.saturating_add(bytes);
        holding.objects += 1;
    }

    pub(crate) fn subtract(&mut self, scope: &KeyScope, bytes: u64) {
        let salt = BySalt(scope.clone());
        if let Some(holding) = self.0.get_mut(&salt) {
            holding.bytes = holding.bytes.saturating_sub(bytes);
            holding.objects -= 1;
            if holding.objects == 0 {
                self.0.remove(&salt);
            }
        }
    }

    /// Each tenant with what it has.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, Holding)> {
        self.0.iter().map(|(salt, holding)| (salt.0.cache_salt(), *holding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_its_salt_whatever_the_model_and_goes_with_its_last_object() {
        let scope = |model: &str, salt: &str| KeyScope::new(model, 0, 0, salt).unwrap();
        let mut tenants = Tenants::default();
        tenants.add(&scope("a", "x"), 5);
        tenants.add(&scope("b", "x"), 7);
        tenants.add(&scope("a", ""), 1);
        let mut all: Vec<_> = tenants.each().collect();
        all.sort_by_key(|(salt, _)| *salt);
        assert_eq!(all, [("", Holding { bytes: 1, objects: 1 }), ("x", Holding { bytes: 12, objects: 2 })]);
        tenants.subtract(&scope("a", ""), 1);
        tenants.subtract(&scope("c", "x"), 7);
        tenants.subtract(&scope("a", "nobody"), 7);
        assert_eq!(tenants.each().collect::<Vec<_>>(), [("x", Holding { bytes: 5, objects: 1 })]);
    }
}
