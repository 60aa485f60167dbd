//! Which objects are meant: those that have all of what is given.

use l2_core::ObjectKey;

/// Which objects are meant: those that have all of what is given. The default is every object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectFilter {
    /// The model's name.
    pub model_name: Option<String>,
    /// The tenant's salt; an empty one is the tenant without a salt.
    pub cache_salt: Option<String>,
    /// `LMCache`'s packed rank.
    pub kv_rank: Option<u64>,
    /// The object group.
    pub object_group_id: Option<u64>,
    /// What the chunk hash starts with, in lower-case hexadecimal digits.
    pub chunk_hash_prefix: Option<String>,
}

impl ObjectFilter {
    /// Whether the object of this key is meant.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        self.has_scope(key)
            && self.kv_rank.is_none_or(|rank| rank == key.kv_rank())
            && self.object_group_id.is_none_or(|group| group == key.object_group_id())
            && self.chunk_hash_prefix.as_ref().is_none_or(|prefix| key.chunk_hash_hex().starts_with(prefix))
    }

    /// Whether model and tenant are those that are meant.
    pub(crate) fn has_scope(&self, key: &ObjectKey) -> bool {
        self.model_name.as_ref().is_none_or(|model| model == key.model_name())
            && self.cache_salt.as_ref().is_none_or(|salt| salt == key.cache_salt())
    }

    /// Whether all objects of a model, a tenant, or a tenant's of a model are meant.
    pub(crate) fn is_of_scopes(&self) -> bool {
        (self.model_name.is_some() || self.cache_salt.is_some())
            && self.kv_rank.is_none()
            && self.object_group_id.is_none()
            && self.chunk_hash_prefix.is_none()
    }
}
