//! The configurations that users are promised, letter by letter, and what each means.

use std::path::PathBuf;
use std::time::Duration;

use l2_config::{
    AdapterConfig, Backend, Durability, DynamicConfig, EvictionConfig, EvictionPolicyName, FileStorage,
    Integrity, RecoverScan, StaticConfig,
};

#[track_caller]
fn check(json: &str, expected: impl Into<AdapterConfig>) {
    let expected = expected.into();
    assert_eq!(AdapterConfig::parse(json), Ok(expected.clone()));
    assert_eq!(expected.validate(), Ok(()));
}

fn pool(backend: Backend, pool_size: u64, file_path: &str, use_direct_io: bool) -> StaticConfig {
    let mut file = FileStorage::new(file_path);
    file.use_direct_io = use_direct_io;
    let mut config = StaticConfig::new(backend, pool_size);
    config.file = Some(file);
    config
}

#[test]
fn static_pool_on_posix() {
    check(
        r#"{"type": "nixl_store", "backend": "POSIX", "backend_params": {"file_path": "/data/lmcache/l2", "use_direct_io": "false"}, "pool_size": 64}"#,
        pool(Backend::Posix, 64, "/data/lmcache/l2", false),
    );
}

#[test]
fn static_pool_on_gds() {
    check(
        r#"{"type": "nixl_store", "backend": "GDS", "backend_params": {"file_path": "/data/nvme/lmcache", "use_direct_io": "true"}, "pool_size": 128}"#,
        pool(Backend::Gds, 128, "/data/nvme/lmcache", true),
    );
}

#[test]
fn static_pool_on_gds_mt() {
    check(
        r#"{"type": "nixl_store", "backend": "GDS_MT", "backend_params": {"file_path": "/data/nvme/lmcache", "use_direct_io": "true"}, "pool_size": 128}"#,
        pool(Backend::GdsMt, 128, "/data/nvme/lmcache", true),
    );
}

#[test]
fn static_pool_on_hf3fs() {
    check(
        r#"{"type": "nixl_store", "backend": "HF3FS", "backend_params": {"file_path": "/mnt/hf3fs/lmcache", "use_direct_io": "false"}, "pool_size": 64}"#,
        pool(Backend::Hf3fs, 64, "/mnt/hf3fs/lmcache", false),
    );
}

#[test]
fn static_pool_on_obj() {
    check(
        r#"{"type": "nixl_store", "backend": "OBJ", "backend_params": {}, "pool_size": 32}"#,
        StaticConfig::new(Backend::Obj, 32),
    );
}

#[test]
fn static_pool_on_azure_blob() {
    let mut expected = StaticConfig::new(Backend::AzureBlob, 32);
    expected.plugin_params.set("account_url", "https://<account_name>.blob.core.windows.net");
    expected.plugin_params.set("container_name", "<container_name>");
    check(
        r#"{"type": "nixl_store", "backend": "AZURE_BLOB", "backend_params": {"account_url": "https://<account_name>.blob.core.windows.net", "container_name": "<container_name>"}, "pool_size": 32}"#,
        expected,
    );
}

#[test]
fn dynamic_on_posix_keeps_its_files_by_default() {
    let mut expected = DynamicConfig::new(Backend::Posix, "/data/lmcache/l2", 10 * 1024 * 1024 * 1024);
    expected.persist_enabled = true;
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": {"file_path": "/data/lmcache/l2", "use_direct_io": "false", "max_capacity_gb": "10"}}"#,
        expected,
    );
}

#[test]
fn dynamic_without_persist() {
    let mut expected = DynamicConfig::new(Backend::Posix, "/data/lmcache/l2", 10 << 30);
    expected.persist_enabled = false;
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": {"file_path": "/data/lmcache/l2", "use_direct_io": "false", "max_capacity_gb": "10"}, "persist_enabled": false}"#,
        expected,
    );
}

