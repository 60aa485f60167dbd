//! Residents for the tests of policies: what a scan shows is written down by the test.

use std::sync::{Arc, Mutex};

use l2_core::{
    Candidate, EntryId, Evictable, Evicted, KeyScope, ObjectKey, Releases, RoomMaker, SaltUsage, ScanCursor,
    Shown, Stamp, Usage,
};

/// Objects that could go, each of a tenant, and what policies did with them.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) objects: Mutex<Vec<(&'static str, Candidate)>>,
    pub(crate) capacity_bytes: u64,
    pub(crate) releases: Mutex<Releases>,
    pub(crate) scans: Mutex<usize>,
    pub(crate) reused: Mutex<Vec<ObjectKey>>,
}

impl Fake {
    /// These objects, of no tenant, under a capacity.
    pub(crate) fn of(capacity_bytes: u64, objects: impl IntoIterator<Item = Candidate>) -> Self {
        let objects = objects.into_iter().map(|candidate| ("", candidate)).collect();
        Self {
            objects: Mutex::new(objects),
            capacity_bytes,
            releases: Mutex::new(Releases { count: 1, oldest: Stamp(u64::MAX) }),
            ..Self::default()
        }
    }

    /// How often somebody looked at all objects.
    pub(crate) fn scans(&self) -> usize {
        *self.scans.lock().unwrap()
    }
}

/// An object that was used at `used`.
pub(crate) fn object(used: u64, bytes: u64, reused: bool) -> Candidate {
    Candidate { id: EntryId(used), used: Stamp(used), bytes, key_hash: used, reused }
}

/// When each was used.
pub(crate) fn stamps(victims: &[Candidate]) -> Vec<u64> {
    victims.iter().map(|victim| victim.used.0).collect()
}

impl Evictable for Fake {
    fn usage(&self) -> Usage {
        let used_bytes = self.objects.lock().unwrap().iter().map(|(_, object)| object.bytes).sum();
        Usage { used_bytes, capacity_bytes: self.capacity_bytes }
    }

    fn objects(&self) -> u64 {
        self.objects.lock().unwrap().len() as u64
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        let mut usage: Vec<SaltUsage> = Vec::new();
        for (salt, object) in &*self.objects.lock().unwrap() {
            match usage.iter_mut().find(|usage| usage.salt == *salt) {
                Some(usage) => {
                    usage.bytes += object.bytes;
                    usage.objects += 1;
                }
                None => usage.push(SaltUsage { salt: (*salt).to_owned(), bytes: object.bytes, objects: 1 }),
            }
        }
        usage
    }

    fn releases(&self) -> Releases {
        *self.releases.lock().unwrap()
    }

    fn scan(&self, _: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        *self.scans.lock().unwrap() += 1;
        self.releases.lock().unwrap().oldest = Stamp(u64::MAX);
        for (salt, object) in &*self.objects.lock().unwrap() {
            let scope = KeyScope::new("m", 0, 0, salt).unwrap();
            visit(Shown { scope: &scope, chunk_hash: &[1] }, object);
        }
        None
    }

    fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate> {
        victims.to_vec()
    }

    fn pardon(&self, _: &[Candidate]) {}

    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        self.objects.lock().unwrap().retain(|(_, object)| !condemned.contains(object));
        condemned.iter().map(|victim| Evicted::Freed { bytes: victim.bytes }).collect()
    }

    fn mark_reused(&self, keys: &[ObjectKey]) {
        self.reused.lock().unwrap().extend_from_slice(keys);
    }

    fn set_room_maker(&self, _: Arc<dyn RoomMaker>) {}

    fn unset_room_maker(&self, _: &dyn RoomMaker) {}
}
