//! Advice to keep large memory in large pages.

use std::mem::MaybeUninit;

use rustix::mm::{Advice, madvise};

/// A huge page of the machines that have any, in bytes.
const HUGE: usize = 2 << 20;

/// Asks the kernel to use huge pages for memory that is large and read here and there, such as the room of a table: the
/// processor then finds its way there without reading page tables, which can take longer than the memory itself. Ask before
/// the memory is used. A hint: where it is not heeded, or the memory is small, nothing changes.
pub fn prefer_huge_pages<T>(memory: &[MaybeUninit<T>]) {
    let start = memory.as_ptr().cast::<u8>();
    let ahead = start.addr().next_multiple_of(HUGE) - start.addr();
    let whole = size_of_val(memory).saturating_sub(ahead) / HUGE * HUGE;
    if whole == 0 {
        return;
    }
    let pages = start.wrapping_add(ahead).cast_mut().cast();
    // SAFETY: the range lies within `memory`, which is borrowed, and so is mapped throughout; this advice changes neither
    // what the memory holds nor who may use it.
    let advised = unsafe { madvise(pages, whole, Advice::LinuxHugepage) };
    // A kernel without huge pages refuses.
    let _ = advised;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_any_length_can_be_asked_for_and_holds_what_it_held() {
        let mut numbers: Vec<u64> = Vec::with_capacity(1 << 20);
        prefer_huge_pages(numbers.spare_capacity_mut());
        numbers.extend(0..1 << 20);
        prefer_huge_pages(numbers.spare_capacity_mut());
        assert!(numbers.iter().copied().eq(0..1 << 20));
        prefer_huge_pages::<u8>(&[]);
        prefer_huge_pages(&[MaybeUninit::<u8>::uninit(); 10]);
    }
}