#[test]
fn dynamic_with_eviction() {
    let mut eviction = EvictionConfig::new(EvictionPolicyName::Lru);
    eviction.trigger_watermark = 0.9;
    eviction.eviction_ratio = 0.1;
    let mut expected = DynamicConfig::new(Backend::Gds, "/data/nvme/l2", 50 << 30);
    expected.use_direct_io = true;
    expected.eviction = Some(eviction);
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "GDS", "backend_params": {"file_path": "/data/nvme/l2", "use_direct_io": "true", "max_capacity_gb": "50"}, "eviction": {"eviction_policy": "LRU", "trigger_watermark": 0.9, "eviction_ratio": 0.1}}"#,
        expected,
    );
}

#[test]
fn every_key_of_the_dynamic_adapter_at_once() {
    let mut expected = DynamicConfig::new(Backend::Posix, "/d", 1 << 29);
    expected.shard_dirs = true;
    expected.eviction = Some(EvictionConfig::new(EvictionPolicyName::IsolatedLru));
    expected.engine.workers = Some(4);
    expected.engine.io_timeout = Duration::from_millis(2500);
    expected.engine.spin = Duration::from_micros(50);
    expected.pin_ttl = Some(Duration::from_millis(1250));
    expected.plugin_params.set("use_uring", "true");
    expected.plugin_params.set("use_posix_aio", "false");
    expected.plugin_params.set("ios_pool_size", "4096");
    expected.plugin_params.set("kernel_queue_size", "64");
    expected.host.affinity_tag = Some("l1-a".to_owned());
    expected.host.shared = Some(false);
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "workers": "4", "io_timeout_seconds": 2.5,
            "spin_microseconds": "50", "pin_ttl_seconds": 1.25, "affinity_tag": "l1-a", "shared": "False", "eviction": {"eviction_policy": "IsolatedLRU"},
            "backend_params": {"file_path": "/d", "use_direct_io": false, "max_capacity_gb": 0.5, "shard_dirs": "TRUE",
                "use_uring": true, "use_posix_aio": "false", "ios_pool_size": "4096", "kernel_queue_size": 64}}"#,
        expected,
    );
}

#[test]
fn what_is_done_for_safety_is_said_at_the_top_level() {
    let mut expected = DynamicConfig::new(Backend::Posix, "/d", 1 << 30);
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "integrity": "size", "durability": "none", "recover_scan": "background",
            "min_free_gb": 0, "backend_params": {"file_path": "/d", "use_direct_io": false, "max_capacity_gb": 1}}"#,
        expected.clone(),
    );
    expected.integrity = Integrity::Checksum;
    expected.layout_tag = Some("llama@5f2 bf16".to_owned());
    expected.durability = Durability::Fsync;
    expected.recover_scan = RecoverScan::Off;
    expected.min_free = 3 << 29;
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "integrity": "checksum", "layout_tag": "llama@5f2 bf16",
            "durability": "fsync", "recover_scan": "off", "min_free_gb": "1.5",
            "backend_params": {"file_path": "/d", "use_direct_io": false, "max_capacity_gb": 1}}"#,
        expected,
    );
    let mut pool = StaticConfig::new(Backend::Obj, 32);
    pool.integrity = Integrity::Checksum;
    check(r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 32, "integrity": "checksum"}"#, pool);
}

