//! What an eviction policy is.

use std::fmt::Debug;

use l2_core::ObjectKey;

/// The order in which objects go.
///
/// A policy holds the keys it has heard of and a place from which it gives victims, the cold end at first. A victim
/// that was given is still held: its deletion may find it pinned. It is passed by until [`EvictionPolicy::rewind`].
///
/// The controller calls one method at a time, from any thread, under a lock that those who store and look up wait for:
/// a method MUST do no I/O, MUST NOT call the adapter, and MUST NOT do more than in proportion to the keys it is given
/// or asked for.
///
/// Calls may come in another order than what they tell of happened in, and a key may be told of that is not stored
/// any more. The controller sees to it that no stored object is forgotten for that, and tells of the deletion of what
/// it finds to be gone; a policy need not care.
pub trait EvictionPolicy: Send + Debug {
    /// These objects, each with its bytes, were stored together, in this order. It MUST hold them all from now on, and
    /// MUST treat those it holds already as accessed.
    ///
    /// Of objects that are otherwise equal, the last of a batch MUST be given first: a batch is the chunks of a prompt,
    /// and a prefix without its head is useless.
    fn stored(&mut self, objects: &[(ObjectKey, u64)]);

    /// These objects were looked up or loaded together, in this order. A key may come twice. It MUST hold them all
    /// from now on, those it did not know as well: that they were stored may be told later. A victim that was given
    /// MUST NOT be given again on account of its old place.
    fn accessed(&mut self, keys: &[ObjectKey]);

    /// The object is gone. It MUST NOT be given until it is stored or accessed again. The key may be unknown.
    fn deleted(&mut self, key: &ObjectKey);

    /// Whether it holds the key, victims that were given included.
    fn contains(&self, key: &ObjectKey) -> bool;

    /// How many keys it holds, victims that were given included.
    fn len(&self) -> usize;

    /// Whether it holds no keys.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next objects to go, first to go first, at most `at_most`. Fewer only if all others were given since the last
    /// rewind; it MUST NOT give one twice between rewinds, unless it was stored or accessed meanwhile.
    fn next_victims(&mut self, at_most: usize) -> Vec<ObjectKey>;

    /// Puts at most `at_most` of the victims that were given and are still held back to where they were, and says
    /// whether there are more. Once there are none, the next victims come from the cold end.
    fn rewind(&mut self, at_most: usize) -> bool;
}
