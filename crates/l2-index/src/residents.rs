//! Eviction from an adapter that keeps an index: all that adapters have in common of it.

use std::fmt::Debug;
use std::sync::Arc;

use l2_core::{
    Candidate, Desk, Evictable, Evicted, L2Error, ObjectKey, Releases, RoomMaker, SaltUsage, ScanCursor,
    Shown, Usage,
};

use crate::entry::EntryState;
use crate::index::Index;
use crate::ticket::Deletion;

/// What an adapter adds to its index so that it can be evicted from.
pub trait Storage: Send + Sync + Debug {
    /// What is kept with each object.
    type Value: Clone + Send;

    /// The index.
    fn index(&self) -> &Arc<Index<Self::Value>>;

    /// The desk, which says whether the adapter is closed.
    fn desk(&self) -> &Desk;

    /// Bytes in use and the capacity.
    fn usage(&self) -> Usage;

    /// The bytes that an object of a length occupies.
    fn occupied(&self, bytes: u64) -> u64 {
        bytes
    }

    /// Bytes and objects of each tenant that has any.
    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        self.index().usage_by_salt()
    }

    /// Called before objects are freed, once for many.
    fn before_freeing(&self) {}

    /// Frees the storage of an object, and tells the listeners. The bytes that are free.
    ///
    /// # Errors
    /// Why it could not; the deletion is dropped then.
    fn free(&self, deletion: Deletion<Self::Value>) -> Result<u64, L2Error>;
}

/// The objects of an adapter, as eviction sees them. Once the adapter is closed nothing goes any more.
#[derive(Debug)]
pub struct Residents<S>(Arc<S>);

impl<S: Storage> Residents<S> {
    /// Those of this storage.
    pub fn of(storage: &Arc<S>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(storage)))
    }

    fn counted(&self, evicted: Vec<Evicted>) -> Vec<Evicted> {
        let freed = evicted.iter().filter_map(|evicted| match evicted {
            Evicted::Freed { bytes } => Some(*bytes),
            Evicted::Spared | Evicted::Failed(_) => None,
        });
        let (objects, bytes) = freed.fold((0, 0), |(objects, sum), bytes| (objects + 1, sum + bytes));
        self.0.desk().meters().evicted(objects, bytes);
        evicted
    }
}

impl<S: Storage> Evictable for Residents<S> {
    fn usage(&self) -> Usage {
        self.0.usage()
    }

    fn objects(&self) -> u64 {
        self.0.index().objects()
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        self.0.usage_by_salt()
    }

    fn releases(&self) -> Releases {
        self.0.index().releases()
    }

    fn scan(&self, from: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        self.0.index().scan(from, &mut |shown, candidate| {
            visit(shown, &Candidate { bytes: self.0.occupied(candidate.bytes), ..*candidate });
        })
    }

    fn list(&self, from: ScanCursor) -> (Vec<(ObjectKey, u64)>, Option<ScanCursor>) {
        let (entries, next) = self.0.index().list(from);
        let resident = entries.into_iter().filter(|(_, entry)| entry.state == EntryState::Resident);
        (resident.map(|(key, entry)| (key, self.0.occupied(entry.bytes))).collect(), next)
    }

    fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate> {
        if self.0.desk().is_closed() { Vec::new() } else { self.0.index().condemn_all(victims) }
    }

    fn pardon(&self, condemned: &[Candidate]) {
        for candidate in condemned {
            self.0.index().pardon(candidate);
        }
    }

    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        let Some(_removing) = self.0.desk().begin_removal() else {
            return condemned.iter().map(|_| Evicted::Spared).collect();
        };
        self.0.before_freeing();
        self.counted(self.0.index().evict_all(condemned, |deletion| self.0.free(deletion)))
    }

    fn could_go_bytes(&self) -> u64 {
        let (objects, bytes) = self.0.index().could_go();
        // No object occupies more beyond its own bytes than one of a single byte does.
        bytes.saturating_add(objects.saturating_mul(self.0.occupied(1).saturating_sub(1)))
    }

    fn stranded(&self) -> u64 {
        self.0.index().stranded()
    }

    fn evict_again(&self, most: usize) -> Vec<Evicted> {
        if self.stranded() == 0 {
            return Vec::new();
        }
        let Some(_removing) = self.0.desk().begin_removal() else { return Vec::new() };
        self.0.before_freeing();
        self.counted(self.0.index().evict_again(most, |deletion| self.0.free(deletion)))
    }

    fn mark_reused(&self, keys: &[ObjectKey]) {
        self.0.index().mark_reused(keys);
    }

    fn set_room_maker(&self, maker: Arc<dyn RoomMaker>) {
        self.0.desk().set_room_maker(maker);
    }

    fn unset_room_maker(&self, maker: &dyn RoomMaker) {
        self.0.desk().unset_room_maker(maker);
    }
}
