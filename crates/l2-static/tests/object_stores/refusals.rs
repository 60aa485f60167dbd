//! Servers that answer, and say no.

use std::time::Duration;

use l2_config::Backend;
use l2_core::ErrorKind;
use l2_core::testing::fixtures::{key, keys};
use test_servers::{Azurite, S3Server};

use crate::child;
use crate::scripted::{ACCESS_DENIED, Answer, INTERNAL_ERROR, Scripted};
use crate::support::{Opener, Store, shared_azurite, shared_s3};

/// Stores, which must fail with the reason and leave nothing behind.
#[track_caller]
fn must_refuse(opener: &Opener) {
    let host = opener.host();
    let report = host.store(&keys(4));
    for outcome in &report.outcomes {
        let error = outcome.result.as_ref().unwrap_err();
        match error.kind() {
            ErrorKind::Io => {
                let text = error.to_string();
                assert!(text.contains("credentials") && text.contains("bucket"), "{text}");
                assert!(outcome.memory.is_some(), "the lease comes back");
            }
            // Azurite sometimes cuts the connection instead of answering, and then Azure's client tries again and again.
            kind => assert_eq!((kind, opener.config.backend), (ErrorKind::TimedOut, Backend::AzureBlob)),
        }
    }
    drop(report);
    host.eventually("NIXL lets go", || host.adapter.status().parked_transfers == 0);
    host.must_miss(&keys(4));
    host.must_use(0);
    assert_eq!(host.l1.leased_bytes(), 0);
    assert!(host.adapter.status().healthy);
}

#[test]
fn wrong_credentials_and_a_missing_bucket_fail_each_store_with_the_reason() {
    for (name, value) in [("secret_key", "wrong"), ("access_key", "wrong"), ("bucket", "no-such-bucket")] {
        must_refuse(&Opener::new(Store::s3(shared_s3()).with(name, value).config(4)));
    }
}

#[test]
fn a_wrong_key_and_a_missing_container_of_azure_fail_each_store_with_the_reason() {
    let Some(server) = shared_azurite() else { return };
    let wrong = with_another_key(server);
    for (name, value) in [("container_name", "no-such-container"), ("connection_string", &wrong)] {
        let mut opener = Opener::new(Store::azure(server).with(name, value).config(4));
        opener.config.engine.io_timeout = Duration::from_secs(8);
        opener.limit = Duration::from_secs(90);
        must_refuse(&opener);
    }
}

/// The connection string with a key that is well formed, and not the account's.
fn with_another_key(server: &Azurite) -> String {
    let right = server.connection_string();
    let (head, rest) = right.split_once("AccountKey=").unwrap();
    let (_, tail) = rest.split_once(';').unwrap();
    format!("{head}AccountKey=bm90IHRoZSBrZXkgb2YgdGhpcyBhY2NvdW50;{tail}")
}

/// A pool with four objects, then a server in place of its own that answers by `script`: loads must fail with `kind`
/// and the objects must be there when the server is back.
#[track_caller]
fn must_outlive(script: impl Fn(&str) -> Answer + Send + Sync + 'static, kind: ErrorKind) {
    let root = tempfile::tempdir().unwrap();
    let mut server = S3Server::start(root.path()).unwrap();
    let mut config = Store::s3(&server).config(8);
    config.engine.io_timeout = Duration::from_secs(1);
    let host = Opener::new(config).host();
    host.must_store(&keys(4));
    server.kill();
    let scripted = Scripted::instead_of(&server.endpoint(), move |asked| script(&asked.method));
    for outcome in &host.load(&keys(4)).outcomes {
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    host.must_use(4);
    assert_eq!(host.adapter.status().healed_objects, 0);
    assert!(!scripted.asked().is_empty());
    drop(scripted);
    server.restart().unwrap();
    host.must_load(&keys(4));
    host.must_store(&[key(5)]);
}

#[test]
fn loads_that_are_refused_drop_nothing() {
    must_outlive(|_| ACCESS_DENIED, ErrorKind::Io);
}

#[test]
fn loads_that_the_server_fails_drop_nothing() {
    if child::with_a_hasty_client("refusals::loads_that_the_server_fails_drop_nothing") {
        must_outlive(|_| INTERNAL_ERROR, ErrorKind::Io);
    }
}

#[test]
fn loads_from_a_server_that_is_too_busy_drop_nothing() {
    const SLOW_DOWN: Answer =
        Answer::Say("503 Slow Down", "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>");
    // The S3 client goes on trying past the time limit.
    must_outlive(|_| SLOW_DOWN, ErrorKind::TimedOut);
}

#[test]
fn an_object_that_the_server_fails_to_give_and_says_it_has_is_dropped() {
    if !child::with_a_hasty_client(
        "refusals::an_object_that_the_server_fails_to_give_and_says_it_has_is_dropped",
    ) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut server = S3Server::start(root.path()).unwrap();
    let host = Opener::new(Store::s3(&server).config(8)).host();
    host.must_store(&keys(2));
    server.kill();
    let _scripted = Scripted::instead_of(&server.endpoint(), |request| {
        if request.method == "HEAD" { Answer::Say("200 OK", "") } else { INTERNAL_ERROR }
    });
    let load = host.load(&[key(0)]);
    assert_eq!(load.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
    host.must_miss(&[key(0)]);
    host.must_use(1);
}

#[test]
fn an_object_that_the_server_fails_to_give_and_says_nothing_of_is_kept() {
    if !child::with_a_hasty_client(
        "refusals::an_object_that_the_server_fails_to_give_and_says_nothing_of_is_kept",
    ) {
        return;
    }
    // NIXL has no way to ask without waiting; the client waits for 3 s each time it tries.
    must_outlive(|method| if method == "HEAD" { Answer::Hang } else { INTERNAL_ERROR }, ErrorKind::Io);
}
