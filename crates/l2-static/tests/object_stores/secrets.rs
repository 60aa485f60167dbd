//! Secrets are in nothing that anybody writes: errors, `Debug`, our log, NIXL's.

use std::fmt::Debug;
use std::io::Write;

use l2_config::StaticConfig;
use l2_core::L2Error;
use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use test_servers::S3Server;

use crate::child;
use crate::scripted::{ACCESS_DENIED, Answer, Scripted};
use crate::support::{Opener, Store, new_prefix};

/// What no output may have in it. In Base64 where it is an account's key: "a secret of this test".
const SECRETS: [&str; 7] = [
    "SECRET-of-the-secret-key",
    "SECRET-of-the-access-key",
    "SECRET-of-the-session-token",
    "YSBzZWNyZXQgb2YgdGhpcyB0ZXN0",
    "SECRET-that-is-no-base64",
    // Those of the S3 server.
    "test-secret-key",
    "test-access-key",
];
const FAILED: &str = "as it should, this failed: ";

/// Runs `test` again with this log level of NIXL's, and reads all that it wrote.
#[track_caller]
fn must_keep_secrets(test: &str, nixl_log_level: Option<&str>) {
    let variables: Vec<_> = nixl_log_level.map(|level| ("NIXL_LOG_LEVEL", level)).into_iter().collect();
    let output = child::must_pass_again(test, &variables);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(err.contains(FAILED), "nothing failed:\n{err}");
    assert!(err.contains("TRACE") && err.contains("object_stores"), "our log is not there:\n{err}");
    for line in out.lines().chain(err.lines()) {
        for secret in SECRETS {
            assert!(!line.contains(secret), "{secret} in: {line}");
        }
    }
}

/// All of our log, and all that can be shown of these, on stderr.
fn log_all() {
    // The S3 server, in this process, too, logs the headers that it gets.
    let ours = "off,object_stores=trace,l2_config=trace,l2_core=trace,l2_engine=trace,l2_files=trace,l2_index=trace,\
                l2_memory=trace,l2_static=trace,nixl_safe=trace";
    tracing_subscriber::fmt().with_env_filter(ours).with_ansi(false).with_writer(std::io::stderr).init();
    tracing::trace!("the log is on");
}

fn show(what: &impl Debug) {
    writeln!(std::io::stderr(), "{what:?}\n{what:#?}").unwrap();
}

fn show_error(error: &L2Error) {
    writeln!(std::io::stderr(), "{FAILED}{error}").unwrap();
    show(error);
}

/// Shows what there is before, and after a store has failed.
fn store_in_vain(config: StaticConfig) {
    show(&config);
    let opener = Opener::new(config);
    let host = opener.host();
    show(&host.adapter);
    let report = host.store(&keys(2));
    show_error(report.outcomes[0].result.as_ref().unwrap_err());
    show(&report);
    show_status(&host);
}

fn show_status(host: &Host) {
    show(&host.adapter);
    show(&host.adapter.status());
}

fn refuse_and_show_obj() {
    log_all();
    let root = tempfile::tempdir().unwrap();
    let mut server = S3Server::start(root.path()).unwrap();
    let right = Store::s3(&server);
    let wrong = right
        .clone()
        .with("access_key", "SECRET-of-the-access-key")
        .with("secret_key", "SECRET-of-the-secret-key")
        .with("session_token", "SECRET-of-the-session-token");
    store_in_vain(wrong.config(4));

    let host = Opener::new(right.config(4)).host();
    host.must_store(&keys(2));
    server.kill();
    let refusing = Scripted::instead_of(&server.endpoint(), |_| ACCESS_DENIED);
    let load = host.load(&keys(2));
    show_error(load.outcomes[0].result.as_ref().unwrap_err());
    show(&load);
    show_status(&host);
    drop(refusing);

    // Half a credential, and a prefix that cannot be: this is refused before NIXL is asked.
    let mut half = wrong.clone().with("secret_key", "").config(4);
    half.object_prefix = Some("\n".into());
    let l1 = l2_memory::Region::allocate(1 << 20).unwrap();
    show_error(&Opener::new(half).adapter(&l1).unwrap_err());
}

fn refuse_and_show_azure() {
    log_all();
    let server = Scripted::start(|_| Answer::Say("403 Forbidden", ""));
    let endpoint = server.endpoint();
    let config = |secret: &str| {
        let mut config = StaticConfig::new(l2_config::Backend::AzureBlob, 4);
        config.slot_bytes = Some(4096);
        config.object_prefix = Some(new_prefix());
        let connection = format!(
            "DefaultEndpointsProtocol=http;AccountName=anaccount;AccountKey={secret};BlobEndpoint={endpoint}/anaccount;"
        );
        config.plugin_params.set("connection_string", connection);
        config.plugin_params.set("container_name", "kv-cache");
        config
    };
    store_in_vain(config("YSBzZWNyZXQgb2YgdGhpcyB0ZXN0"));

    // This one the client cannot even read.
    let opener = Opener::new(config("SECRET-that-is-no-base64"));
    show(&opener.config);
    let l1 = l2_memory::Region::allocate(1 << 20).unwrap();
    match opener.adapter(&l1) {
        Err(error) => show_error(&error),
        Ok(adapter) => {
            drop(adapter);
            let host = opener.host();
            let report = host.store(&[key(0)]);
            show_error(report.outcomes[0].result.as_ref().unwrap_err());
            show(&report);
        }
    }
}

#[test]
fn no_secret_of_obj_is_in_any_output() {
    if child::is_child() {
        return refuse_and_show_obj();
    }
    for level in [None, Some("WARN"), Some("TRACE")] {
        must_keep_secrets("secrets::no_secret_of_obj_is_in_any_output", level);
    }
}

#[test]
fn no_secret_of_azure_blob_is_in_any_output() {
    if child::is_child() {
        return refuse_and_show_azure();
    }
    for level in [None, Some("WARN"), Some("TRACE")] {
        must_keep_secrets("secrets::no_secret_of_azure_blob_is_in_any_output", level);
    }
}
