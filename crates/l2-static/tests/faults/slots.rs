//! Slots: how long they are, what fits, and what is said of what does not.

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, StoreItem, Stored};

use crate::pool::{PAGE, Pool, must_load_of, must_store_of, number_after, rounded, store_of};

#[test]
fn without_a_file_size_a_file_is_a_page_of_l1() {
    let pool = Pool::fresh(64);
    assert_eq!(pool.config.slot_bytes, None);
    let host = pool.host(1 << 20);
    assert_eq!(host.adapter.usage().capacity_bytes, 262_144);
    let status = host.adapter.status().pool.unwrap();
    assert_eq!((status.slots, status.slot_bytes, status.free_slots), (64, 4096, 64));
    host.must_store(&keys(64));
    host.must_load(&keys(64));
    assert_eq!(host.adapter.status().pool.unwrap().free_slots, 0);
    assert_eq!(host.used(), 262_144);
}

#[test]
fn a_file_size_that_is_no_multiple_of_the_page_is_refused() {
    for bytes in [1, 512, 4095, 4097, 6000, (1 << 20) + 1] {
        for direct in [false, true] {
            let pool = Pool::fresh(4).of(bytes).direct(direct);
            let error = pool.try_open().expect_err("it is not a multiple");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            let text = error.to_string();
            assert_eq!(number_after(&text, "file_size "), bytes as u64, "{text}");
            assert_eq!(number_after(&text, "multiple of the page of "), 4096, "{text}");
            assert!(!pool.path().exists(), "nothing was made");
        }
    }
}

/// What is said of an object that can never fit.
#[track_caller]
fn refusal(pool: &Pool, host: &Host, bytes: usize) -> String {
    let error = store_of(host, &key(1), bytes).unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Full, Some(&key(1))), "{error}");
    let text = error.to_string();
    assert_eq!(number_after(&text, "an object of "), bytes as u64, "{text}");
    assert_eq!(number_after(&text, "the whole pool has "), pool.capacity() as u64, "{text}");
    assert_eq!(number_after(&text, "pool_size "), pool.config.pool_size, "{text}");
    assert_eq!(number_after(&text, "file_size "), pool.file_bytes() as u64, "{text}");
    host.must_use(0);
    text
}

#[test]
fn who_follows_the_advice_for_an_object_that_never_fits_can_store_it() {
    let (pages, mib) = (PAGE, 1 << 20);
    for (files, file_bytes, bytes) in
        [(1, pages, pages + 1), (4, pages, 5 * pages + 7), (3, 2 * pages, 9 * pages), (2, 64 << 10, mib + 1)]
    {
        let pool = Pool::fresh(files).of(file_bytes);
        let text = refusal(&pool, &pool.host(4 << 20), bytes);
        // One way out: longer files. Each of them holds such an object.
        let size = usize::try_from(number_after(&text, "set file_size to ")).unwrap();
        assert_eq!(number_after(&text[text.find("for ").unwrap()..], "for "), files, "{text}");
        let host = pool.clone().of(size).host(8 << 20);
        (0..files).for_each(|number| must_store_of(&host, &key(number), bytes));
        (0..files).for_each(|number| must_load_of(&host, &key(number), bytes));
        // The other: more of them. One less does not do.
        let count = number_after(&text, "or pool_size to ");
        let host = Pool::fresh(count).of(file_bytes).host(4 << 20);
        must_store_of(&host, &key(1), bytes);
        must_load_of(&host, &key(1), bytes);
        let fewer = Pool::fresh(count - 1).of(file_bytes);
        refusal(&fewer, &fewer.host(4 << 20), bytes);
    }
}

#[test]
fn a_pool_that_is_full_says_how_full_and_takes_more_when_something_goes() {
    let pool = Pool::fresh(3).of(2 * PAGE);
    let host = pool.host(1 << 20);
    must_store_of(&host, &key(0), 3 * PAGE - 1);
    must_store_of(&host, &key(1), 2 * PAGE);
    let error = store_of(&host, &key(2), PAGE + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("8192 bytes do not fit: 20480 of the pool's 24576 bytes are in use"), "{text}");
    must_store_of(&host, &key(2), PAGE);
    assert_eq!(host.used(), pool.capacity() as u64);
    host.delete(&[key(0)]);
    must_store_of(&host, &key(3), 2 * PAGE + 1);
    for (number, bytes) in [(1, 2 * PAGE), (2, PAGE), (3, 2 * PAGE + 1)] {
        must_load_of(&host, &key(number), bytes);
    }
}

#[test]
fn an_object_may_be_as_long_as_the_whole_pool() {
    for (direct, uring) in [(false, false), (true, false), (true, true)] {
        for (files, file_bytes) in [(1, PAGE), (7, 3 * PAGE), (300, PAGE), (2, 1 << 20)] {
            let pool = Pool::fresh(files).of(file_bytes).direct(direct).uring(uring);
            let host = pool.host(32 << 20);
            let status = || host.adapter.status().pool.unwrap();
            for number in 0..2 {
                must_store_of(&host, &key(number), pool.capacity());
                assert_eq!((host.used(), status().free_slots), (pool.capacity() as u64, 0));
                must_load_of(&host, &key(number), pool.capacity());
                let full = store_of(&host, &key(9), PAGE).unwrap_err();
                assert_eq!(full.kind(), ErrorKind::Full);
                host.delete(&[key(number)]);
                assert_eq!((host.used(), status().free_slots), (0, files));
            }
            let error = store_of(&host, &key(9), pool.capacity() + PAGE).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        }
    }
}