#[test]
fn a_pin_lasts_ten_minutes_or_what_is_said_or_for_ever() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let cases = [
        ("", seconds(600)),
        (r#", "pin_ttl_seconds": "600""#, seconds(600)),
        (r#", "pin_ttl_seconds": 30"#, seconds(30)),
        (r#", "pin_ttl_seconds": " 0.5 ""#, Some(Duration::from_millis(500))),
        (r#", "pin_ttl_seconds": 1e-9"#, Some(Duration::from_nanos(1))),
        (r#", "pin_ttl_seconds": 31536000"#, Some(AdapterConfig::MAX_PIN_TTL)),
        (r#", "pin_ttl_seconds": 0"#, None),
        (r#", "pin_ttl_seconds": "0.0""#, None),
        (r#", "pin_ttl_seconds": -0.0"#, None),
    ];
    for (key, pin_ttl) in cases {
        let mut files = DynamicConfig::new(Backend::Posix, "/d", 1 << 30);
        files.pin_ttl = pin_ttl;
        check(
            &format!(
                r#"{{"type": "nixl_store_dynamic", "backend": "POSIX" {key}, "backend_params":
                    {{"file_path": "/d", "use_direct_io": false, "max_capacity_gb": 1}}}}"#
            ),
            files,
        );
        let mut objects = StaticConfig::new(Backend::Obj, 32);
        objects.pin_ttl = pin_ttl;
        check(&format!(r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": 32 {key}}}"#), objects);
    }
    assert_eq!(DynamicConfig::new(Backend::Posix, "/d", 1).pin_ttl, Some(AdapterConfig::DEFAULT_PIN_TTL));
    assert_eq!(StaticConfig::new(Backend::Obj, 1).pin_ttl, Some(AdapterConfig::DEFAULT_PIN_TTL));
}

#[test]
fn a_slot_size_goes_by_either_name() {
    for params in [
        r#""file_size": "4194304""#,
        r#""slot_size": 4194304"#,
        r#""slot_size": 4194304, "file_size": 4194304"#,
    ] {
        let json = format!(
            r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": 2, "backend_params": {{{params}}}}}"#
        );
        let AdapterConfig::Static(config) = AdapterConfig::parse(&json).unwrap() else { panic!("{json}") };
        assert_eq!(config.slot_bytes, Some(4 << 20), "{json}");
    }
}

#[test]
fn a_prefix_of_objects_is_kept_as_it_is_and_is_no_parameter_of_the_plugin() {
    for backend in ["OBJ", "AZURE_BLOB"] {
        let json = format!(
            r#"{{"type": "nixl_store", "backend": "{backend}", "pool_size": 2, "backend_params": {{"object_prefix": " é/x"}}}}"#
        );
        let mut expected = StaticConfig::new(Backend::from_name(backend).unwrap(), 2);
        expected.object_prefix = Some(" é/x".to_owned());
        assert!(expected.plugin_params.is_empty());
        check(&json, expected);
    }
    let mut files = StaticConfig::new(Backend::Posix, 2);
    files.file = Some(FileStorage::new("/d"));
    files.object_prefix = Some("a/".to_owned());
    assert_eq!(files.validate().unwrap_err().as_slice()[0].path, "backend_params.object_prefix");
}

#[test]
fn gigabytes_are_gib_and_a_part_of_a_byte_does_not_count() {
    for (given, bytes) in [("10", 10 << 30), ("0.5", 1 << 29), ("0.1", 107_374_182), ("4294967296", 1 << 62)]
    {
        for given in [given.to_owned(), format!("\"{given}\"")] {
            let json = format!(
                r#"{{"type": "nixl_store_dynamic", "backend": "POSIX",
                    "backend_params": {{"file_path": "/d", "use_direct_io": "false", "max_capacity_gb": {given}}}}}"#
            );
            let AdapterConfig::Dynamic(config) = AdapterConfig::parse(&json).unwrap() else {
                panic!("{json}")
            };
            assert_eq!(config.max_capacity, bytes, "{given}");
        }
    }
}

#[test]
fn every_plugin_parameter_passes_through() {
    let cases = [
        ("GDS", r#""batch_pool_size": 32, "batch_limit": "64", "max_request_size": 1048576"#, 3),
        ("GDS_MT", r#""thread_count": 8"#, 1),
        ("HF3FS", r#""mount_point": "/mnt/3fs/", "mem_config": "dram", "iopool_size": 64"#, 3),
        (
            "OBJ",
            r#""bucket": "b", "endpoint_override": "http://127.0.0.1:9000", "scheme": "http", "region": "eu",
               "access_key": "id", "secret_key": "s", "session_token": "t", "use_virtual_addressing": "false",
               "req_checksum": "required", "resp_checksum": "supported", "ca_bundle": "/ca.pem",
               "crtMinLimit": 10485760, "throughput_target_gbps": "25", "accelerated": true, "type": "dell",
               "num_threads": 16"#,
            16,
        ),
        (
            "AZURE_BLOB",
            r#""account_url": "https://a.blob.core.windows.net", "container_name": "kv", "connection_string": "",
               "ca_bundle": "/ca.pem", "num_threads": "4""#,
            5,
        ),
    ];
    for (backend, params, count) in cases {
        let file = if ["OBJ", "AZURE_BLOB"].contains(&backend) {
            String::new()
        } else {
            r#", "file_path": "/d", "use_direct_io": "true""#.to_owned()
        };
        let json = format!(
            r#"{{"type": "nixl_store", "backend": "{backend}", "pool_size": 2, "backend_params": {{{params}{file}}}}}"#
        );
        let config = AdapterConfig::parse(&json).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.plugin_params().expose().count(), count, "{backend}");
        assert_eq!(config.validate(), Ok(()));
    }
}

#[test]
fn numbers_and_booleans_become_the_texts_that_nixl_takes() {
    let json = r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 2,
        "backend_params": {"bucket": 5, "region": true, "crtMinLimit": 1e7, "accelerated": "TRUE"}}"#;
    let config = AdapterConfig::parse(json).unwrap();
    let params: Vec<_> = config.plugin_params().expose().collect();
    assert_eq!(
        params,
        [("accelerated", "true"), ("bucket", "5"), ("crtMinLimit", "10000000"), ("region", "true")]
    );
}

#[test]
fn keys_of_the_host_are_kept_with_a_note() {
    let json =
        r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 2, "affinity_tag": "a", "shared": true}"#;
    let config = AdapterConfig::parse(json).unwrap();
    let notes: Vec<_> = config.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "affinity_tag: the host's to use; it changes nothing here",
            "shared: the host's to use; it changes nothing here"
        ]
    );
    assert_eq!(config.host().shared, Some(true));
}

#[test]
fn what_a_plugin_would_pass_over_gets_a_note() {
    let json = r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 2,
        "backend_params": {"type": "dell", "throughput_target_gbps": 25, "crtMinLimit": 0}}"#;
    let paths: Vec<_> =
        AdapterConfig::parse(json).unwrap().notes().into_iter().map(|note| note.path).collect();
    assert_eq!(paths, ["backend_params.type", "backend_params.throughput_target_gbps"]);

    let json = r#"{"type": "nixl_store", "backend": "AZURE_BLOB", "pool_size": 2,
        "backend_params": {"account_url": "https://a", "connection_string": "x"}}"#;
    let paths: Vec<_> =
        AdapterConfig::parse(json).unwrap().notes().into_iter().map(|note| note.path).collect();
    assert_eq!(paths, ["backend_params.account_url"]);
}

#[test]
fn what_is_common_can_be_asked_of_either_adapter() {
    let config = AdapterConfig::from(DynamicConfig::new(Backend::Hf3fs, "/mnt/3fs/l2", 1));
    assert_eq!(config.backend(), Backend::Hf3fs);
    assert_eq!(config.adapter_type().name(), "nixl_store_dynamic");
    assert_eq!(config.file_path(), Some(PathBuf::from("/mnt/3fs/l2").as_path()));
    assert_eq!(config.engine().io_timeout, Duration::from_secs(30));
    assert_eq!(config.engine().spin, Duration::from_millis(1));
    assert_eq!(config.pin_ttl(), Some(Duration::from_secs(600)));
    assert_eq!(config.eviction(), None);
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(AdapterConfig::from(StaticConfig::new(Backend::Obj, 1)).file_path(), None);
}
