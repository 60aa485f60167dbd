//! What eviction sees of several adapters: how full they are, and nothing that could go.

use std::collections::BTreeMap;
use std::sync::Arc;

use l2_core::{
    Candidate, Evictable, Evicted, ObjectKey, Releases, RoomMaker, SaltUsage, ScanCursor, Shown, Usage,
};

/// Each adapter is evicted by itself: what one has says nothing of the others.
#[derive(Debug)]
pub(crate) struct EachByItself(Vec<Arc<dyn Evictable>>);

impl EachByItself {
    pub(crate) fn of(each: Vec<Arc<dyn Evictable>>) -> Self {
        Self(each)
    }
}

impl Evictable for EachByItself {
    fn usage(&self) -> Usage {
        self.0.iter().map(|each| each.usage()).sum()
    }

    fn objects(&self) -> u64 {
        self.0.iter().map(|each| each.objects()).fold(0, u64::saturating_add)
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        let mut by_salt: BTreeMap<String, SaltUsage> = BTreeMap::new();
        for usage in self.0.iter().flat_map(|each| each.usage_by_salt()) {
            let sum = by_salt
                .entry(usage.salt.clone())
                .or_insert_with(|| SaltUsage { salt: usage.salt, ..SaltUsage::default() });
            sum.bytes = sum.bytes.saturating_add(usage.bytes);
            sum.objects = sum.objects.saturating_add(usage.objects);
        }
        by_salt.into_values().collect()
    }

    fn releases(&self) -> Releases {
        Releases::default()
    }

    fn scan(&self, _: ScanCursor, _: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        None
    }

    fn condemn(&self, _: &[Candidate]) -> Vec<Candidate> {
        Vec::new()
    }

    fn pardon(&self, _: &[Candidate]) {}

    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        condemned.iter().map(|_| Evicted::Spared).collect()
    }

    fn mark_reused(&self, keys: &[ObjectKey]) {
        self.0.iter().for_each(|each| each.mark_reused(keys));
    }

    fn set_room_maker(&self, _: Arc<dyn RoomMaker>) {}

    fn unset_room_maker(&self, _: &dyn RoomMaker) {}
}
