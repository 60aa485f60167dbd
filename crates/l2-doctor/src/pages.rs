//! Whether L1 can lie in huge pages, where direct I/O makes that matter.

use std::fs;
use std::path::Path;

use l2_config::Backend;

use crate::finding::Finding;
use crate::subject::Subject;

const HUGE_PAGES: &str = "huge pages";

/// What the kernel says of it. A word in brackets is the one that is chosen.
#[derive(Debug)]
struct Kernel {
    /// `transparent_hugepage/enabled`.
    setting: String,
    /// The same for pages of the usual huge size alone, in newer kernels.
    by_size: String,
    /// That size.
    kib: u64,
    /// `/proc/self/status`.
    status: String,
}

/// Only for direct I/O out of main memory: cuFile and 3FS pin what they move, and L1 may be a GPU's.
pub(crate) fn look(subject: &Subject) -> Option<Finding> {
    let matters = subject.is_direct() && subject.config.backend() == Backend::Posix;
    matters.then(|| huge_pages(&Kernel::ask()))
}

impl Kernel {
    /// Nothing where it cannot be read.
    fn ask() -> Self {
        let of_huge = Path::new("/sys/kernel/mm/transparent_hugepage");
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let bytes: u64 = read(&of_huge.join("hpage_pmd_size")).trim().parse().unwrap_or_default();
        Self {
            setting: read(&of_huge.join("enabled")),
            by_size: read(&of_huge.join(by_size(bytes >> 10))),
            kib: bytes >> 10,
            status: read(Path::new("/proc/self/status")),
        }
    }
}

/// The file with the setting for pages of one size alone.
fn by_size(kib: u64) -> String {
    format!("hugepages-{kib}kB/enabled")
}

fn huge_pages(kernel: &Kernel) -> Finding {
    const SLOW: &str = "each page of L1 can be a piece of its own for the disk, and loads half as fast";
    let is_off_here = kernel.status.lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| name == "THP_enabled" && value.trim() == "0")
    });
    if is_off_here {
        let text = format!("switched off for this process (PR_SET_THP_DISABLE): {SLOW}");
        return Finding::warning(HUGE_PAGES, text, "see who starts it, and have it not do that");
    }
    let chosen = |setting: &str| setting.split(['[', ']']).nth(1).map(str::to_owned);
    let of_size = chosen(&kernel.by_size).filter(|word| word != "inherit");
    let file = if of_size.is_some() { by_size(kernel.kib) } else { "enabled".to_owned() };
    match of_size.or_else(|| chosen(&kernel.setting)).as_deref() {
        Some("always") => Finding::ok(HUGE_PAGES, "always: L1 can lie in them"),
        Some("madvise") => {
            Finding::ok(HUGE_PAGES, "madvise: an L1 of ours can lie in them, a host's where it asks for them")
        }
        Some(word) => Finding::warning(
            HUGE_PAGES,
            format!("{word}: {SLOW}"),
            format!(
                "as root (for a container, on its host) at each boot, write madvise to \
                 /sys/kernel/mm/transparent_hugepage/{file}"
            ),
        ),
        None => {
            Finding::ok(HUGE_PAGES, "not known: nothing can be read in /sys/kernel/mm/transparent_hugepage")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;
    use l2_config::DynamicConfig;

    #[track_caller]
    fn check(setting: &str, by_size: &str, status: &str, state: State, says: &str) {
        let kernel = Kernel {
            setting: setting.to_owned(),
            by_size: by_size.to_owned(),
            kib: 2048,
            status: status.to_owned(),
        };
        let finding = huge_pages(&kernel);
        assert_eq!(finding.state, state, "{finding}");
        assert!(finding.to_string().contains(says), "{finding}");
    }

    #[test]
    fn who_gets_no_huge_pages_is_told() {
        let (always, madvise, never) =
            ("[always] madvise never\n", "always [madvise] never\n", "always madvise [never]\n");
        let inherits = "always [inherit] madvise never\n";
        check(always, inherits, "THP_enabled:\t1\n", State::Ok, "always");
        check(madvise, "", "", State::Ok, "where it asks");
        check(never, "", "", State::Warning, "madvise to /sys/kernel/mm/transparent_hugepage/enabled");
        check(never, "always inherit [madvise] never\n", "", State::Ok, "madvise");
        check(always, "always inherit madvise [never]\n", "", State::Warning, "hugepages-2048kB/enabled");
        check(always, "", "Name:\tx\nTHP_enabled:\t0\n", State::Warning, "PR_SET_THP_DISABLE");
        check("", "", "", State::Ok, "not known");
    }

    #[test]
    fn it_matters_to_direct_io_out_of_main_memory() {
        let look = |backend, is_direct| {
            let mut config = DynamicConfig::new(backend, "/x", 1 << 30);
            config.use_direct_io = is_direct;
            look(&Subject { config: config.into(), object_bytes: None })
        };
        assert!(look(Backend::Posix, true).is_some());
        assert!(look(Backend::Posix, false).is_none() && look(Backend::Gds, true).is_none());
    }
}
