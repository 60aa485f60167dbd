//! The conformance suite on `nixl_store_dynamic` with the real NIXL: both queues, buffered and direct, flat and sharded.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails by panicking")]

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use l2_config::{Backend, Durability, DynamicConfig, Integrity};
use l2_core::ObjectKey;
use l2_core::testing::{Damage, Factory, Opened, Options};
use l2_dynamic::DynamicAdapter;
use l2_index::paths::{Layout, key_to_path};
use l2_memory::Region;
use nixl_safe::Nixl;
use tempfile::TempDir;

/// Makes dynamic adapters, each in a directory of its own.
struct Dynamic {
    direct: bool,
    sharded: bool,
    uring: bool,
    /// With a checksum, a layout tag, flushes and room for others.
    careful: bool,
    places: Mutex<Vec<TempDir>>,
}

impl Dynamic {
    const fn new(direct: bool, sharded: bool, uring: bool) -> Self {
        Self { direct, sharded, uring, careful: false, places: Mutex::new(Vec::new()) }
    }

    const fn careful(sharded: bool) -> Self {
        Self { direct: false, sharded, uring: false, careful: true, places: Mutex::new(Vec::new()) }
    }

    fn latest(&self) -> PathBuf {
        self.places.lock().unwrap().last().expect("an adapter was opened").path().join("l2")
    }

    fn open_latest(&self, options: Options) -> Opened {
        let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
        nixl.silence();
        let mut config = DynamicConfig::new(Backend::Posix, self.latest(), options.capacity_bytes);
        config.use_direct_io = self.direct;
        config.shard_dirs = self.sharded;
        if self.uring {
            config.plugin_params.set("use_uring", "true");
        }
        if self.careful {
            config.integrity = Integrity::Checksum;
            config.layout_tag = Some("tag".to_owned());
            config.durability = Durability::Fsync;
            config.min_free = 1 << 20;
        }
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let adapter = DynamicAdapter::open(nixl, &config, &l1).unwrap();
        Opened { adapter: Arc::new(adapter), l1 }
    }
}

impl Factory for Dynamic {
    fn open(&self, options: Options) -> Opened {
        // Beside the build, which is on a disk: direct I/O is not to be had on every temporary file system.
        self.places.lock().unwrap().push(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        self.open_latest(options)
    }

    fn reopen(&self, options: Options) -> Option<Opened> {
        Some(self.open_latest(options))
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        let layout = if self.sharded { Layout::Sharded } else { Layout::Flat };
        let path = self.latest().join(key_to_path(key, layout));
        match damage {
            Damage::Gone => fs::remove_file(path).unwrap(),
            Damage::Cut | Damage::Empty => {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                let length = file.metadata().unwrap().len();
                file.set_len(if damage == Damage::Cut { length / 2 } else { 0 }).unwrap();
            }
        }
        true
    }

    fn length_step(&self) -> Option<usize> {
        Some(if self.direct { 4096 } else { 1 })
    }
}

mod buffered {
    use super::Dynamic;
    l2_core::conformance_suite!(Dynamic::new(false, false, false));
}

mod direct_and_sharded {
    use super::Dynamic;
    l2_core::conformance_suite!(Dynamic::new(true, true, false));
}

mod io_uring {
    use super::Dynamic;
    l2_core::conformance_suite!(Dynamic::new(false, true, true));
}

mod careful_and_sharded {
    use super::Dynamic;
    l2_core::conformance_suite!(Dynamic::careful(true));
}

mod direct_io_uring {
    use super::Dynamic;
    l2_core::conformance_suite!(Dynamic::new(true, false, true));
}
