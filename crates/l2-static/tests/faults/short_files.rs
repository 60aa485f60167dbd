//! Files that this process may write to an offset only: stores behind it fail, alone, and give their pages back.

use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, Stored};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::child;
use crate::pool::{PAGE, Pool, home, must_load_of, must_store_of, store_of};

/// A limit on the length of files, for as long as it lives.
pub(crate) struct ShortFiles(Option<u64>);

impl ShortFiles {
    pub(crate) fn of(bytes: u64) -> Self {
        let before = getrlimit(Resource::Fsize).current;
        Self::set(Some(bytes));
        Self(before)
    }

    fn set(bytes: Option<u64>) {
        let mut limit = getrlimit(Resource::Fsize);
        limit.current = bytes;
        setrlimit(Resource::Fsize, limit).unwrap();
    }
}

impl Drop for ShortFiles {
    fn drop(&mut self) {
        Self::set(self.0);
    }
}

/// In a child: the limit is the process's.
#[test]
fn a_write_that_fails_fails_alone_and_its_pages_are_free() {
    let Some(home) = child::given() else {
        let test = "short_files::a_write_that_fails_fails_alone_and_its_pages_are_free";
        return child::must_pass_without_file_size_signals(test, home().path());
    };
    for (name, direct, uring) in [("aio", false, false), ("uring", false, true), ("direct", true, false)] {
        let pool = Pool::at(&home.join(name), 2).of(16 * PAGE).direct(direct).uring(uring);
        let host = pool.host(2 << 20);
        // Of each file the second half cannot be written; with buffers, of one page half can.
        let short = ShortFiles::of(if direct { 8 * PAGE } else { 8 * PAGE + PAGE / 2 } as u64);
        // The pages are taken in order, and the requests are shared.
        let batch = keys(16).iter().map(|key| host.item_of(key, 2 * PAGE)).collect();
        let report = host.store_items(batch);
        for (number, outcome) in report.outcomes.iter().enumerate() {
            match &outcome.result {
                Ok(stored) => assert_eq!(*stored, Stored::Written { bytes: 2 * PAGE as u64 }),
                Err(error) => {
                    assert_eq!(
                        (error.kind(), error.key()),
                        (ErrorKind::Io, Some(&key(number as u64))),
                        "{error}"
                    );
                    assert_eq!(error.range(), Some((0, 2 * PAGE as u64)), "{error}");
                }
            }
            assert!(outcome.memory.is_some(), "the lease comes back");
        }
        let stored: Vec<bool> = report.outcomes.iter().map(|outcome| outcome.result.is_ok()).collect();
        assert_eq!(stored, [[true; 4], [false; 4], [true; 4], [false; 4]].concat(), "{name}");
        drop(report);
        let written = |number: &u64| number % 8 < 4;
        assert_eq!(host.used(), 16 * PAGE as u64);
        (0..16).filter(written).for_each(|number| must_load_of(&host, &key(number), 2 * PAGE));
        host.must_miss(&(0..16).filter(|number| !written(number)).map(key).collect::<Vec<_>>());
        // What is to replace an object, and cannot be written, leaves neither.
        let error = store_of(&host, &key(0), 15 * PAGE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert_eq!((host.present(&key(0)), host.used()), (None, 14 * PAGE as u64));
        drop(short);
        must_store_of(&host, &key(100), 18 * PAGE);
        assert_eq!(host.used(), pool.capacity() as u64);
        must_load_of(&host, &key(100), 18 * PAGE);
        (1..16).filter(written).for_each(|number| must_load_of(&host, &key(number), 2 * PAGE));
        assert_eq!(host.adapter.status().healed_objects, 0);
    }
}
