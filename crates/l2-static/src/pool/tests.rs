//! Many owners at once, and the sums.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::{Full, Pool, Taken};
use l2_core::ErrorKind;

#[test]
fn an_object_occupies_whole_pages_until_its_owner_is_dropped() {
    let pool = Pool::new(3, 8192, 4096).unwrap();
    assert_eq!((pool.capacity_bytes(), pool.page_bytes(), pool.used_bytes()), (24_576, 4096, 0));
    assert_eq!([0, 1, 4096, 4097].map(|bytes| pool.occupied(bytes)), [0, 4096, 4096, 8192]);
    let first = pool.take(8193).unwrap();
    assert_eq!(first.extents().iter().map(|extent| extent.pages).sum::<u64>(), 3);
    assert_eq!(pool.used_bytes(), 12_288);
    let full = pool.take(12_289).unwrap_err();
    assert_eq!(full, Full { needed: 16_384, free: 12_288, total: 24_576 });
    assert_eq!(full.to_string(), "the pool is full: 16384 bytes are needed, 12288 of 24576 are free");
    let second = pool.take(12_288).unwrap();
    assert_eq!(pool.used_bytes(), pool.capacity_bytes());
    drop(first);
    assert_eq!(pool.used_bytes(), 12_288);
    drop(second);
    assert_eq!(pool.used_bytes(), 0);
}

#[test]
fn an_object_that_is_longer_than_can_be_counted_is_full() {
    let pool = Pool::new(1, 4096, 4096).unwrap();
    assert_eq!(pool.take(u64::MAX).unwrap_err().needed, u64::MAX);
}

#[test]
fn a_slot_that_is_no_whole_number_of_pages_is_refused() {
    for (files, slot_bytes, page_bytes, part) in [
        (1, 4097, 4096, "4097"),
        (1, 0, 4096, "multiple"),
        (1, 4096, 0, "multiple"),
        (4, 1 << 61, 4096, "2^63"),
        (u32::MAX, 1 << 62, 4096, "2^63"),
    ] {
        let error = Pool::new(files, slot_bytes, page_bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn threads_that_take_and_drop_at_once_never_share_a_page() {
    const FILES: u32 = 7;
    const PAGES: u64 = 9;
    const THREADS: usize = 8;
    let pool = Pool::new(FILES, PAGES * 512, 512).unwrap();
    let owned: Vec<AtomicBool> = (0..u64::from(FILES) * PAGES).map(|_| AtomicBool::new(false)).collect();
    let mark = |taken: &Taken, owner: bool| {
        for extent in taken.extents() {
            for page in extent.first..extent.first + extent.pages {
                let at = u64::from(extent.file) * PAGES + page;
                let before = owned[usize::try_from(at).unwrap()].swap(owner, Ordering::AcqRel);
                assert_eq!(before, !owner, "page {page} of file {} has two owners", extent.file);
            }
        }
    };
    let taken = AtomicU64::new(0);
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for seed in (0_u64..).take(THREADS) {
            let (pool, mark, start, taken) = (&pool, &mark, &start, &taken);
            scope.spawn(move || {
                start.wait();
                let mut mine = Vec::new();
                for round in 0..3000_u64 {
                    // 1 to 13 pages, in an order of this thread's own.
                    if let Ok(object) = pool.take(512 * (1 + (round * (2 * seed + 3) + seed) % 13)) {
                        taken.fetch_add(1, Ordering::Relaxed);
                        mark(&object, true);
                        mine.push(object);
                    }
                    if mine.len() > 2 || round % 5 == 4 {
                        for object in mine.drain(..) {
                            mark(&object, false);
                            drop(object);
                        }
                    }
                }
                mine.iter().for_each(|object| mark(object, false));
            });
        }
    });
    assert!(taken.into_inner() > 0);
    assert_eq!(pool.used_bytes(), 0);
    // All of it in one run per file again.
    let whole: Vec<Taken> = (0..FILES).map(|_| pool.take(PAGES * 512).unwrap()).collect();
    assert!(whole.iter().all(|object| object.extents().len() == 1));
}
