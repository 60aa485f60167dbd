//! What is said beside the examples of how the adapters behave, where no other test of the workspace holds it.
//!
//! | said | held by |
//! |---|---|
//! | a pool is made at the start | `l2-static/tests/faults/files.rs` |
//! | no limit of open files for the dynamic adapter | `l2-dynamic/tests/faults/limits.rs` |
//! | files are kept, or deleted, at shutdown | `files.rs` here, `l2-dynamic/tests/faults/purge.rs` |
//! | what is beyond the capacity is rejected | `files.rs` here, `l2-dynamic/tests/faults/capacity.rs` |

use std::fs;
use std::slice::from_ref;

use l2_core::testing::fixtures::{fill, key};
use nixl_l2::paths::{Layout, key_to_path};
use nixl_l2::{AdapterConfig, Backend, ErrorKind, Looked};
use serde_json::Value;

use crate::examples::{ALL, DYNAMIC_POSIX, STATIC_POSIX, exchanged};
use crate::support::{home, host, names_in, refused};

#[test]
fn pool_size_must_be_above_0() {
    for example in ALL.iter().filter(|example| example.json.contains("pool_size")) {
        let (_, size) = example.json.rsplit_once(": ").unwrap();
        let size = size.trim_end_matches('}');
        for wrong in ["0", "-1", "\"0\"", "null"] {
            let json = example.with(&format!(r#""pool_size": {size}"#), &format!(r#""pool_size": {wrong}"#));
            let text = refused(&json, ErrorKind::InvalidInput);
            assert!(text.contains("pool_size"), "{text}");
        }
    }
    let home = home();
    let path = home.path().join("l2");
    refused(&exchanged(&STATIC_POSIX.at(&path), "64", "0"), ErrorKind::InvalidInput);
    assert_eq!(names_in(home.path()), [""; 0]);
}

/// The fields that an adapter cannot do without, as JSON pointers.
fn required(config: &AdapterConfig) -> Vec<&'static str> {
    let mut fields = vec!["/type", "/backend"];
    match config {
        AdapterConfig::Static(_) => fields.push("/pool_size"),
        AdapterConfig::Dynamic(_) => fields.push("/backend_params/max_capacity_gb"),
    }
    if config.backend().is_file_based() {
        fields.extend(["/backend_params/file_path", "/backend_params/use_direct_io"]);
    }
    fields
}

#[test]
fn each_required_field_that_is_left_out_is_named() {
    for example in ALL {
        let config = AdapterConfig::parse(example.json).unwrap();
        for field in required(&config) {
            let mut json: Value = serde_json::from_str(example.json).unwrap();
            let (object, name) = field.rsplit_once('/').unwrap();
            let object = json.pointer_mut(object).and_then(Value::as_object_mut).unwrap();
            assert!(object.remove(name).is_some(), "{field} in {}", example.json);
            let text = refused(&json.to_string(), ErrorKind::InvalidInput);
            let path = field.trim_start_matches('/').replace('/', ".");
            assert!(text.starts_with(&path), "{path} in {text}");
        }
    }
}

#[test]
fn obj_and_azure_blob_do_not_require_file_path() {
    let mut objects = Vec::new();
    for example in ALL {
        let config = AdapterConfig::parse(example.json).unwrap();
        assert_eq!(config.file_path().is_some(), config.backend().is_file_based(), "{}", example.json);
        if config.file_path().is_none() {
            objects.push(config.backend());
        }
    }
    assert_eq!(objects, [Backend::Obj, Backend::AzureBlob]);
}

#[test]
fn the_dynamic_adapter_refuses_obj_and_azure_blob_and_says_which_type_serves_them() {
    for backend in ["OBJ", "AZURE_BLOB"] {
        let home = home();
        let path = home.path().join("l2");
        let json = exchanged(&DYNAMIC_POSIX.at(&path), r#""POSIX""#, &format!("{backend:?}"));
        let text = refused(&json, ErrorKind::InvalidInput);
        for part in [backend, "nixl_store_dynamic", r#"the type "nixl_store""#, "POSIX", "GDS_MT", "HF3FS"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(names_in(home.path()), [""; 0]);
    }
}

#[test]
fn a_lookup_that_misses_asks_the_disk_and_enters_what_is_there_by_the_length_of_its_file() {
    let home = home();
    let host = host(&DYNAMIC_POSIX.at(home.path()));
    host.eventually("the disk is counted", || !host.adapter.status().recovering);
    let late = key(7);
    host.must_miss(from_ref(&late));
    let mut bytes = vec![0; 5000];
    fill(&late, &mut bytes);
    fs::write(home.path().join(key_to_path(&late, Layout::Flat)), &bytes).unwrap();
    assert_eq!((host.adapter.status().stored_objects, host.used()), (0, 0), "the index does not know it");

    let looked = host.lookup(from_ref(&late)).answers;
    assert!(matches!(looked[..], [Looked::Hit { bytes: 5000 }]), "{looked:?}");
    assert_eq!((host.adapter.status().stored_objects, host.used()), (1, 5000), "now it does");
    let loaded = host.load_items(vec![host.blank_of(&late, 5000)]);
    assert_eq!(loaded.loaded_bytes(), 5000);
    host.adapter.unlock(from_ref(&late));
}
