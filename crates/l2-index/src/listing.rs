//! What the index tells those who look: one entry, all of them piece by piece, and the sums.

use std::collections::BTreeMap;

use l2_core::{ObjectKey, SaltUsage, ScanCursor};

use crate::entry::{Entry, EntryState, EntryView};
use crate::index::Index;
use crate::shards::Entries;

/// The sums of an index. Each part is as it was at some instant of the call: the shards are read one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Bytes reserved, stored and being deleted.
    pub used_bytes: u64,
    /// Most bytes that reservations may use.
    pub capacity_bytes: u64,
    /// Objects that can be looked up.
    pub objects: u64,
    /// Of these, how many are pinned.
    pub pinned_objects: u64,
    /// Pins that ended by themselves since the index was made.
    pub expired_pins: u64,
}

impl<V> Index<V> {
    /// What the index knows of `key`.
    pub fn get(&self, key: &ObjectKey) -> Option<EntryView> {
        let hash = key.hash64();
        let (_, entries) = self.shards.of(hash);
        let slot = entries.slab.find(key, hash)?;
        entries.slab.at(slot).map(|entry| view(&entries, entry))
    }

    /// The entries of the piece of the index at `from`, in no order, and where to go on; `None` at the end. From the
    /// default cursor to the end, each entry that stays is listed once. A piece is at most 1024 entries.
    pub fn list(&self, from: ScanCursor) -> (Vec<(ObjectKey, EntryView)>, Option<ScanCursor>) {
        let mut listed = Vec::new();
        let next =
            self.pieces(from, |entries, _, piece| {
                listed.extend(entries.slab.piece(piece)?.filter_map(|(_, hash, entry)| {
                    Some((entry.scope().key(hash).ok()?, view(entries, entry)))
                }));
                Some(piece)
            });
        (listed, next)
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (ObjectKey, EntryView)> {
        let mut next = Some(ScanCursor::default());
        std::iter::from_fn(move || {
            let (listed, after) = self.list(next?);
            next = after;
            Some(listed)
        })
        .flatten()
    }

    /// The objects that can be looked up, each with its bytes.
    pub fn residents(&self) -> impl Iterator<Item = (ObjectKey, u64)> {
        let resident = self.entries().filter(|(_, entry)| entry.state == EntryState::Resident);
        resident.map(|(key, entry)| (key, entry.bytes))
    }

    /// The sums. Pins whose time is over are ended first.
    pub fn snapshot(&self) -> Snapshot {
        self.expire_pins();
        let mut sums = Snapshot {
            used_bytes: self.used_bytes(),
            capacity_bytes: self.capacity_bytes(),
            ..Snapshot::default()
        };
        for entries in self.shards.each() {
            sums.objects += entries.objects;
            sums.pinned_objects += entries.pinned;
            sums.expired_pins += entries.expired;
        }
        sums
    }

    /// How many objects can be looked up.
    pub fn objects(&self) -> u64 {
        self.shards.each().map(|entries| entries.objects).sum()
    }

    /// What each tenant has that has anything, by salt.
    pub fn usage_by_salt(&self) -> Vec<SaltUsage> {
        let mut sums: BTreeMap<String, SaltUsage> = BTreeMap::new();
        for entries in self.shards.each() {
            for (salt, holding) in entries.tenants.each() {
                if !sums.contains_key(salt) {
                    sums.insert(salt.to_owned(), SaltUsage { salt: salt.to_owned(), ..SaltUsage::default() });
                }
                if let Some(sum) = sums.get_mut(salt) {
                    sum.bytes = sum.bytes.saturating_add(holding.bytes);
                    sum.objects += holding.objects;
                }
            }
        }
        sums.into_values().collect()
    }
}

fn view<V>(entries: &Entries<V>, entry: &Entry<V>) -> EntryView {
    EntryView {
        state: entry.state(),
        bytes: entry.bytes,
        pins: entries.leases.count(entry.leases),
        readers: entry.readers,
        used: entry.used,
        reused: entry.is_reused(),
    }
}
