//! Stores that come before what an earlier run left has been counted: they wait for that, and lose nothing by it.

use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, Stored};

use crate::cache::{Cache, close};

#[test]
fn what_is_on_the_disk_counts_before_the_first_store_however_early_that_comes() {
    for cache in [Cache::fresh(), Cache::fresh().sharded()] {
        let host = cache.host(400);
        host.must_store(&keys(400));
        close(host);
        let host = cache.host(400);
        for outcome in host.store(&[key(400), key(401)]).outcomes {
            assert_eq!(outcome.result.unwrap_err().kind(), ErrorKind::Full);
        }
        host.must_use(400);
        host.must_delete(&keys(1));
        host.must_store(&[key(400)]);
        assert_eq!(cache.objects().len(), 400);
    }
}

#[test]
fn an_adapter_that_is_closed_while_stores_wait_ends_them_all() {
    let cache = Cache::fresh();
    let host = cache.host(400);
    host.must_store(&keys(300));
    close(host);
    for _ in 0..10 {
        let host = cache.host(400);
        let more: Vec<_> = (300..310).map(key).collect();
        let items = more.iter().map(|key| host.item(key)).collect();
        let task = host.adapter.submit_store(items);
        host.adapter.close().unwrap();
        let report = host.wait(task);
        for (key, outcome) in more.iter().zip(report.outcomes) {
            // Written, found, or closed first; what is told to be stored is there.
            match outcome.result {
                Ok(_) => assert!(cache.file(key).exists()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
            }
        }
        host.eventually("the leases are back", || host.l1.leased_bytes() == 0);
    }
    cache.host(400).must_load(&keys(300));
}

/// The count may end in the middle of a batch.
#[test]
fn of_a_key_twice_in_an_early_batch_the_first_is_stored() {
    let cache = Cache::fresh().workers(4);
    for round in 0..20 {
        let host = cache.host(3000);
        let batch = (0..100).map(|number| key(round * 100 + number));
        let twice: Vec<_> = batch.flat_map(|key| [key.clone(), key]).collect();
        let report = host.store(&twice);
        let written: Vec<bool> = report
            .outcomes
            .iter()
            .map(|outcome| matches!(outcome.result, Ok(Stored::Written { .. })))
            .collect();
        assert_eq!(written, [true, false].repeat(100), "round {round}");
    }
}
