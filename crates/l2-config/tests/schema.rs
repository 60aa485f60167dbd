//! The schema takes what the parser takes, and refuses what a schema can.
#![expect(clippy::unwrap_used, reason = "what the tests share may fail loudly as well")]

use l2_config::{AdapterConfig, json_schema};
use serde_json::Value;

fn accepts(json: &str) -> bool {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    serde_json::from_str::<Value>(json).is_ok_and(|value| schema.is_valid(&value))
}

#[test]
fn what_the_parser_takes_the_schema_takes() {
    for json in [
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": {"file_path": "/d", "use_direct_io": "false", "max_capacity_gb": "10"}}"#,
        r#"{"type": "nixl_store_dynamic", "backend": "GDS_MT", "integrity": "checksum", "layout_tag": "bf16", "backend_params":
            {"file_path": "/d", "use_direct_io": true, "max_capacity_gb": 0.5, "shard_dirs": "True", "thread_count": 4}}"#,
        r#"{"type": "nixl_store", "backend": "POSIX", "pool_size": 64, "backend_params": {"file_path": "/d", "use_direct_io": "false",
            "file_size": "33554432"}, "eviction": {"eviction_policy": "LRU", "trigger_watermark": 0.9}}"#,
        r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 32, "backend_params": {"bucket": "kv", "access_key": "a", "secret_key": "b"}}"#,
        r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 32}"#,
        r#"{"type": "nixl_store", "backend": "AZURE_BLOB", "pool_size": 32, "shared": true, "affinity_tag": "a",
            "backend_params": {"container_name": "kv"}}"#,
    ] {
        AdapterConfig::parse(json).unwrap_or_else(|faults| panic!("{json}\n{faults}"));
        assert!(accepts(json), "{json}");
    }
}

#[test]
fn what_a_schema_can_refuse_it_does() {
    let good = r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "persist_enabled": true, "backend_params":
        {"file_path": "/d", "use_direct_io": "false", "max_capacity_gb": "10"}, "eviction": {"eviction_policy": "LRU", "trigger_watermark": 0.8}}"#;
    assert!(accepts(good));
    for (from, to) in [
        ("POSIX", "OBJ"),
        ("POSIX", "posix"),
        ("persist_enabled", "persist_enable"),
        ("true", "\"yes\""),
        ("\"/d\"", "\" \""),
        ("\"/d\"", "5"),
        ("0.8", "7"),
        ("0.8", "0"),
        ("LRU", "lru"),
        ("max_capacity_gb", "capacity"),
        ("nixl_store_dynamic", "nixl_store"),
    ] {
        let bad = good.replace(from, to);
        assert!(!accepts(&bad), "{bad}");
        assert!(AdapterConfig::parse(&bad).is_err(), "{bad}");
    }
}
