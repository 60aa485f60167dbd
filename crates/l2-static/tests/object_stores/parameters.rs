//! What is configured for the plugin reaches the wire unchanged.

use l2_config::{AdapterConfig, StaticConfig};
use l2_core::testing::fixtures::key;

use crate::scripted::{Answer, Asked, Scripted};
use crate::support::{Opener, new_prefix};

const DONE: Answer = Answer::Say("200 OK", "");
const CREATED: Answer = Answer::Say("201 Created", "");

/// A configuration from JSON, with a pool of one slot of 4096 bytes.
fn config(backend: &str, prefix: &str, params: &[(&str, &str)]) -> StaticConfig {
    let mut all = format!(r#""slot_size": 4096, "object_prefix": "{prefix}""#);
    for (name, value) in params {
        all += &format!(r#", "{name}": "{value}""#);
    }
    let json = format!(
        r#"{{"type": "nixl_store", "backend": "{backend}", "pool_size": 1, "backend_params": {{{all}}}}}"#
    );
    match AdapterConfig::parse(&json).unwrap() {
        AdapterConfig::Static(config) => config,
        other => panic!("{other:?}"),
    }
}

/// The one request that a store makes.
#[track_caller]
fn of_a_store(server: &Scripted, config: StaticConfig) -> Asked {
    let before = server.asked().len();
    Opener::new(config).host().must_store(&[key(0)]);
    let asked = server.asked();
    assert_eq!(asked.len() - before, 1, "{asked:?}");
    asked[before].clone()
}

#[test]
fn the_parameters_of_obj_reach_the_wire() {
    let server = Scripted::start(|_| DONE);
    let prefix = new_prefix();
    let endpoint = server.endpoint();
    let given = |checksum| {
        [
            ("bucket", "kv-cache.test"),
            ("endpoint_override", endpoint.as_str()),
            ("scheme", "http"),
            ("region", "eu-test-7"),
            ("access_key", "AKIATEST"),
            ("secret_key", "of-no-use"),
            ("session_token", "some/session+token=="),
            ("use_virtual_addressing", "false"),
            ("req_checksum", checksum),
        ]
    };
    let asked = of_a_store(&server, config("OBJ", &prefix, &given("required")));
    assert_eq!(asked.method, "PUT");
    assert_eq!(asked.path, format!("/kv-cache.test/{prefix}0000000000"));
    assert_eq!(asked.header("host"), endpoint.strip_prefix("http://"));
    assert_eq!(asked.header("x-amz-security-token"), Some("some/session+token=="));
    let authorization = asked.header("authorization").unwrap();
    assert!(authorization.contains("Credential=AKIATEST/"), "{authorization}");
    assert!(authorization.contains("/eu-test-7/s3/aws4_request"), "{authorization}");
    let checksum = |asked: &Asked| {
        let sums = ["x-amz-checksum-crc32", "x-amz-checksum-crc64nvme", "x-amz-trailer"];
        sums.iter().any(|name| asked.header(name).is_some())
    };
    assert!(!checksum(&asked), "{asked:?}");

    let asked = of_a_store(&server, config("OBJ", &prefix, &given("supported")));
    assert!(checksum(&asked), "{asked:?}");
}

#[test]
fn the_parameters_of_azure_blob_reach_the_wire() {
    let server = Scripted::start(|_| CREATED);
    let prefix = new_prefix();
    let endpoint = server.endpoint();
    let connection = format!(
        "DefaultEndpointsProtocol=http;AccountName=anaccount;AccountKey=b2Ytbm8tdXNl;BlobEndpoint={endpoint}/anaccount;"
    );
    let given = [("connection_string", connection.as_str()), ("container_name", "kv-cache")];
    let asked = of_a_store(&server, config("AZURE_BLOB", &prefix, &given));
    assert_eq!(asked.method, "PUT");
    assert_eq!(asked.path, format!("/anaccount/kv-cache/{prefix}0000000000"));
    let authorization = asked.header("authorization").unwrap();
    assert!(authorization.starts_with("SharedKey anaccount:"), "{authorization}");
}

#[test]
fn the_number_of_threads_is_the_number_of_requests_at_once() {
    let server = Scripted::start(|_| Answer::Hang);
    let endpoint = server.endpoint();
    let params = [
        ("bucket", "b"),
        ("endpoint_override", endpoint.as_str()),
        ("access_key", "a"),
        ("secret_key", "s"),
        ("num_threads", "3"),
    ];
    let mut config = config("OBJ", &new_prefix(), &params);
    config.pool_size = 8;
    config.engine.workers = Some(1);
    config.engine.io_timeout = std::time::Duration::from_millis(500);
    let opener = Opener::new(config);
    let host = opener.host();
    let stores = host.adapter.submit_store((0..8).map(|number| host.item(&key(number))).collect());
    host.eventually("three requests", || server.asked().len() == 3);
    host.adapter.close().unwrap();
    host.wait(stores);
    assert_eq!(server.asked().len(), 3, "{:#?}", server.asked());
}
