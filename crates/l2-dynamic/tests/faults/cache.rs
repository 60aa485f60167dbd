//! A cache directory, the adapters on it, and what is on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use l2_config::{Backend, DynamicConfig};
use l2_core::testing::{Factory, Host, Opened, Options};
use l2_core::{L2Error, ObjectKey};
use l2_dynamic::DynamicAdapter;
use l2_index::paths::{Layout, key_to_path, path_to_key};
use l2_memory::Region;
use nixl_safe::Nixl;
use tempfile::TempDir;

/// Where the adapter writes files that have a name before they are whole.
pub(crate) const TEMPORARIES: &str = ".nixl-l2";

/// A directory, and how adapters are opened on it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    pub(crate) config: DynamicConfig,
    /// Length of an ordinary object.
    pub(crate) object_bytes: usize,
    _home: Option<Arc<TempDir>>,
}

impl Cache {
    /// In a place of its own, on a disk rather than in memory.
    pub(crate) fn fresh() -> Self {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let cache = Self::at(&home.path().join("l2"));
        Self { _home: Some(Arc::new(home)), ..cache }
    }

    pub(crate) fn at(path: &Path) -> Self {
        let config = DynamicConfig::new(Backend::Posix, path, 1);
        Self { config, object_bytes: 4096, _home: None }
    }

    pub(crate) fn sharded(mut self) -> Self {
        self.config.shard_dirs = true;
        self
    }

    pub(crate) fn direct(mut self) -> Self {
        self.config.use_direct_io = true;
        self
    }

    pub(crate) fn uring(mut self) -> Self {
        self.config.plugin_params.set("use_uring", "true");
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.config.engine.workers = Some(workers);
        self
    }

    /// Whose objects stay when the adapter closes, or do not.
    pub(crate) fn persisting(mut self, persist: bool) -> Self {
        self.config.persist_enabled = persist;
        self
    }

    /// Pins end by themselves after this.
    pub(crate) fn pins_end_after(mut self, time: Option<Duration>) -> Self {
        self.config.pin_ttl = time;
        self
    }

    pub(crate) fn objects_of(mut self, bytes: usize) -> Self {
        self.object_bytes = bytes;
        self
    }

    /// A host of an adapter for so many ordinary objects.
    #[track_caller]
    pub(crate) fn host(&self, objects: usize) -> Host {
        Host::open(self, objects)
    }

    pub(crate) fn try_open(&self) -> Result<DynamicAdapter, L2Error> {
        self.open_with(1 << 30, &Region::allocate(4096).unwrap())
    }

    fn open_with(&self, capacity: u64, l1: &Region) -> Result<DynamicAdapter, L2Error> {
        let mut config = self.config.clone();
        config.max_capacity = capacity;
        DynamicAdapter::open(nixl(), &config, l1)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.config.file_path
    }

    /// The file of a key.
    pub(crate) fn file(&self, key: &ObjectKey) -> PathBuf {
        let layout = if self.config.shard_dirs { Layout::Sharded } else { Layout::Flat };
        self.path().join(key_to_path(key, layout))
    }

    /// The paths, relative and in order, of all that is in the directory but directories.
    pub(crate) fn files(&self) -> Vec<String> {
        everything(self.path()).into_iter().filter(|path| !path.ends_with('/')).collect()
    }

    /// The keys of all files, each with its length; panics when a file is not an object.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<(ObjectKey, u64)> {
        let object = |path: String| {
            let key = path_to_key(Path::new(&path)).unwrap_or_else(|| panic!("{path} is not an object"));
            (key, fs::metadata(self.path().join(path)).unwrap().len())
        };
        self.files().into_iter().map(object).collect()
    }
}

impl Factory for Cache {
    fn open(&self, options: Options) -> Opened {
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let adapter = self.open_with(options.capacity_bytes, &l1).unwrap();
        Opened { adapter: Arc::new(adapter), l1 }
    }

    fn reopen(&self, options: Options) -> Option<Opened> {
        Some(self.open(options))
    }

    fn object_bytes(&self) -> usize {
        self.object_bytes
    }
}

pub(crate) fn nixl() -> Nixl {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    nixl.silence();
    nixl
}

/// The relative paths of all that is below a directory, in order; those of directories end in a slash.
pub(crate) fn everything(root: &Path) -> Vec<String> {
    fn below(root: &Path, relative: &str, all: &mut Vec<String>) {
        for entry in fs::read_dir(root.join(relative)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{relative}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                all.push(format!("{path}/"));
                below(root, &format!("{path}/"), all);
            } else {
                all.push(path);
            }
        }
    }
    let mut all = Vec::new();
    below(root, "", &mut all);
    all.sort();
    all
}

/// Waits until what an earlier run left is counted: so many objects, and so many bytes.
#[track_caller]
pub(crate) fn counted(host: &Host, objects: &[(ObjectKey, u64)]) {
    let bytes: u64 = objects.iter().map(|(_, bytes)| bytes).sum();
    host.eventually("what is on the disk is counted", || {
        let status = host.adapter.status();
        (status.stored_objects, status.usage.used_bytes) == (objects.len() as u64, bytes)
    });
}

/// Stores one object of another length than the ordinary, and says what became of it.
#[track_caller]
pub(crate) fn store_of(host: &Host, key: &ObjectKey, bytes: usize) -> Result<l2_core::Stored, L2Error> {
    host.store_items(vec![host.item_of(key, bytes)]).outcomes.remove(0).result
}

/// Loads objects of these lengths, each of which must come back byte for byte.
#[track_caller]
pub(crate) fn must_load_of(host: &Host, objects: &[(ObjectKey, u64)]) {
    for (key, bytes) in objects {
        let item = host.blank_of(key, usize::try_from(*bytes).unwrap());
        let outcome = host.load_items(vec![item]).outcomes.remove(0);
        assert!(outcome.result.is_ok(), "load of {key} of {bytes} bytes: {:?}", outcome.result);
    }
}

/// Closes, and says whether the files of exactly these keys are left.
#[track_caller]
pub(crate) fn close(host: Host) {
    host.adapter.close().unwrap();
}
