//! What an eviction policy is.

use std::fmt::Debug;
use std::sync::Arc;

use l2_core::{Candidate, Evictable, KeyScope, ObjectKey};

/// How much is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want<'a> {
    /// At most so many objects.
    pub objects: usize,
    /// No more objects than it takes to free so many bytes.
    pub bytes: u64,
    /// Whether the adapter as a whole has too little room; otherwise it is [`EvictionPolicy::room`] that asks.
    pub pressed: bool,
    /// Whose store asks for the room; `None` when it is the watermark.
    pub asker: Option<&'a KeyScope>,
}

/// The order in which objects go.
///
/// A policy keeps no account of the objects: their adapter notes when each was used, and a policy reads that when it has
/// to choose ([`Evictable::scan`]). A scan costs about 10 ns for each object there is, so a policy chooses many at a time
/// and remembers them: an object that is used after it was chosen is spared by its adapter.
///
/// The controller calls one method at a time, from any thread, under a lock that those who store without room wait for: a
/// method MUST do no I/O, and MUST call nothing of the adapter but [`Evictable::scan`], the sums, and
/// [`Evictable::mark_reused`].
pub trait EvictionPolicy: Send + Debug {
    /// The next objects to go, first to go first, as many as wanted or fewer; none only if nothing can go now. What it
    /// gives MUST have come from a scan of these residents, and SHOULD be what a scan made now would give. It MUST NOT give
    /// the same candidate twice, unless a scan has shown it again.
    ///
    /// Of objects that are otherwise equal the one used earlier goes first; of a batch, that is the last key.
    fn victims(&mut self, residents: &dyn Evictable, want: Want<'_>) -> Vec<Candidate>;

    /// These objects were stored, each with its bytes, some time before. Not called unless
    /// [`EvictionPolicy::hears_stores`].
    fn stored(&mut self, _residents: &dyn Evictable, _objects: &[(ObjectKey, u64)]) {}

    /// Whether [`EvictionPolicy::stored`] does anything. Asked once.
    fn hears_stores(&self) -> bool {
        false
    }

    /// These victims are gone.
    fn evicted(&mut self, _victims: &[Candidate]) {}

    /// How many bytes may be stored before this policy wants something to go although usage is below the watermark;
    /// `None`: now. For policies with limits of their own.
    fn room(&mut self, _residents: &dyn Evictable) -> Option<u64> {
        Some(u64::MAX)
    }

    /// What to call when [`EvictionPolicy::room`] may have changed for another reason than a store.
    fn wakes(&mut self, _wake: Arc<dyn Fn() + Send + Sync>) {}
}
