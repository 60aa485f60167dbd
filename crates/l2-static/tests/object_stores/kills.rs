//! A server killed in the middle of a batch, and started again.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{check, keys};
use l2_core::{ErrorKind, ObjectKey, Stored};
use test_servers::S3Server;

use crate::child;
use crate::support::{Opener, Store};

const SLOTS: u64 = 128;

/// A pool on a server of its own.
fn pool() -> (tempfile::TempDir, S3Server, Host) {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    let host = Opener::new(Store::s3(&server).config(SLOTS)).host();
    (root, server, host)
}

/// Stores all while the server is killed in the middle and started again. The keys that were stored.
fn store_over_a_kill(server: &mut S3Server, host: &Host, all: &[ObjectKey]) -> Vec<ObjectKey> {
    let count = all.len() as u64;
    for _ in 0..20 {
        let task = host.adapter.submit_store(all.iter().map(|key| host.item(key)).collect());
        host.eventually("a quarter is stored", || host.adapter.status().stored_objects >= count / 4);
        server.kill();
        let at_the_kill = host.adapter.status().stored_objects;
        // Some requests meet a port that refuses.
        thread::sleep(Duration::from_millis(20));
        server.restart().unwrap();
        let report = host.wait(task);
        if at_the_kill == count {
            // It came too late.
            drop(report);
            host.must_delete(all);
            continue;
        }
        let mut stored = Vec::new();
        for (key, outcome) in all.iter().zip(report.outcomes) {
            match outcome.result {
                Ok(Stored::Written { .. }) => stored.push(key.clone()),
                Ok(Stored::AlreadyPresent) => panic!("{key} was not there"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
            }
        }
        return stored;
    }
    panic!("no kill came in time");
}

/// All adds up to what was stored, and the adapter is as good as new.
fn must_work(host: &Host, all: &[ObjectKey], stored: &[ObjectKey]) {
    host.eventually("NIXL has let go of all", || host.adapter.status().parked_transfers == 0);
    host.must_use(stored.len());
    assert_eq!(host.l1.leased_bytes(), 0);
    host.must_load(stored);
    let is_stored: HashSet<_, l2_core::KeyHasherBuilder> = stored.iter().collect();
    let lost: Vec<ObjectKey> = all.iter().filter(|key| !is_stored.contains(key)).cloned().collect();
    host.must_miss(&lost);
    host.must_store(&lost);
    host.must_load(all);
    host.must_delete(all);
    host.must_use(0);
}

#[test]
fn stores_over_a_kill_end_with_a_reason_and_the_adapter_works_again() {
    if !child::with_a_hasty_client("kills::stores_over_a_kill_end_with_a_reason_and_the_adapter_works_again")
    {
        return;
    }
    let (_root, mut server, host) = pool();
    let all = keys(SLOTS);
    let stored = store_over_a_kill(&mut server, &host, &all);
    assert!(stored.len() < all.len(), "the kill hit nothing");
    must_work(&host, &all, &stored);
}

#[test]
fn stores_over_a_kill_succeed_where_the_client_tries_again() {
    let (_root, mut server, host) = pool();
    let all = keys(SLOTS);
    assert_eq!(store_over_a_kill(&mut server, &host, &all).len(), all.len());
    must_work(&host, &all, &all);
}

/// Loads all while the server is killed in the middle and started again. How many failed.
fn load_over_a_kill(server: &mut S3Server, host: &Host, all: &[ObjectKey]) -> usize {
    let task = host.adapter.submit_load(all.iter().map(|key| host.blank(key)).collect());
    thread::sleep(Duration::from_millis(10));
    server.kill();
    thread::sleep(Duration::from_millis(20));
    server.restart().unwrap();
    let mut failed = 0;
    for (key, outcome) in all.iter().zip(host.wait(task).outcomes) {
        match outcome.result {
            Ok(_) => check(key, outcome.memory.unwrap().as_slice().unwrap()).unwrap(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                failed += 1;
            }
        }
    }
    failed
}

#[test]
fn loads_over_a_kill_end_with_a_reason_and_lose_no_object() {
    if !child::with_a_hasty_client("kills::loads_over_a_kill_end_with_a_reason_and_lose_no_object") {
        return;
    }
    let (_root, mut server, host) = pool();
    let all = keys(SLOTS);
    host.must_store(&all);
    let kills = (0..20).map(|_| load_over_a_kill(&mut server, &host, &all));
    assert!(kills.filter(|failed| *failed > 0).take(4).count() == 4, "no kill hit a load");
    assert_eq!(host.adapter.status().healed_objects, 0);
    must_work(&host, &all, &all);
}

#[test]
fn loads_over_a_kill_lose_no_object_where_the_client_tries_again() {
    let (_root, mut server, host) = pool();
    let all = keys(SLOTS);
    host.must_store(&all);
    for _ in 0..4 {
        // The client does not try what was cut in the middle of an answer again. We do, once.
        let failed = load_over_a_kill(&mut server, &host, &all);
        assert!(failed < all.len() / 2, "{failed} failed");
    }
    assert_eq!(host.adapter.status().healed_objects, 0);
    must_work(&host, &all, &all);
}
