//! Adapters with eviction, opened through the facade.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use l2_core::testing::{Factory, Host, Opened, Options};
use nixl_l2::{AdapterConfig, ErrorKind, Nixl, OpenOptions, Quotas, Region, StoreReport};
use tempfile::TempDir;

pub(crate) const OBJECT: usize = 4096;
/// What evicts from eight tenths on, two tenths at a time.
pub(crate) const LRU: &str = r#"{"eviction_policy": "LRU", "trigger_watermark": 0.8, "eviction_ratio": 0.2}"#;

/// The two adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file for each object.
    Files,
    /// A pool of files.
    Pool,
}

/// How adapters are opened, each in a directory of its own.
#[derive(Debug)]
pub(crate) struct Setup {
    kind: Kind,
    /// The value of `"eviction"`.
    eviction: Option<String>,
    quotas: Quotas,
    /// Where there is one: a disk is slow at making files.
    memory: bool,
    places: Mutex<Vec<TempDir>>,
}

impl Setup {
    pub(crate) fn both() -> [Self; 2] {
        [Kind::Files, Kind::Pool].map(Self::of)
    }

    /// Without eviction.
    pub(crate) fn of(kind: Kind) -> Self {
        Self { kind, eviction: None, quotas: Quotas::new(), memory: false, places: Mutex::default() }
    }

    pub(crate) fn evicting(mut self, eviction: &str) -> Self {
        self.eviction = Some(eviction.to_owned());
        self
    }

    pub(crate) fn with(mut self, quotas: &Quotas) -> Self {
        self.quotas = quotas.clone();
        self
    }

    /// On a file system in memory, where there is one.
    pub(crate) fn in_memory(self) -> Self {
        Self { memory: true, ..self }
    }

    /// The cache directory of the host that was opened last.
    #[track_caller]
    pub(crate) fn directory(&self) -> PathBuf {
        self.places.lock().unwrap().last().expect("one was opened").path().join("l2")
    }

    /// Room for so many objects, and L1 for many more.
    #[track_caller]
    pub(crate) fn host(&self, objects: usize) -> Host {
        let capacity_bytes = (objects * OBJECT) as u64;
        Host::with(self, Options { capacity_bytes, object_bytes: OBJECT, l1_bytes: 16 << 20 })
    }

    fn config(&self, capacity_bytes: u64) -> AdapterConfig {
        let memory = Path::new("/dev/shm");
        let parent =
            if self.memory && memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let place = tempfile::tempdir_in(parent).unwrap();
        let path = place.path().join("l2");
        let mut json = match self.kind {
            Kind::Files => format!(
                r#"{{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params":
                    {{"file_path": {path:?}, "use_direct_io": "false", "max_capacity_gb": {}}}"#,
                capacity_bytes as f64 / f64::from(1 << 30)
            ),
            Kind::Pool => {
                // As few files as the process may have open anyway.
                let objects = capacity_bytes / OBJECT as u64;
                let files = (1..=50).rev().find(|files| objects.is_multiple_of(*files)).unwrap();
                format!(
                    r#"{{"type": "nixl_store", "backend": "POSIX", "pool_size": {files}, "backend_params":
                        {{"file_path": {path:?}, "use_direct_io": "false", "file_size": {}}}"#,
                    capacity_bytes / files
                )
            }
        };
        if let Some(eviction) = &self.eviction {
            write!(json, r#", "eviction": {eviction}"#).unwrap();
        }
        json.push('}');
        self.places.lock().unwrap().push(place);
        AdapterConfig::parse(&json).unwrap_or_else(|faults| panic!("{faults}\nin {json}"))
    }
}

impl Factory for Setup {
    fn open(&self, options: Options) -> Opened {
        Nixl::load().expect("NIXL is installed: run `cargo xtask setup`").silence();
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let config = self.config(options.capacity_bytes);
        let more = OpenOptions::default().quotas(&self.quotas);
        let adapter = nixl_l2::open_with(&config, &l1, &more).unwrap();
        assert_eq!(adapter.usage().capacity_bytes, options.capacity_bytes);
        Opened { adapter, l1 }
    }
}

/// The errors of a store, all of which must be for lack of room, with what they say.
#[track_caller]
pub(crate) fn full(report: &StoreReport) -> Vec<String> {
    let failures = report.failures().map(|(_, error)| {
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        error.to_string()
    });
    failures.collect()
}

/// Panics if anything was not stored.
#[track_caller]
pub(crate) fn all_stored(report: &StoreReport) {
    let failed: Vec<_> = report.failures().map(|(_, error)| error.to_string()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), report.outcomes.len(), failed.first());
}
