//! Azurite killed and started again: while it is away, and in the middle of a batch.

use std::time::Duration;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{check, key, keys};
use l2_core::{ErrorKind, ObjectKey, Stored};
use test_servers::Azurite;

use crate::support::{Opener, Store, azurite};

/// A pool on an Azurite of its own.
fn pool(slots: u64, io_timeout: Duration) -> Option<(tempfile::TempDir, Azurite, Host)> {
    let root = tempfile::tempdir().unwrap();
    let server = azurite(root.path())?;
    let mut config = Store::azure(&server).config(slots);
    config.engine.io_timeout = io_timeout;
    let host = Opener::new(config).host();
    Some((root, server, host))
}

#[track_caller]
fn must_be_free_of_nixl(host: &Host) {
    host.eventually("NIXL lets go", || {
        host.adapter.status().parked_transfers == 0 && host.l1.leased_bytes() == 0
    });
}

#[test]
fn an_azurite_that_is_away_costs_our_time_limit_alone() {
    let Some((_root, mut server, host)) = pool(8, Duration::from_secs(1)) else { return };
    host.must_store(&keys(2));
    server.kill();
    let stored = host.adapter.submit_store((10..14).map(|number| host.item(&key(number))).collect());
    let loaded = host.adapter.submit_load(vec![host.blank(&key(0)), host.blank(&key(1))]);
    for outcome in host.wait(loaded).outcomes {
        assert_eq!(outcome.result.unwrap_err().kind(), ErrorKind::TimedOut);
    }
    for outcome in host.wait(stored).outcomes {
        assert_eq!(outcome.result.unwrap_err().kind(), ErrorKind::TimedOut);
    }
    host.must_use(6);
    let status = host.adapter.status();
    assert_eq!((status.parked_transfers, status.stored_objects), (6, 2), "{status:?}");
    server.restart().unwrap();
    must_be_free_of_nixl(&host);
    host.must_use(2);
    host.must_load(&keys(2));
    let more: Vec<ObjectKey> = (10..16).map(key).collect();
    host.must_store(&more);
    host.must_load(&more);
}

#[test]
fn an_azurite_killed_in_the_middle_of_a_batch_loses_nothing_that_was_stored() {
    const SLOTS: u64 = 64;
    let Some((_root, mut server, host)) = pool(SLOTS, Duration::from_secs(30)) else { return };
    let all = keys(SLOTS);
    let storing = host.adapter.submit_store(all.iter().map(|key| host.item(key)).collect());
    host.eventually("some are stored", || host.adapter.status().stored_objects >= SLOTS / 8);
    server.kill();
    server.restart().unwrap();
    let (mut stored, mut lost) = (Vec::new(), Vec::new());
    for (key, outcome) in all.iter().zip(host.wait(storing).outcomes) {
        match outcome.result {
            Ok(Stored::Written { .. }) => stored.push(key.clone()),
            Ok(Stored::AlreadyPresent) => panic!("{key} was not there"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                lost.push(key.clone());
            }
        }
    }
    must_be_free_of_nixl(&host);
    host.must_use(stored.len());
    host.must_miss(&lost);
    host.must_load(&stored);
    host.must_store(&lost);

    let loading = host.adapter.submit_load(all.iter().map(|key| host.blank(key)).collect());
    server.kill();
    server.restart().unwrap();
    for (key, outcome) in all.iter().zip(host.wait(loading).outcomes) {
        match outcome.result {
            Ok(_) => check(key, outcome.memory.unwrap().as_slice().unwrap()).unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
        }
    }
    assert_eq!(host.adapter.status().healed_objects, 0);
    must_be_free_of_nixl(&host);
    host.must_load(&all);
}
