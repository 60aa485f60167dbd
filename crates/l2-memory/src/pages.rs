//! The pages that memory of ours lies in.

use memmap2::{Advice, MmapMut, MmapOptions};

use crate::error::MemoryError;

/// Bytes of an ordinary page.
pub(crate) const PAGE: usize = 4096;
const HUGE_2_MIB: u8 = 21;

/// The pages that back a region made by [`Region::allocate_with`](crate::Region::allocate_with).
///
/// A device is handed a list of pieces of memory, and pages that do not lie beside each other are a piece each: with direct
/// I/O an L1 in huge pages can be several times as fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HugePages {
    /// Ordinary pages of 4 KiB.
    No,
    /// Ordinary pages that the kernel may join into pages of 2 MiB (`madvise(MADV_HUGEPAGE)`), where there are 2 MiB or more;
    /// never an error. The first byte that is written in 2 MiB may then take all of them.
    #[default]
    Transparent,
    /// Pages of 2 MiB from the kernel's reserved pool (`vm.nr_hugepages`); an error where there are none.
    Reserved2MiB,
}

impl HugePages {
    /// Where what is mapped begins: a multiple of this.
    pub(crate) fn alignment(self) -> usize {
        match self {
            Self::Reserved2MiB => 1 << HUGE_2_MIB,
            Self::No | Self::Transparent => PAGE,
        }
    }

    /// Maps so many bytes, zeroed.
    pub(crate) fn map(self, length: usize) -> Result<MmapMut, MemoryError> {
        let mut options = MmapOptions::new();
        options.len(length);
        let hint = match self {
            Self::Reserved2MiB => {
                options.huge(Some(HUGE_2_MIB));
                "reserve enough 2 MiB pages in vm.nr_hugepages, or use ordinary pages"
            }
            Self::No | Self::Transparent => "ask for at least 1 byte and less than is free",
        };
        let failed = |source| MemoryError::Map { bytes: length, hint, source };
        if length == 0 {
            // memmap2 would map a page for it.
            return Err(failed(std::io::ErrorKind::InvalidInput.into()));
        }
        let map = options.map_anon().map_err(failed)?;
        if self == Self::Transparent && length >= 1 << HUGE_2_MIB {
            // A kernel without transparent huge pages answers with an error; ordinary pages are as correct.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{HugePages, Region};

    #[test]
    fn no_region_is_empty() {
        for pages in [HugePages::No, HugePages::Transparent] {
            let error = Region::allocate_with(0, pages).unwrap_err();
            assert!(error.to_string().contains("at least 1 byte"), "{error}");
        }
    }

    #[test]
    fn reserved_huge_pages_are_given_or_refused_with_the_setting_to_change() {
        match Region::allocate_with(2 << 20, HugePages::Reserved2MiB) {
            Ok(region) => assert_eq!(region.base().addr() % (2 << 20), 0),
            Err(error) => assert!(error.to_string().contains("vm.nr_hugepages"), "{error}"),
        }
    }

    #[test]
    fn the_kernel_is_told_which_pages_it_may_join() {
        let may_join = |region: &Region| flags(region.base().addr()).split(' ').any(|flag| flag == "hg");
        let has_huge_pages = Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(may_join(&Region::allocate(8 << 20).unwrap()), has_huge_pages);
        assert_eq!(may_join(&Region::allocate_aligned(8 << 20, 64 << 10).unwrap()), has_huge_pages);
        assert!(!may_join(&Region::allocate_with(8 << 20, HugePages::No).unwrap()));
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
