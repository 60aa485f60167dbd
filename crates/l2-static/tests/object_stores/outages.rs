//! A server that is away or says nothing, with a client that goes on trying for half a minute: our time limit is ours.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, KeyScope, LoadReport, RoomMaker, StoreReport};
use test_servers::S3Server;

use crate::child;
use crate::scripted::{Answer, Scripted};
use crate::support::{Opener, Store, shared_s3};

const LIMIT: Duration = Duration::from_secs(1);

/// A pool of `slots` slots on a server of its own, with [`LIMIT`] for each transfer.
fn pool(slots: u64) -> (tempfile::TempDir, S3Server, Host) {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    let mut config = Store::s3(&server).config(slots);
    config.engine.io_timeout = LIMIT;
    let host = Opener::new(config).host();
    (root, server, host)
}

#[track_caller]
fn must_time_out_storing(report: &StoreReport) {
    for outcome in &report.outcomes {
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.to_string().contains("io_timeout_seconds"), "{error}");
    }
}

#[track_caller]
fn must_time_out_loading(report: &LoadReport) {
    for outcome in &report.outcomes {
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
}

/// With two objects stored and the server away: what is asked for ends by our limit, what NIXL still holds stays held,
/// and all of it comes back with the server.
fn must_bridge(
    mut server: S3Server,
    host: &Host,
    away: impl Fn(&mut S3Server),
    back: impl Fn(&mut S3Server),
) {
    host.must_store(&keys(2));
    away(&mut server);
    let stored = host.adapter.submit_store((10..14).map(|number| host.item(&key(number))).collect());
    let loaded = host.adapter.submit_load(vec![host.blank(&key(0)), host.blank(&key(1))]);
    must_time_out_loading(&host.wait(loaded));
    must_time_out_storing(&host.wait(stored));
    host.must_miss(&[key(10), key(11), key(12), key(13)]);
    let status = host.adapter.status();
    assert!(status.healthy, "{status:?}");
    assert_eq!((status.stored_objects, status.healed_objects), (2, 0), "{status:?}");
    assert_eq!(status.parked_transfers, 6, "{status:?}");
    assert_eq!(host.l1.leased_bytes(), 6 * host.object_bytes, "NIXL may still touch the memory");
    host.must_use(6);
    // Of eight slots six are stored in, or may be written to.
    must_time_out_storing(&host.store(&[key(20), key(21)]));
    let full = host.store(&[key(22)]);
    assert_eq!(full.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
    drop(full);

    back(&mut server);
    host.eventually("NIXL lets go", || host.adapter.status().parked_transfers == 0);
    host.eventually("the slots are free", || host.used() == 2 * host.object_bytes as u64);
    assert_eq!(host.l1.leased_bytes(), 0);
    host.must_load(&keys(2));
    let again: Vec<_> = (10..16).map(key).collect();
    host.must_store(&again);
    host.must_load(&again);
    host.must_load(&keys(2));
}

#[test]
fn a_server_that_refuses_connections_costs_our_time_limit_alone() {
    let (_root, server, host) = pool(8);
    must_bridge(server, &host, S3Server::kill, |server| server.restart().unwrap());
}

#[test]
fn a_server_that_never_answers_costs_our_time_limit_alone() {
    let (_root, server, host) = pool(8);
    must_bridge(server, &host, |server| server.stall(true), |server| server.stall(false));
}

#[test]
fn closing_while_requests_hang_ends_with_their_time_limit() {
    let (_root, mut server, host) = pool(64);
    host.must_store(&keys(8));
    server.kill();
    let silent = Scripted::instead_of(&server.endpoint(), |_| Answer::Hang);
    let loaded = host.adapter.submit_load(keys(8).iter().map(|key| host.blank(key)).collect());
    // More than are sent at once: the rest is not begun.
    let stored = host.adapter.submit_store((10..50).map(|number| host.item(&key(number))).collect());
    host.eventually("some are sent", || {
        // A pause, so that the server comes to its own list.
        thread::sleep(Duration::from_millis(1));
        !silent.asked().is_empty()
    });
    let start = Instant::now();
    host.adapter.close().unwrap();
    // Far below the client's own limits, of 25 s and more.
    assert!(start.elapsed() < Duration::from_secs(15), "closing took {:?}", start.elapsed());
    let ended = [ErrorKind::TimedOut, ErrorKind::Closed];
    for outcome in host.wait(stored).outcomes {
        assert!(ended.contains(&outcome.result.unwrap_err().kind()));
    }
    for outcome in host.wait(loaded).outcomes {
        assert!(ended.contains(&outcome.result.unwrap_err().kind()));
    }
    assert!(host.adapter.status().parked_transfers > 0, "NIXL has not ended them");
    drop(silent);
    server.restart().unwrap();
    host.eventually("NIXL lets go, also of a closed adapter's", || {
        host.adapter.status().parked_transfers == 0 && host.l1.leased_bytes() == 0
    });
}

/// Is asked for room, and has none.
#[derive(Debug)]
struct Nobody;

impl RoomMaker for Nobody {
    fn make_room(&self, _: &KeyScope, _: u64) -> u64 {
        0
    }
}

#[test]
fn stores_that_wait_for_room_behind_a_server_that_never_answers_end_with_those_before_them() {
    let (_root, server, host) = pool(4);
    let evictable = host.adapter.evictable();
    let nobody: Arc<dyn RoomMaker> = Arc::new(Nobody);
    evictable.set_room_maker(Arc::clone(&nobody));
    server.stall(true);
    // Four have a slot; what they store could go next, once it is stored.
    let report = host.store(&keys(12));
    must_time_out_storing(&report);
    for outcome in &report.outcomes[4..] {
        let said = outcome.result.as_ref().unwrap_err().to_string();
        assert!(said.contains("not tried") && said.contains("room"), "{said}");
        assert!(outcome.memory.is_some(), "the lease comes back");
    }
    drop(report);
    server.stall(false);
    host.eventually("NIXL lets go", || host.adapter.status().parked_transfers == 0);
    host.eventually("the slots are free", || host.used() == 0);
    host.must_store(&keys(4));
    evictable.unset_room_maker(&*nobody);
}

#[test]
fn what_queues_up_inside_the_client_comes_back_too() {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    let mut config = Store::s3(&server).config(64);
    config.engine.io_timeout = Duration::from_millis(100);
    config.plugin_params.set("num_threads", "2");
    let host = Opener::new(config).host();
    server.stall(true);
    // The first two are sent, and take the client's threads for good; the others wait inside it.
    // Fewer batches than open the breaker.
    keys(8).chunks(2).for_each(|two| must_time_out_storing(&host.store(two)));
    assert_eq!(host.adapter.status().parked_transfers, 8);
    host.must_use(8);
    server.stall(false);
    host.eventually("NIXL lets go", || host.adapter.status().parked_transfers == 0);
    host.eventually("the slots are free", || host.used() == 0);
    assert_eq!(host.l1.leased_bytes(), 0);
    host.eventually("it works again", || host.store(&[key(0)]).outcomes[0].result.is_ok());
}

/// Not in waves of a time limit each: what waited for its turn meanwhile ends with the first ones, and has its memory back.
#[test]
fn a_large_batch_for_a_silent_server_is_tried_once() {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    let mut config = Store::s3(&server).config(64);
    config.engine.io_timeout = Duration::from_millis(500);
    config.plugin_params.set("num_threads", "2");
    let host = Opener::new(config).host();
    server.stall(true);
    let report = host.store(&keys(48));
    for outcome in &report.outcomes {
        assert_eq!(outcome.result.as_ref().unwrap_err().kind(), ErrorKind::TimedOut);
    }
    let tried = report.outcomes.iter().filter(|outcome| outcome.memory.is_none()).count();
    assert_eq!(host.adapter.status().parked_transfers, tried as u64);
    assert!((1..48).contains(&tried), "{tried} of 48 were tried");
    host.must_use(tried);
    server.stall(false);
    host.eventually("the slots are free", || host.used() == 0);
    host.eventually("it works again", || host.store(&[key(0)]).outcomes[0].result.is_ok());
}

/// What is still on its way when a pool closes may yet write to its names.
#[test]
fn a_prefix_is_free_when_nixl_has_ended_the_last_request() {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    let mut config = Store::s3(&server).config(8);
    config.engine.io_timeout = LIMIT;
    let host = Opener::new(config.clone()).host();
    server.stall(true);
    must_time_out_storing(&host.store(&keys(1)));
    host.adapter.close().unwrap();
    let again = || Opener::new(config.clone()).adapter(&host.l1);
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Busy);
    server.stall(false);
    host.eventually("the prefix is free", || again().is_ok());
}

#[test]
fn a_process_ends_while_requests_hang() {
    if !child::is_child() {
        let start = Instant::now();
        child::must_pass_again("outages::a_process_ends_while_requests_hang", &[]);
        // Far below the client's own limits, of 25 s and more.
        assert!(start.elapsed() < Duration::from_secs(15), "it took {:?}", start.elapsed());
        return;
    }
    let server = Scripted::start(|_| Answer::Hang);
    let store = Store::s3(shared_s3()).with("endpoint_override", &server.endpoint());
    let mut config = store.config(8);
    config.engine.io_timeout = LIMIT;
    let host = Opener::new(config).host();
    must_time_out_storing(&host.store(&keys(4)));
    assert_eq!(host.adapter.status().parked_transfers, 4);
    drop(host);
    // The connections hang on, until the process has ended.
    std::mem::forget(server);
}

/// With four objects stored and the server gone for good: everything ends by itself.
fn must_give_up(host: &Host, kind: ErrorKind) {
    let stored = host.adapter.submit_store((10..12).map(|number| host.item(&key(number))).collect());
    let loaded = host.adapter.submit_load(vec![host.blank(&key(0)), host.blank(&key(1))]);
    for outcome in host.wait(loaded).outcomes {
        assert_eq!(outcome.result.unwrap_err().kind(), kind);
    }
    for outcome in host.wait(stored).outcomes {
        assert_eq!(outcome.result.unwrap_err().kind(), kind);
    }
    host.eventually("the slots are free", || host.used() == 4 * host.object_bytes as u64);
    host.eventually("the memory is free", || host.l1.leased_bytes() == 0);
    assert_eq!(host.adapter.status().parked_transfers, 0);
    host.must_hit(&keys(4));
    assert_eq!(host.adapter.status().healed_objects, 0);
}

#[test]
fn what_a_dead_server_was_sent_comes_back_when_the_client_gives_up() {
    if child::with_a_hasty_client("outages::what_a_dead_server_was_sent_comes_back_when_the_client_gives_up")
    {
        let (_root, mut server, host) = pool(8);
        host.must_store(&keys(4));
        server.kill();
        must_give_up(&host, ErrorKind::Io);
        server.restart().unwrap();
        host.must_load(&keys(4));
    }
}

#[test]
#[ignore = "slow: the S3 client goes on for 26 s"]
fn what_a_dead_server_was_sent_comes_back_when_the_client_gives_up_after_all() {
    let root = tempfile::tempdir().unwrap();
    let mut server = S3Server::start(root.path()).unwrap();
    let mut config = Store::s3(&server).config(8);
    config.engine.io_timeout = LIMIT;
    let mut opener = Opener::new(config);
    opener.limit = Duration::from_secs(90);
    let host = opener.host();
    host.must_store(&keys(4));
    server.kill();
    must_give_up(&host, ErrorKind::TimedOut);
}

#[test]
fn a_server_that_is_away_for_long_is_left_alone_and_taken_again_when_it_is_back() {
    let (_root, server, host) = pool(64);
    host.must_store(&keys(4));
    server.stall(true);
    for number in 10..15 {
        must_time_out_storing(&host.store(&[key(number)]));
    }
    let start = Instant::now();
    for number in 20..40 {
        let error = host.store(&[key(number)]).outcomes.remove(0).result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    assert!(start.elapsed() < LIMIT, "they cost no time limit");
    assert!(host.adapter.status().store_breaker.is_open);
    server.stall(false);
    host.eventually("it is taken again", || !host.adapter.status().store_breaker.is_open);
    host.must_store(&[key(50)]);
    host.must_load(&keys(4));
}
