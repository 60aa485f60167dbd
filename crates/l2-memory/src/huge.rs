//! Advice to keep large memory in large pages.

use std::mem::MaybeUninit;

use rustix::mm::{Advice, madvise};
use rustix::param;

/// A huge page of the machines that have any, in bytes.
const HUGE: usize = 2 << 20;

/// Asks the kernel to use huge pages for memory that is large and read here and there, such as the room of a table: the
/// processor then finds its way there without reading page tables, which can take longer than the memory itself. Ask before
/// the memory is used. A hint: where it is not heeded, or the memory is small, nothing changes.
pub fn prefer_huge_pages<T>(memory: &[MaybeUninit<T>]) {
    let start = memory.as_ptr().cast::<u8>();
    // With the page in which it begins: allocators put a few bytes of theirs before large memory, and would cost it its first
    // huge page.
    let before = start.addr() % param::page_size();
    let length = before + size_of_val(memory);
    if length < HUGE {
        return;
    }
    let pages = start.wrapping_sub(before).cast_mut().cast();
    // SAFETY: each page of the range holds some of `memory`, which is borrowed, and so is mapped; this advice changes neither
    // what memory holds nor who may use it, also not that of others on the first page and the last.
    let advised = unsafe { madvise(pages, length, Advice::LinuxHugepage) };
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
