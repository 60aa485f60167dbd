//! What eviction sees of an adapter: which objects could go, when each was used last, and how to make one go.
//!
//! An adapter stamps its objects as they are stored, looked up and loaded, in the entry that it touches anyway: nobody
//! keeps a second account of the keys, and a hit costs eviction nothing. Who decides what goes reads the stamps in a
//! scan, and hands back the entries it chose. An entry that was used meanwhile has another stamp, and is spared.

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::L2Error;
use crate::key::{InvalidKey, KeyScope, ObjectKey};
use crate::usage::{SaltUsage, Usage};

/// When an object was used last, among the uses of all objects of its adapter: later is larger, and no two uses share
/// one. Of one batch the last key has the earliest stamp: a prefix without its head is useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub u64);

/// A place in an adapter's index. Places are used again: with its [`Stamp`] it names one object at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EntryId(pub u64);

/// How far a scan has come. The default is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ScanCursor(pub u64);

/// An object that could go: stored, visible, neither pinned nor being read when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is.
    pub id: EntryId,
    /// When it was used last.
    pub used: Stamp,
    /// Bytes that are free when it has gone.
    pub bytes: u64,
    /// [`ObjectKey::hash64`] of its key.
    pub key_hash: u64,
    /// Whether it was looked up or loaded since it was stored.
    pub reused: bool,
}

/// Whose a [`Candidate`] is: its key, not put together yet, for a scan passes by millions.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What it has in common with the other keys of its model, rank, group and tenant.
    pub scope: &'a KeyScope,
    /// Its chunk hash, 1 to 64 bytes.
    pub chunk_hash: &'a [u8],
}

impl Shown<'_> {
    /// The key.
    ///
    /// # Errors
    /// [`InvalidKey`] when the chunk hash is not one.
    pub fn key(&self) -> Result<ObjectKey, InvalidKey> {
        self.scope.key(self.chunk_hash)
    }
}

/// What became free to go, so far. Tells whether what a scan has shown is still all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Releases {
    /// How often an object became one that could go: it was stored or found, or its last pin or reader went. While this
    /// stays, a scan that found nothing would find nothing again.
    pub count: u64,
    /// No object that became one that could go since the last scan was used before this. What a scan has shown of earlier
    /// uses is all that there is.
    pub oldest: Stamp,
}

/// What became of a [`Candidate`] that was condemned.
#[derive(Debug)]
pub enum Evicted {
    /// It is gone.
    Freed {
        /// Bytes that are free now.
        bytes: u64,
    },
    /// It was stored anew or deleted meanwhile: it is left alone.
    Spared,
    /// Lookups miss it, but its storage could not be freed yet; its bytes still count. [`Evictable::evict_again`] tries
    /// again.
    Failed(L2Error),
}

impl Evicted {
    /// That of an attempt to free the storage of one.
    pub fn of(freed: Result<u64, L2Error>) -> Self {
        freed.map_or_else(Self::Failed, |bytes| Self::Freed { bytes })
    }
}

/// The objects of an adapter, for those who decide what goes. All calls may come from any thread at once.
pub trait Evictable: Send + Sync + Debug {
    /// Bytes in use and the capacity.
    fn usage(&self) -> Usage;

    /// How many objects can be looked up.
    fn objects(&self) -> u64;

    /// Bytes and objects of each tenant that has any, in no order.
    fn usage_by_salt(&self) -> Vec<SaltUsage>;

    /// What became free to go.
    fn releases(&self) -> Releases;

    /// Shows `visit` some of the objects that could go, and returns where to go on; `None` at the end. From the default
    /// cursor to the end, each that stays is shown once. A scan begins [`Releases::oldest`] anew: one who chooses is enough
    /// for an adapter (several would each have to look every time). A call takes at most some microseconds, under a lock that
    /// lookups may wait for: `visit` must be quick, and must not call the adapter.
    fn scan(&self, from: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor>;

    /// Some of the objects that can be looked up, pinned ones too, each with the bytes that are free when it has gone, and
    /// where to go on; `None` at the end. From the default cursor to the end, each that stays is listed once, and always in the
    /// same piece. A piece is at most some thousand objects. None at all of those that keep no account of them.
    fn list(&self, _from: ScanCursor) -> (Vec<(ObjectKey, u64)>, Option<ScanCursor>) {
        (Vec::new(), None)
    }

    /// Takes those of these objects out of sight that are as they were when they were scanned: from one moment on lookups
    /// and loads miss them all. Which they are. A store of such a key keeps the object, until it is evicted.
    fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate>;

    /// Puts condemned objects back, as if nothing had been.
    fn pardon(&self, condemned: &[Candidate]);

    /// Frees the storage of condemned objects, in order; one answer each. May block on the storage.
    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted>;

    /// No more bytes than these would be free if all went that could go now.
    fn could_go_bytes(&self) -> u64 {
        u64::MAX
    }

    /// How many objects are out of sight because their storage could not be freed, whoever it was that tried, while nobody
    /// reads them or tries now. Their bytes count.
    fn stranded(&self) -> u64 {
        0
    }

    /// Tries to free the storage of at most so many [stranded](Evictable::stranded) objects, of all of them in turn; one
    /// answer for each that was tried. May block on the storage.
    fn evict_again(&self, _most: usize) -> Vec<Evicted> {
        Vec::new()
    }

    /// Takes these objects for used more than once, whatever their adapter has seen of them. Unknown keys are ignored.
    fn mark_reused(&self, keys: &[ObjectKey]);

    /// Whom stores ask for room that is not there, in place of whoever it was before.
    fn set_room_maker(&self, maker: Arc<dyn RoomMaker>);

    /// Stores ask nobody from now on, unless it is another by now whom they ask.
    fn unset_room_maker(&self, maker: &dyn RoomMaker);
}

/// Makes room for a store that does not fit.
pub trait RoomMaker: Send + Sync + Debug {
    /// Evicts, for a store of a key of this scope, until `bytes` bytes are free that were not when it was called, or nothing
    /// more can go. The bytes that were freed, by this call or beside it; 0 when all that remains is pinned or in use, or
    /// cannot be deleted. May block on the storage while it frees it; the caller holds no lock. Others may take the room
    /// first: ask again while it is not 0.
    fn make_room(&self, scope: &KeyScope, bytes: u64) -> u64;

    /// Bytes that were freed so far, by whatever call: what was freed since a store was tried need not be asked for. Always
    /// 0 where nobody counts.
    fn freed(&self) -> u64 {
        0
    }
}
