//! The conformance suite on `nixl_store` with the real NIXL, on files: both queues, buffered and direct.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails by panicking")]

use std::sync::{Arc, Mutex};

use l2_config::{Backend, FileStorage, StaticConfig};
use l2_core::testing::{Factory, Opened, Options};
use l2_memory::Region;
use l2_static::StaticAdapter;
use nixl_safe::Nixl;
use tempfile::TempDir;

/// Makes pools of files, each in a directory of its own.
struct Static {
    direct: bool,
    uring: bool,
    /// The most pages of a file: with one, an object lies in as many files as it has pages.
    pages: u64,
    places: Mutex<Vec<TempDir>>,
}

const PAGE: u64 = 4096;

impl Static {
    const fn new(direct: bool, uring: bool, pages: u64) -> Self {
        Self { direct, uring, pages, places: Mutex::new(Vec::new()) }
    }
}

impl Factory for Static {
    fn open(&self, options: Options) -> Opened {
        let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
        nixl.silence();
        // Beside the build, which is on a disk: direct I/O is not to be had on every temporary file system.
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // The largest file of which a whole number makes the capacity.
        let all = options.capacity_bytes / PAGE;
        let pages = (1..=self.pages).rev().find(|pages| all.is_multiple_of(*pages)).unwrap();
        let mut config = StaticConfig::new(Backend::Posix, all / pages);
        config.slot_bytes = Some(pages * PAGE);
        let mut file = FileStorage::new(place.path().join("pool"));
        file.use_direct_io = self.direct;
        config.file = Some(file);
        if self.uring {
            config.plugin_params.set("use_uring", "true");
        }
        self.places.lock().unwrap().push(place);
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let adapter = StaticAdapter::open(nixl, &config, &l1, None).unwrap();
        Opened { adapter: Arc::new(adapter), l1 }
    }

    fn length_step(&self) -> Option<usize> {
        Some(4096)
    }
}

mod buffered {
    use super::Static;
    l2_core::conformance_suite!(Static::new(false, false, 64));
}

mod direct {
    use super::Static;
    l2_core::conformance_suite!(Static::new(true, false, 64));
}

mod a_file_for_each_page {
    use super::Static;
    l2_core::conformance_suite!(Static::new(false, false, 1));
}

mod direct_io_uring {
    use super::Static;
    l2_core::conformance_suite!(Static::new(true, true, 1000));
}
