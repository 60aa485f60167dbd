//! An adapter opened of a text, a host with L1 before it, and the life of an object.

use std::io::Write;
use std::path::Path;
use std::slice::from_ref;
use std::sync::Mutex;

use l2_core::testing::fixtures::{key, keys};
use l2_core::testing::{Factory, Host, Opened, Options};
use nixl_l2::{AdapterConfig, Deleted, ErrorKind, Looked, Nixl, OpenError, Region, Stored};
use tempfile::TempDir;

/// The page of L1, and of the pools.
pub(crate) const PAGE: usize = 4096;
const L1_BYTES: usize = 64 << 20;

/// Says aloud, past the test harness, that something cannot be shown here.
pub(crate) fn skipped(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").unwrap();
}

/// A directory on a disk rather than in memory, which not every system's temporary directory is.
pub(crate) fn home() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The names in a directory.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// How many files there are in a directory and below.
pub(crate) fn files_in(directory: &Path) -> usize {
    let count = |name: String| {
        let path = directory.join(name);
        if path.is_dir() { files_in(&path) } else { 1 }
    };
    names_in(directory).into_iter().map(count).sum()
}

/// Gives out, once, what was opened already.
struct Ready(Mutex<Option<Opened>>);

impl Factory for Ready {
    fn open(&self, _: Options) -> Opened {
        self.0.lock().unwrap().take().expect("opened once")
    }
}

/// A host of the adapter that the text describes, with 64 MiB of L1 and objects of a page.
pub(crate) fn try_host(json: &str) -> Result<Host, OpenError> {
    Nixl::load().expect("NIXL is installed: run `cargo xtask setup`").silence();
    let config = AdapterConfig::parse(json)?;
    let l1 = Region::allocate(L1_BYTES).unwrap();
    let adapter = nixl_l2::open(&config, &l1)?;
    let ready = Ready(Mutex::new(Some(Opened { adapter, l1 })));
    Ok(Host::with(&ready, Options { capacity_bytes: 0, object_bytes: PAGE, l1_bytes: L1_BYTES }))
}

#[track_caller]
pub(crate) fn host(json: &str) -> Host {
    try_host(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The text does not open; the error is of this kind, and on one line.
#[track_caller]
pub(crate) fn refused(json: &str, kind: ErrorKind) -> String {
    let Err(error) = try_host(json) else { panic!("{json} was opened") };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{json}: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// An object is stored, looked up, loaded and deleted; and so are several at once. One of `bytes` bytes takes `occupied`
/// bytes of the storage.
#[track_caller]
pub(crate) fn objects_live(host: &Host, bytes: usize, occupied: u64) {
    let one = key(1_000_000 + bytes as u64);
    let one = from_ref(&one);
    host.must_miss(one);
    assert_written(host, one, bytes);
    let looked = host.lookup(one).answers;
    assert!(matches!(looked[..], [Looked::Hit { bytes: found }] if found == bytes as u64), "{looked:?}");
    assert_loaded(host, one, bytes);
    assert!(matches!(host.delete(one).answers[..], [Deleted::Busy]), "it is pinned");
    host.adapter.unlock(one);
    assert_freed(host, one, occupied);
    host.must_miss(one);

    let several = keys(7);
    assert_written(host, &several, bytes);
    assert_eq!(host.used(), 7 * occupied);
    assert_loaded(host, &several, bytes);
    assert_freed(host, &several, occupied);
    assert_eq!(host.used(), 0);
    assert_eq!(host.l1.leased_bytes(), 0);
}

#[track_caller]
fn assert_written(host: &Host, keys: &[nixl_l2::ObjectKey], bytes: usize) {
    let report = host.store_items(keys.iter().map(|key| host.item_of(key, bytes)).collect());
    for outcome in &report.outcomes {
        let Ok(Stored::Written { bytes: written }) = outcome.result else { panic!("{:?}", outcome.result) };
        assert_eq!(written, bytes as u64);
    }
}

/// The host compares each byte.
#[track_caller]
fn assert_loaded(host: &Host, keys: &[nixl_l2::ObjectKey], bytes: usize) {
    let report = host.load_items(keys.iter().map(|key| host.blank_of(key, bytes)).collect());
    for outcome in &report.outcomes {
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
    }
}

#[track_caller]
fn assert_freed(host: &Host, keys: &[nixl_l2::ObjectKey], occupied: u64) {
    for answer in host.delete(keys).answers {
        assert!(matches!(answer, Deleted::Freed { bytes } if bytes == occupied), "{answer:?}");
    }
}
