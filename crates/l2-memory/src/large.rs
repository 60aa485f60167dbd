//! Vectors that are large and read here and there, in huge pages.

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use memmap2::{MmapMut, MmapOptions};

use crate::pages::{HugePages, Mapping, PAGE};

/// A vector of a length that it never passes, whose items stay where they are. Where it is large it lies in huge pages from its
/// first byte on, if the kernel has any: the processor then finds its way there without reading page tables, which can take
/// longer than the memory itself. An allocator's memory begins anywhere, and up to two pages of it would be small ones.
///
/// Memory is taken from the kernel as it is used. A vector without room takes none.
pub struct LargeVec<T> {
    items: NonNull<T>,
    length: usize,
    capacity: usize,
    /// What `items` points into.
    _map: Option<MmapMut>,
}

// SAFETY: it owns its items and gives them out by the rules of borrowing alone, as `Vec` does: it may go where they may.
unsafe impl<T: Send> Send for LargeVec<T> {}
// SAFETY: a shared vector gives out shared items alone.
unsafe impl<T: Sync> Sync for LargeVec<T> {}

impl<T> LargeVec<T> {
    /// Whether it can hold such items.
    const FITS: () = assert!(size_of::<T>() > 0 && align_of::<T>() <= PAGE);

    /// Without room.
    #[must_use]
    pub const fn new() -> Self {
        let () = Self::FITS;
        Self { items: NonNull::dangling(), length: 0, capacity: 0, _map: None }
    }

    /// With room for so many items. As with `Vec`, the process ends where the kernel has no such room.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        if capacity == 0 {
            return Self::new();
        }
        let bytes = capacity.saturating_mul(size_of::<T>());
        let options = &mut MmapOptions::new();
        let mapped = Mapping::new(bytes, PAGE, HugePages::Transparent, options.no_reserve_swap());
        let Ok(Mapping { map, start }) = mapped else {
            handle_alloc_error(Layout::array::<T>(capacity).unwrap_or(Layout::new::<T>()))
        };
        Self { items: start.cast(), length: 0, capacity, _map: Some(map) }
    }

    /// How many items it has room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds an item behind the others.
    ///
    /// # Errors
    /// Gives the item back when there is no more room.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.length == self.capacity {
            return Err(item);
        }
        // SAFETY: `length` is below `capacity`, and the mapping has room for so many items behind `items`.
        let place = unsafe { self.items.add(self.length) };
        // SAFETY: the place lies in the mapping, is aligned (the mapping's start is to a page, `FITS`), and holds no item yet.
        unsafe { place.write(item) };
        self.length += 1;
        Ok(())
    }
}

impl<T: Clone> LargeVec<T> {
    /// So many items like this one, without room for more.
    #[must_use]
    pub fn filled(count: usize, item: &T) -> Self {
        let mut vector = Self::with_capacity(count);
        while vector.push(item.clone()).is_ok() {}
        vector
    }
}

impl<T> Deref for LargeVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the first `length` items were written and are aligned; nobody changes them while `self` is borrowed.
        unsafe { slice::from_raw_parts(self.items.as_ptr(), self.length) }
    }
}

impl<T> DerefMut for LargeVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed by one alone.
        unsafe { slice::from_raw_parts_mut(self.items.as_ptr(), self.length) }
    }
}

impl<T> Drop for LargeVec<T> {
    fn drop(&mut self) {
        // SAFETY: the items are dropped once, before the mapping goes, and nobody sees them afterwards.
        unsafe { std::ptr::drop_in_place::<[T]>(&mut **self) };
    }
}

impl<T> Default for LargeVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for LargeVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeVec").field("length", &self.length).field("capacity", &self.capacity).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::pages::HUGE;

    #[test]
    fn items_stay_where_they_are_and_no_more_come_than_there_is_room_for() {
        for capacity in [0, 1, 100, 1 << 19] {
            let mut vector = LargeVec::with_capacity(capacity);
            let start = vector.as_ptr();
            for number in 0..capacity {
                assert_eq!(vector.push(number as u64), Ok(()));
            }
            assert_eq!(vector.push(7), Err(7));
            assert_eq!((vector.len(), vector.capacity(), vector.as_ptr()), (capacity, capacity, start));
            assert!(vector.iter().copied().eq(0..capacity as u64));
            vector.iter_mut().for_each(|number| *number += 1);
            assert_eq!(vector.last().copied().unwrap_or(0), capacity as u64);
        }
    }

    #[test]
    fn large_ones_begin_at_a_huge_page_and_small_ones_at_a_page() {
        let vector = LargeVec::<u64>::with_capacity(1 << 20);
        assert_eq!(vector.as_ptr().addr() % HUGE, 0);
        let vector = LargeVec::<[u8; 64]>::with_capacity(3);
        assert_eq!(vector.as_ptr().addr() % PAGE, 0);
    }

    #[test]
    fn every_item_is_dropped_once() {
        let item = Rc::new(());
        let vector = LargeVec::filled(5, &item);
        assert_eq!((vector.len(), Rc::strong_count(&item)), (5, 6));
        drop(vector);
        assert_eq!(Rc::strong_count(&item), 1);
        assert_eq!(LargeVec::<Rc<()>>::default().len(), 0);
    }

    #[test]
    fn room_costs_nothing_before_it_is_used() {
        // More than any machine has.
        let vector = LargeVec::<u64>::with_capacity(1 << 33);
        assert_eq!((vector.len(), vector.capacity()), (0, 1 << 33));
    }
}