#[test]
fn objects_of_odd_lengths_come_back_byte_for_byte_and_count_whole_pages() {
    let file = 5 * PAGE;
    let lengths = [
        1,
        2,
        511,
        513,
        PAGE - 1,
        PAGE,
        PAGE + 1,
        file - 1,
        file,
        file + 1,
        2 * file - PAGE + 3,
        3 * file + 1,
        7 * file + 2 * PAGE + 77,
    ];
    for uring in [false, true] {
        let pool = Pool::fresh(30).of(file).uring(uring);
        let host = pool.host(8 << 20);
        let all = || keys(lengths.len() as u64).into_iter().zip(lengths);
        let stored = host.store_items(all().map(|(key, bytes)| host.item_of(&key, bytes)).collect());
        assert_eq!(stored.written_bytes(), lengths.iter().sum::<usize>() as u64, "{stored:?}");
        drop(stored);
        assert_eq!(host.used(), lengths.map(rounded).iter().sum::<usize>() as u64);
        let loaded = host.load_items(all().map(|(key, bytes)| host.blank_of(&key, bytes)).collect());
        assert_eq!(loaded.loaded_bytes(), lengths.iter().sum::<usize>() as u64, "{loaded:?}");
        drop(loaded);
        for (key, bytes) in all() {
            assert_eq!(host.present(&key), Some(bytes as u64), "a lookup gives the length, not the pages");
            must_load_of(&host, &key, bytes);
            // The rest of the last page is nobody's: who asks for it is told.
            let other = host.load_items(vec![host.blank_of(&key, bytes + 1)]);
            let error = other.outcomes[0].result.as_ref().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LengthMismatch, "{error}");
        }
        // Back one by one, in another order.
        let mut left = host.used();
        for (key, bytes) in all().rev() {
            let freed = host.delete(&[key]).freed_bytes();
            assert_eq!(freed, rounded(bytes) as u64);
            left -= freed;
            assert_eq!(host.used(), left);
        }
        assert_eq!(left, 0);
    }
}

#[test]
fn direct_io_refuses_what_is_not_aligned_with_the_number_and_stores_nothing_of_it() {
    let pool = Pool::fresh(16).of(2 * PAGE).direct(true);
    let host = pool.host(1 << 20);
    must_store_of(&host, &key(0), 3 * PAGE);
    for bytes in [1, 100, PAGE - 1, PAGE + 1, 5000] {
        let error = store_of(&host, &key(1), bytes).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidInput, Some(&key(1))), "{error}");
        assert!(error.to_string().contains(&format!("not {bytes}")), "{error}");
        let load = host.load_items(vec![host.blank_of(&key(0), bytes)]);
        let outcome = &load.outcomes[0];
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(outcome.memory.is_some(), "the lease comes back");
    }
    let lease = host.l1.lease(PAGE + 100, PAGE).unwrap();
    let batch = vec![StoreItem { key: key(1), memory: lease.freeze() }, host.item(&key(2))];
    let report = host.store_items(batch);
    let error = report.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("memory must be aligned to "), "{error}");
    assert!(matches!(report.outcomes[1].result, Ok(Stored::Written { bytes: 4096 })), "{report:?}");
    drop(report);
    host.must_miss(&[key(1)]);
    must_load_of(&host, &key(0), 3 * PAGE);
    host.must_load(&[key(2)]);
    assert_eq!(host.used(), 4 * PAGE as u64);
}

#[test]
fn an_object_lies_in_hundreds_of_files_between_others() {
    for (direct, uring) in [(false, false), (true, true)] {
        let pool = Pool::fresh(420).direct(direct).uring(uring);
        let host = pool.host(16 << 20);
        let (stay, go): (Vec<u64>, Vec<u64>) = (0..420).partition(|number| number % 2 == 0);
        let [stay, go] = [stay, go].map(|numbers| numbers.into_iter().map(key).collect::<Vec<_>>());
        host.must_store(&keys(420));
        host.must_delete(&go);
        // No two of its 210 pages lie beside each other; with direct I/O the last one is whole, too.
        let bytes = if direct { 210 * PAGE } else { 210 * PAGE - 5 };
        must_store_of(&host, &key(1000), bytes);
        assert_eq!(host.used(), pool.capacity() as u64);
        must_load_of(&host, &key(1000), bytes);
        host.must_load(&stay);
        host.must_delete(&stay);
        must_store_of(&host, &key(1001), bytes);
        must_load_of(&host, &key(1000), bytes);
        must_load_of(&host, &key(1001), bytes);
    }
}
