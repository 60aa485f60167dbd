//! The examples on OBJ and AZURE_BLOB, against real servers on this machine. Keys and addresses come from the environment,
//! as for users: each runs in a child that has one of its own.

use l2_core::testing::fixtures::keys;
use nixl_l2::ErrorKind;
use test_servers::{Azurite, BUCKET, S3Server};

use crate::child;
use crate::examples::{STATIC_AZURE_BLOB, STATIC_OBJ, exchanged};
use crate::support::{PAGE, home, host, objects_live, refused, skipped};

/// Slots are as long as the first object, and each object takes one.
fn the_pool_of_32_works(json: &str) {
    let host = host(json);
    let slot = 16 << 10;
    objects_live(&host, slot, slot as u64);
    assert_eq!(host.adapter.usage().capacity_bytes, 32 * slot as u64);
    objects_live(&host, PAGE, slot as u64);
    let all = keys(33);
    let report = host.store(&all);
    let full: Vec<_> = report.failures().map(|(at, error)| (at, error.kind())).collect();
    assert_eq!(full, [(32, ErrorKind::Full)]);
    host.must_load(&all[..32]);
}

#[test]
fn obj_takes_bucket_address_and_keys_from_the_environment() {
    if child::is_this() {
        return the_pool_of_32_works(STATIC_OBJ.json);
    }
    let home = home();
    let server = S3Server::start(&home.path().join("s3")).unwrap();
    let test = "object_stores::obj_takes_bucket_address_and_keys_from_the_environment";
    let variables = [
        ("AWS_DEFAULT_BUCKET", BUCKET),
        ("AWS_ENDPOINT_URL", &server.endpoint()),
        ("AWS_ACCESS_KEY_ID", server.access_key()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
    ];
    child::must_pass(test, home.path(), &variables);
}

#[test]
fn obj_without_a_bucket_says_where_to_name_one() {
    if child::is_this() {
        let text = refused(STATIC_OBJ.json, ErrorKind::Unsupported);
        return assert!(text.contains("set the parameter bucket, or AWS_DEFAULT_BUCKET"), "{text}");
    }
    child::must_pass("object_stores::obj_without_a_bucket_says_where_to_name_one", home().path(), &[]);
}

/// The variable with which a child is told the account's address, which is part of the text.
const ACCOUNT_URL: &str = "NIXL_L2_SEED_ACCOUNT_URL";

#[test]
fn azure_blob_takes_account_and_container_from_the_text_and_the_key_from_the_environment() {
    if child::is_this() {
        let url = std::env::var(ACCOUNT_URL).unwrap();
        let json = STATIC_AZURE_BLOB.with("https://<account_name>.blob.core.windows.net", &url);
        return the_pool_of_32_works(&exchanged(&json, "<container_name>", BUCKET));
    }
    let home = home();
    let Some(server) = Azurite::start(&home.path().join("azurite")).unwrap() else {
        return skipped(&Azurite::missing().expect("Azurite is missing, and nobody knows why"));
    };
    let test = "object_stores::azure_blob_takes_account_and_container_from_the_text_and_the_key_from_the_environment";
    let (url, connection) = (server.endpoint(), server.connection_string());
    let variables = [(ACCOUNT_URL, url.as_str()), ("AZURE_STORAGE_CONNECTION_STRING", &connection)];
    child::must_pass(test, home.path(), &variables);
}
