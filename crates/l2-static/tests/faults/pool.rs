//! A directory for a pool, the adapters on it, and what can be seen of them from outside.

use std::fs;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use l2_config::{Backend, FileStorage, StaticConfig};
use l2_core::testing::{Factory, Host, Opened, Options};
use l2_core::{L2Error, ObjectKey, Stored};
use l2_memory::Region;
use l2_static::StaticAdapter;
use nixl_safe::Nixl;
use tempfile::TempDir;

/// A small disk in memory. It is full at exactly 8 MiB.
pub(crate) const TMPFS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";

/// The page of L1, and of the pools.
pub(crate) const PAGE: usize = 4096;

/// A directory, and how pools are opened in it.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) config: StaticConfig,
    _home: Option<Arc<TempDir>>,
}

impl Pool {
    /// So many files of a page, in a place of their own, on a disk rather than in memory.
    pub(crate) fn fresh(files: u64) -> Self {
        let home = home();
        let pool = Self::at(&home.path().join("l2"), files);
        Self { _home: Some(Arc::new(home)), ..pool }
    }

    pub(crate) fn at(path: &Path, files: u64) -> Self {
        let mut config = StaticConfig::new(Backend::Posix, files);
        config.file = Some(FileStorage::new(path));
        Self { config, _home: None }
    }

    /// Files of so many bytes.
    pub(crate) fn of(mut self, file_bytes: usize) -> Self {
        self.config.slot_bytes = Some(file_bytes as u64);
        self
    }

    pub(crate) fn direct(mut self, direct: bool) -> Self {
        self.config.file.as_mut().unwrap().use_direct_io = direct;
        self
    }

    pub(crate) fn uring(mut self, uring: bool) -> Self {
        if uring {
            self.config.plugin_params.set("use_uring", "true");
        }
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.config.engine.workers = Some(workers);
        self
    }

    /// Pins end by themselves after this.
    pub(crate) fn pins_end_after(mut self, time: Option<Duration>) -> Self {
        self.config.pin_ttl = time;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.config.file.as_ref().unwrap().file_path
    }

    /// Bytes of a file.
    pub(crate) fn file_bytes(&self) -> usize {
        self.config.slot_bytes.map_or(PAGE, |bytes| usize::try_from(bytes).unwrap())
    }

    /// Bytes of the whole pool.
    pub(crate) fn capacity(&self) -> usize {
        usize::try_from(self.config.pool_size).unwrap() * self.file_bytes()
    }

    pub(crate) fn try_open(&self) -> Result<StaticAdapter, L2Error> {
        self.open_with(&Region::allocate(PAGE).unwrap())
    }

    fn open_with(&self, l1: &Region) -> Result<StaticAdapter, L2Error> {
        let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
        nixl.silence();
        StaticAdapter::open(nixl, &self.config, l1, None)
    }

    /// A host whose ordinary objects have a page, with so many bytes of L1.
    #[track_caller]
    pub(crate) fn host(&self, l1_bytes: usize) -> Host {
        let capacity_bytes = self.capacity() as u64;
        let host = Host::with(self, Options { capacity_bytes, object_bytes: PAGE, l1_bytes });
        assert_eq!(host.adapter.usage().capacity_bytes, capacity_bytes);
        host
    }

    /// This process's descriptors of the pool's files.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let ours = |(_, target): &(RawFd, PathBuf)| target.starts_with(self.path());
        open_files().into_iter().filter(ours).map(|(number, _)| number).collect()
    }

    /// The names of all that can be seen in the directory; none where it does not exist.
    pub(crate) fn visible(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Factory for Pool {
    fn open(&self, options: Options) -> Opened {
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let adapter = self.open_with(&l1).unwrap();
        Opened { adapter: Arc::new(adapter), l1 }
    }
}

/// A directory beside the build, which is on a disk.
pub(crate) fn home() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// What this process has open, and where it is.
pub(crate) fn open_files() -> Vec<(RawFd, PathBuf)> {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    // One that another thread has closed meanwhile is gone.
    let open = all.filter_map(|entry| {
        Some((entry.file_name().to_str()?.parse().ok()?, entry.path().read_link().ok()?))
    });
    open.filter(|(_, target): &(_, PathBuf)| !target.ends_with("fd")).collect()
}

/// Bytes that are free on the file system of this directory.
pub(crate) fn free_bytes(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bfree * stat.f_frsize
}

/// Bytes in whole pages.
pub(crate) fn rounded(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

/// Stores one object, and says what became of it.
#[track_caller]
pub(crate) fn store_of(host: &Host, key: &ObjectKey, bytes: usize) -> Result<Stored, L2Error> {
    let mut report = host.store_items(vec![host.item_of(key, bytes)]);
    report.outcomes.remove(0).result
}

/// Stores one object, which must be written.
#[track_caller]
pub(crate) fn must_store_of(host: &Host, key: &ObjectKey, bytes: usize) {
    let stored = store_of(host, key, bytes);
    assert!(
        matches!(stored, Ok(Stored::Written { bytes: all }) if all == bytes as u64),
        "{bytes}: {stored:?}"
    );
}

/// Loads one object, which must come back byte for byte.
#[track_caller]
pub(crate) fn must_load_of(host: &Host, key: &ObjectKey, bytes: usize) {
    let report = host.load_items(vec![host.blank_of(key, bytes)]);
    assert!(report.outcomes[0].result.is_ok(), "{bytes}: {report:?}");
}

/// The number that follows `label` in a message.
#[track_caller]
pub(crate) fn number_after(text: &str, label: &str) -> u64 {
    let (_, rest) = text.split_once(label).unwrap_or_else(|| panic!("no {label:?} in: {text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {label:?} in: {text}"))
}
