//! Adapters of many configurations, each on a directory of its own.
#![expect(
    clippy::panic,
    reason = "a trial that cannot open its cache fails by panicking, as the host it is for does"
)]

use std::path::{Path, PathBuf};

use l2_core::testing::fixtures::Seeded;
use l2_core::testing::{Factory, Host, Opened, Options};
use nixl_l2::{AdapterConfig, Nixl, Region};

/// L1 of a host.
const L1_BYTES: usize = 16 << 20;

/// A cache directory, and the JSON of the adapters on it.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    json: String,
    capacity_bytes: u64,
}

impl Cache {
    /// One of the configurations of `nixl_store_dynamic`, picked by a number: flat or sharded, buffered or direct, either
    /// queue, lengths or checksums, with or without flushes, LRU or ARC.
    pub fn dynamic(directory: &Path, capacity_bytes: u64, pick: u64) -> Self {
        let mut random = Seeded::new(pick);
        let mut one_of = |[one, other]: [&'static str; 2]| if random.below(2) == 0 { one } else { other };
        let json = format!(
            r#"{{"type": "nixl_store_dynamic", "backend": "POSIX", "integrity": "{}", "durability": "{}",
                "eviction": {{"eviction_policy": "{}", "trigger_watermark": 0.9, "eviction_ratio": 0.1}},
                "backend_params": {{"file_path": {directory:?}, "use_direct_io": {}, "shard_dirs": {}, "use_uring": {},
                    "max_capacity_gb": {}}}}}"#,
            one_of(["size", "checksum"]),
            one_of(["none", "fsync"]),
            one_of(["LRU", "ARC"]),
            one_of(["true", "false"]),
            one_of(["true", "false"]),
            one_of(["true", "false"]),
            capacity_bytes as f64 / f64::from(1 << 30),
        );
        Self { directory: directory.to_owned(), json, capacity_bytes }
    }

    /// As [`Cache::dynamic`], for faults of all kinds: always with checksums, for bytes are changed, too, and with a short
    /// time limit, for something may be stuck.
    pub fn for_faults(directory: &Path, capacity_bytes: u64, pick: u64) -> Self {
        let cache = Self::dynamic(directory, capacity_bytes, pick);
        let json = cache.json.replace(r#""integrity": "size""#, r#""integrity": "checksum""#);
        let json = json.replacen('{', r#"{"io_timeout_seconds": 0.5, "#, 1);
        Self { json, ..cache }
    }

    /// A pool (`nixl_store`) of so many files of 1 MiB, for faults as [`Cache::for_faults`].
    pub fn pool_for_faults(directory: &Path, files: u64) -> Self {
        let json = format!(
            r#"{{"type": "nixl_store", "backend": "POSIX", "integrity": "checksum", "io_timeout_seconds": 0.5,
                "eviction": {{"eviction_policy": "LRU", "trigger_watermark": 0.9, "eviction_ratio": 0.1}},
                "backend_params": {{"file_path": {directory:?}, "use_direct_io": false, "file_size": {}}},
                "pool_size": {files}}}"#,
            1 << 20
        );
        Self { directory: directory.to_owned(), json, capacity_bytes: files << 20 }
    }

    /// The adapter of this JSON on this directory.
    pub fn of(directory: &Path, json: &str, capacity_bytes: u64) -> Self {
        Self { directory: directory.to_owned(), json: json.to_owned(), capacity_bytes }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The JSON of its adapters.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Most bytes of an adapter on it.
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// A host of an adapter on it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn host(&self) -> Host {
        let options = Options { capacity_bytes: self.capacity_bytes, object_bytes: 4096, l1_bytes: L1_BYTES };
        Host::with(self, options)
    }
}

impl Factory for Cache {
    fn open(&self, options: Options) -> Opened {
        let nixl = Nixl::load().unwrap_or_else(|error| panic!("{error}"));
        nixl.silence();
        let config = AdapterConfig::parse(&self.json).unwrap_or_else(|faults| panic!("{faults}"));
        let l1 = Region::allocate(options.l1_bytes).unwrap_or_else(|error| panic!("{error}"));
        let adapter = nixl_l2::open(&config, &l1).unwrap_or_else(|error| panic!("{error}"));
        Opened { adapter, l1 }
    }
}
