//! The pages that memory of ours lies in.

use std::io;
use std::ptr::NonNull;

use memmap2::{Advice, MmapMut, MmapOptions};

/// Bytes of an ordinary page.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a huge page of the machines that have any.
pub(crate) const HUGE: usize = 1 << HUGE_BITS;
const HUGE_BITS: u8 = 21;

/// The pages that back a region made by [`Region::allocate_with`](crate::Region::allocate_with).
///
/// A device is handed a list of pieces of memory, and pages that do not lie beside each other are a piece each: direct I/O
/// into huge pages can be twice as fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HugePages {
    /// Ordinary pages of 4 KiB, whatever the kernel does for others (`madvise(MADV_NOHUGEPAGE)`).
    No,
    /// Pages of 2 MiB where the kernel has them (`madvise(MADV_HUGEPAGE)`) and the region has as much; never an error. The first
    /// byte that is written to such a page takes all of it, and the kernel may fill up later what was written here and there.
    #[default]
    Transparent,
    /// Pages of 2 MiB from the kernel's reserved pool (`vm.nr_hugepages`); an error where there are too few.
    Reserved2MiB,
}

/// Memory from the kernel, zeroed, and where in it the caller's begins.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) map: MmapMut,
    /// At the multiple that was asked for, with as much behind it as was asked for.
    pub(crate) start: NonNull<u8>,
}

impl Mapping {
    /// Maps `length` bytes from a multiple of `alignment` on; where they are to be in huge pages, from the first byte on.
    /// `options` are all but the length.
    pub(crate) fn new(
        length: usize,
        alignment: usize,
        pages: HugePages,
        options: &mut MmapOptions,
    ) -> io::Result<Self> {
        if length == 0 {
            // memmap2 would map a page for it.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let joined = pages == HugePages::Transparent && length >= HUGE;
        let (multiple, given, whole) = match pages {
            HugePages::Reserved2MiB => {
                options.huge(Some(HUGE_BITS));
                // The kernel gives whole pages, and takes nothing less back.
                (alignment, HUGE, length.checked_next_multiple_of(HUGE))
            }
            _ => (if joined { alignment.max(HUGE) } else { alignment }, PAGE, Some(length)),
        };
        let spare = if multiple > given { multiple } else { 0 };
        let mapped = whole.and_then(|whole| whole.checked_add(spare)).ok_or(io::ErrorKind::InvalidInput)?;
        let mut map = options.len(mapped).map_anon()?;
        let first = map.as_mut_ptr();
        let skipped = first.addr().next_multiple_of(multiple) - first.addr();
        // A kernel that joins no pages refuses to be told; ordinary ones are as correct.
        let _ = match pages {
            // All of it, so that mappings beside each other are one to the kernel, which counts them.
            HugePages::Transparent if joined => map.advise(Advice::HugePage),
            HugePages::No => map.advise(Advice::NoHugePage),
            _ => Ok(()),
        };
        let start = NonNull::new(first.wrapping_add(skipped));
        let start = start.ok_or_else(|| io::Error::other("the mapping is at address 0"))?;
        Ok(Self { map, start })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{HUGE, PAGE};
    use crate::{HugePages, MemoryError, Region};

    #[test]
    fn no_region_is_empty() {
        for pages in [HugePages::No, HugePages::Transparent] {
            let error = Region::allocate_with(0, pages).unwrap_err();
            assert!(error.to_string().contains("at least 1 byte"), "{error}");
        }
    }

    #[test]
    fn reserved_huge_pages_are_given_or_refused_with_the_setting_to_change() {
        // Of a length that is no multiple: all of a page is given, and taken back.
        match Region::allocate_with(HUGE - 1, HugePages::Reserved2MiB) {
            Ok(region) => assert_eq!((region.base().addr() % HUGE, region.len()), (0, HUGE - 1)),
            Err(error) => assert!(error.to_string().contains("vm.nr_hugepages"), "{error}"),
        }
    }

    #[test]
    fn the_kernel_is_told_which_pages_it_may_join() {
        if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return;
        }
        let has = |region: &Region, wanted| flags(region.base().addr()).split(' ').any(|flag| flag == wanted);
        for length in [HUGE, HUGE + 1, 3 * HUGE - PAGE, 8 * HUGE] {
            for region in [Region::allocate(length), Region::allocate_aligned(length, 64 << 10)] {
                let region = region.unwrap();
                assert!(has(&region, "hg"), "{length}");
                assert!(region.base().addr().is_multiple_of(HUGE), "{length}");
            }
        }
        for region in [Region::allocate(HUGE - PAGE), Region::allocate_aligned(PAGE, 4 * HUGE)] {
            assert!(!has(&region.unwrap(), "hg"));
        }
        let ordinary = Region::allocate_with(8 * HUGE, HugePages::No).unwrap();
        assert!(has(&ordinary, "nh") && !has(&ordinary, "hg"));
    }

    #[test]
    fn what_is_too_long_is_refused_with_what_was_asked_for() {
        for pages in [HugePages::No, HugePages::Transparent, HugePages::Reserved2MiB] {
            for length in [usize::MAX, usize::MAX - HUGE, isize::MAX.unsigned_abs()] {
                let error = Region::allocate_with(length, pages).unwrap_err();
                assert!(matches!(error, MemoryError::Map { bytes, .. } if bytes == length), "{error}");
            }
        }
    }

    /// What the kernel says of the mapping that an address lies in.
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_it = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let hex = |text| usize::from_str_radix(text, 16).ok();
            if let Some((Some(start), Some(end))) = range.map(|(start, end)| (hex(start), hex(end))) {
                is_it = (start..end).contains(&address);
            } else if is_it && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.to_owned();
            }
        }
        panic!("nothing is mapped at {address:#x}");
    }
}
