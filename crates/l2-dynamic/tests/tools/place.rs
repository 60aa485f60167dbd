//! A cache directory of a test's own, objects put into it by hand, and all that is in it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use l2_core::{KeyScope, ObjectKey};
use l2_dynamic::tools::{CacheDirectory, Listing, ObjectFilter};
use l2_files::{Beside, Directory, Writing};
use l2_index::paths::{Layout, key_to_path};
use serde_json::json;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

/// The key of a chunk.
pub(crate) fn key(model: &str, salt: &str, hash: &[u8]) -> ObjectKey {
    KeyScope::new(model, 0, 0, salt).unwrap().key(hash).unwrap()
}

/// The objects of one tenant.
pub(crate) fn of_salt(salt: &str) -> ObjectFilter {
    ObjectFilter { cache_salt: Some(salt.to_owned()), ..ObjectFilter::default() }
}

/// A time, in seconds since 2020 or so.
pub(crate) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds)
}

/// A cache directory.
pub(crate) struct Place {
    path: PathBuf,
    _home: Option<TempDir>,
}

impl Place {
    /// In a place of its own, on the disk of the build.
    pub(crate) fn fresh() -> Self {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = home.path().join("l2");
        Self { _home: Some(home), ..Self::at(path) }
    }

    /// At a path; it is made.
    pub(crate) fn at(path: impl AsRef<Path>) -> Self {
        fs::create_dir_all(&path).unwrap();
        Self { path: path.as_ref().to_path_buf(), _home: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn full(&self, relative: &str) -> PathBuf {
        self.path.join(relative)
    }

    /// What is tested.
    pub(crate) fn tools(&self) -> CacheDirectory {
        CacheDirectory::open(&self.path).unwrap()
    }

    /// A file, with the directories on its way.
    pub(crate) fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.full(relative);
        // As an adapter makes them.
        DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// An object as LMCache writes it: bytes under a name. Its path.
    pub(crate) fn put(&self, key: &ObjectKey, layout: Layout, bytes: &[u8]) -> String {
        let relative = key_to_path(key, layout);
        self.write(&relative, bytes);
        relative
    }

    /// An object that was stored at a time.
    pub(crate) fn put_at(&self, key: &ObjectKey, layout: Layout, bytes: &[u8], when: SystemTime) -> String {
        let relative = self.put(key, layout, bytes);
        self.set_time(&relative, when);
        relative
    }

    pub(crate) fn set_time(&self, relative: &str, when: SystemTime) {
        let file = File::options().write(true).open(self.full(relative)).unwrap();
        file.set_modified(when).unwrap();
    }

    /// An object with a record, which speaks of these bytes.
    pub(crate) fn put_with_record(&self, key: &ObjectKey, layout: Layout, bytes: &[u8]) -> String {
        let relative = self.put(key, layout, bytes);
        self.keep(&relative, &record(key, bytes));
        relative
    }

    /// Keeps something beside a file, as an adapter does.
    pub(crate) fn keep(&self, relative: &str, bytes: &[u8]) {
        let directory = Directory::open(&self.path).unwrap();
        let beside = Beside::new(&directory, Writing::probe(&directory, false).unwrap(), false);
        let file = OwnedFd::from(File::options().write(true).open(self.full(relative)).unwrap());
        beside.write(&directory, &file, relative, bytes).unwrap();
    }

    /// All paths below, with what is there: kind, rights, time, bytes.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, String> {
        snapshot(&self.path)
    }

    /// What an adapter keeps for itself left out.
    pub(crate) fn visible(&self) -> BTreeMap<String, String> {
        let mut all = self.snapshot();
        all.retain(|path, _| !path.starts_with(".nixl-l2"));
        all
    }

    /// Everything that somebody else could have put there.
    pub(crate) fn put_foreign(&self) {
        for path in [
            "notes.txt",
            ".hidden/x.bin",
            "org--m_00000000_abcd.bin",
            "org--m_00000000_0_ABCD.bin",
            "ff/ff/org--m_00000000_0_abcd.bin",
            "ab/cd/notes.txt",
            "%1_model~/notes.txt",
            "deep/er/m_00000000_0_abcd.bin",
        ] {
            self.write(path, "not ours");
        }
        for path in ["empty", "ab/ef", "my", "full_00000000_0_abcd.bin"] {
            fs::create_dir_all(self.full(path)).unwrap();
        }
        symlink("notes.txt", self.full("m_00000000_0_77.bin")).unwrap();
        symlink("deep", self.full("ee")).unwrap();
    }
}

/// What an adapter keeps beside an object of these bytes.
pub(crate) fn record(key: &ObjectKey, bytes: &[u8]) -> Vec<u8> {
    record_of(key, bytes.len(), Some(format!("{:032x}", xxh3_128(bytes))))
}

pub(crate) fn record_of(key: &ObjectKey, bytes: usize, checksum: Option<String>) -> Vec<u8> {
    let mut record = json!({
        "v": 1, "bytes": bytes, "model_name": key.model_name(), "kv_rank": key.kv_rank(),
        "object_group_id": key.object_group_id(), "chunk_hash_hex": key.chunk_hash_hex(),
        "cache_salt": key.cache_salt(),
    });
    if let Some(checksum) = checksum {
        record["xxh3_128"] = json!(checksum);
    }
    record.to_string().into_bytes()
}

/// The paths that a listing has, each of whose parts must have been readable.
#[track_caller]
pub(crate) fn paths(listing: &Listing) -> Vec<String> {
    assert!(listing.failures.is_empty(), "{:?}", listing.failures);
    listing.objects.iter().map(|object| object.path.clone()).collect()
}

fn snapshot(root: &Path) -> BTreeMap<String, String> {
    fn below(root: &Path, relative: &str, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(root.join(relative)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{relative}{}", entry.file_name().to_str().unwrap());
            let found = entry.metadata().unwrap();
            let mode = found.permissions().mode();
            if found.is_dir() {
                all.insert(format!("{path}/"), format!("{mode:o}"));
                below(root, &format!("{path}/"), all);
            } else if found.is_file() {
                let bytes = xxh3_128(&fs::read(entry.path()).unwrap());
                let time = (found.mtime(), found.mtime_nsec());
                all.insert(path, format!("{mode:o} {time:?} {} {bytes:x}", found.len()));
            } else {
                all.insert(path, format!("{:?}", fs::read_link(entry.path())));
            }
        }
    }
    let mut all = BTreeMap::new();
    below(root, "", &mut all);
    all
}
