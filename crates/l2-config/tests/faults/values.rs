//! Values that are not what their key may hold.

use super::{check, dynamic, faults, objects, on, pool};
use l2_config::AdapterConfig;

#[test]
fn what_lmcache_takes_in_silence_is_refused_with_its_path() {
    let cases = [
        (pool("", "").replace("64", "true"), "pool_size: not a whole number, given true"),
        (pool("", "").replace("64", "0"), "pool_size: out of range, given 0"),
        (pool("", "").replace("64", "-1"), "pool_size: out of range, given -1"),
        (pool("", "").replace("64", "1.5"), "pool_size: not a whole number, given 1.5"),
        (pool("", r#", "file_size": 0"#), "backend_params.file_size: out of range, given 0"),
        (pool("", r#", "file_size": "-4096""#), r#"backend_params.file_size: out of range, given "-4096""#),
        (
            pool("", r#", "file_size": 4096, "slot_size": 8192"#),
            "backend_params.slot_size: another name for file_size",
        ),
        (
            pool("", r#", "file_size": 9223372036854775807"#),
            "pool_size: out of range, given 64; allowed: less than",
        ),
        (
            dynamic(r#", "eviction": "LRU""#, ""),
            r#"eviction: not an object, given "LRU"; allowed: a JSON object"#,
        ),
        (dynamic(r#", "eviction": {}"#, ""), "eviction.eviction_policy: missing"),
        (dynamic(r#", "eviction": null"#, ""), "eviction: not an object, given null"),
        (dynamic(r#", "shared": "maybe""#, ""), r#"shared: not a boolean, given "maybe""#),
        (dynamic(r#", "affinity_tag": " ""#, ""), r#"affinity_tag: a blank text, given " ""#),
        (dynamic(r#", "affinity_tag": 7"#, ""), "affinity_tag: not a text, given 7"),
        (
            dynamic(r#", "serde": {"type": "fp8"}"#, ""),
            "serde: not served: ignoring it would change the stored bytes",
        ),
        (dynamic(r#", "persist_enabled": "0""#, ""), r#"persist_enabled: not a boolean, given "0""#),
        (
            dynamic(r#", "workers": 0"#, ""),
            "workers: out of range, given 0; allowed: a whole number from 1 to 64 (threads)",
        ),
        (dynamic(r#", "workers": 65"#, ""), "workers: out of range"),
        (dynamic(r#", "io_timeout_seconds": 0"#, ""), "io_timeout_seconds: out of range, given 0"),
        (dynamic(r#", "spin_microseconds": 1000001"#, ""), "spin_microseconds: out of range, given 1000001"),
        (dynamic(r#", "io_timeout_seconds": 3601"#, ""), "io_timeout_seconds: out of range, given 3601"),
        (dynamic(r#", "io_timeout_seconds": 1e-12"#, ""), "io_timeout_seconds: out of range, given 1e-12"),
        (dynamic("", r#", "shard_dirs": "1""#), r#"backend_params.shard_dirs: not a boolean, given "1""#),
        (
            dynamic("", "").replace("\"10\"", "\"inf\""),
            r#"backend_params.max_capacity_gb: out of range, given "inf""#,
        ),
        (dynamic("", "").replace("\"10\"", "0"), "backend_params.max_capacity_gb: out of range, given 0"),
        (
            dynamic("", "").replace("\"10\"", "\"-1\""),
            r#"backend_params.max_capacity_gb: out of range, given "-1""#,
        ),
        (
            dynamic("", "").replace("\"10\"", "1e-10"),
            "backend_params.max_capacity_gb: out of range, given 1e-10; allowed: at least one byte",
        ),
        (
            dynamic("", "").replace("\"10\"", "true"),
            "backend_params.max_capacity_gb: not a number, given true",
        ),
        (
            dynamic("", "").replace("\"false\"", "\"yes\""),
            r#"backend_params.use_direct_io: not a boolean, given "yes""#,
        ),
        (
            dynamic("", "").replace("/d", "/d\\u0000"),
            r#"backend_params.file_path: a text with a NUL in it, given "/d\u0000""#,
        ),
        (dynamic("", "").replace("\"/d\"", "5"), "backend_params.file_path: not a text, given 5"),
        (
            r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 1, "backend_params": []}"#.to_owned(),
            "backend_params: not an object, given []",
        ),
    ];
    for (json, start) in cases {
        let errors = faults(&json).to_string();
        assert!(errors.starts_with(start) && !errors.contains('\n'), "{json}\n{errors}");
    }
}

#[test]
fn watermark_and_ratio_are_parts_of_a_whole() {
    for key in ["trigger_watermark", "eviction_ratio"] {
        for value in ["7", "-1", "0", "\"nan\"", "\"NaN\"", "\"inf\"", "1.0001", "true", "null", "\"\""] {
            let errors = faults(&dynamic(
                &format!(r#", "eviction": {{"eviction_policy": "noop", "{key}": {value}}}"#),
                "",
            ));
            let [fault] = errors.as_slice() else { panic!("{errors}") };
            assert_eq!(fault.path, format!("eviction.{key}"));
            assert_eq!(fault.given.as_deref(), Some(value));
            assert!(fault.allowed.as_deref().unwrap().starts_with("a number above 0, up to 1 (part of the "));
        }
    }
}

#[test]
fn the_time_of_a_pin_is_a_number_from_0_to_a_year() {
    let allowed = "allowed: a number from 0 to 31536000 (seconds)";
    for (value, problem) in [
        ("-1", "out of range"),
        ("-1e-300", "out of range"),
        ("\"-0.5\"", "out of range"),
        ("31536000.001", "out of range"),
        ("\"31536001\"", "out of range"),
        ("1e+300", "out of range"),
        ("\"inf\"", "out of range"),
        ("\"-inf\"", "out of range"),
        ("\"1e999\"", "out of range"),
        ("\"nan\"", "not a number"),
        ("\"NaN\"", "not a number"),
        ("\"\"", "not a number"),
        ("\"10 s\"", "not a number"),
        ("\"never\"", "not a number"),
        ("true", "not a number"),
        ("null", "not a number"),
        ("[600]", "not a number"),
        ("{}", "not a number"),
    ] {
        let line = format!("pin_ttl_seconds: {problem}, given {value}; {allowed}");
        let top = format!(r#", "pin_ttl_seconds": {value}"#);
        check(&dynamic(&top, ""), &[&line]);
        check(&pool(&top, ""), &[&line]);
    }
}

#[test]
fn what_is_nearly_0_is_not_taken_for_the_0_that_is_for_ever() {
    for value in ["1e-12", "4e-10", "\"1e-300\""] {
        let line =
            format!("pin_ttl_seconds: out of range, given {value}; allowed: 0, or a nanosecond or more");
        let top = format!(r#", "pin_ttl_seconds": {value}"#);
        check(&dynamic(&top, ""), &[&line]);
        check(&pool(&top, ""), &[&line]);
    }
    let json = r#"{"type": "s3", "backend": "OBJ", "pin_ttl_seconds": 1e-12}"#;
    assert_eq!(
        faults(json).as_slice()[1].to_string(),
        "pin_ttl_seconds: out of range, given 1e-12; allowed: 0, or a nanosecond or more"
    );
}

#[test]
fn a_plugin_parameter_out_of_its_limits_is_refused() {
    let cases = [
        (
            dynamic("", r#", "ios_pool_size": 63"#),
            "backend_params.ios_pool_size: out of range, given 63; allowed: a whole number from 64 to 65536 (descriptors)",
        ),
        (
            dynamic("", r#", "kernel_queue_size": "1025""#),
            r#"backend_params.kernel_queue_size: out of range, given "1025"; allowed: a whole number from 16 to 1024 (requests)"#,
        ),
        (dynamic("", r#", "use_aio": "on""#), r#"backend_params.use_aio: not a boolean, given "on""#),
        (
            dynamic("", r#", "use_posix_aio": true"#),
            "backend_params.use_posix_aio: refused: after one I/O error this queue fails every transfer",
        ),
        (
            dynamic("", r#", "use_aio": "true", "use_uring": "true""#),
            r#"backend_params.use_uring: only one kind of queue can be used, and use_aio is true as well, given "true"; keep one of them"#,
        ),
        (
            objects(r#""scheme": "ftp""#),
            r#"backend_params.scheme: not one of the choices, given "ftp"; allowed: http or https"#,
        ),
        (
            objects(r#""req_checksum": "require""#),
            r#"backend_params.req_checksum: not one of the choices, given "require"; allowed: required or supported; did you mean "required"?"#,
        ),
        (
            on("GDS", r#""batch_limit": 129"#),
            "backend_params.batch_limit: out of range, given 129; allowed: a whole number from 1 to 128 (entries)",
        ),
        (
            on("GDS", r#""batch_pool_size": 0"#),
            "backend_params.batch_pool_size: out of range, given 0; allowed: a whole number from 1 to 1024 (batches)",
        ),
        (
            on("GDS", r#""max_request_size": 16777217"#),
            "backend_params.max_request_size: out of range, given 16777217; allowed: a whole number from 4096 to 16777216 (bytes)",
        ),
        (
            on("GDS", r#""max_request_size": "10000""#),
            r#"backend_params.max_request_size: not a multiple of 4096, as direct I/O wants it, given "10000"; round it down"#,
        ),
        (
            on("GDS_MT", r#""thread_count": 0"#),
            "backend_params.thread_count: out of range, given 0; allowed: a whole number from 1 to 1024 (threads)",
        ),
        (
            on("HF3FS", r#""mem_config": "dram_zc""#),
            r#"backend_params.mem_config: not one of the choices, given "dram_zc"; allowed: dram"#,
        ),
        (
            on("HF3FS", r#""iopool_size": 1048577"#),
            "backend_params.iopool_size: out of range, given 1048577; allowed: a whole number from 1 to 1048576 (requests)",
        ),
        (objects(r#""bucket": ["b"]"#), r#"backend_params.bucket: not a text, given ["b"]"#),
        (
            objects(r#""access_key": "id""#),
            "backend_params.access_key: of no use without secret_key, given <redacted>; add secret_key, or remove it",
        ),
        (
            objects(r#""secret_key": "s", "access_key": """#),
            "backend_params.secret_key: of no use without access_key, given <redacted>",
        ),
        (
            objects(r#""session_token": "t""#),
            "backend_params.session_token: of no use without secret_key, given <redacted>",
        ),
    ];
    for (json, start) in cases {
        let errors = faults(&json).to_string();
        assert!(errors.starts_with(start) && !errors.contains('\n'), "{json}\n{errors}");
    }
}

#[test]
fn a_long_value_is_cut() {
    let errors = faults(&dynamic(&format!(r#", "persist_enabled": "{}""#, "x".repeat(10_000)), ""));
    assert!(errors.to_string().chars().count() < 250, "{errors}");
}

#[test]
fn a_prefix_of_objects_is_a_text_that_can_begin_a_name() {
    let prefix = |json: &str| objects(&format!(r#""object_prefix": {json}"#));
    let path = "backend_params.object_prefix";
    check(
        &prefix("\" \""),
        &[&format!(r#"{path}: a blank text, given " "; allowed: a text that is not blank"#)],
    );
    check(&prefix("7"), &[&format!("{path}: not a text, given 7; allowed: a text that is not blank")]);
    let long = format!("\"{}\"", "é".repeat(257));
    let errors = faults(&prefix(&long)).to_string();
    assert!(errors.starts_with(&format!("{path}: 514 bytes long, of at most 512, given ")), "{errors}");
    for (json, problem) in [
        (r#""a\u0000""#, "a text with a NUL in it"),
        (r#""a\n""#, "a text with a control character in it"),
        (r#""\u0085a""#, "a text with a control character in it"),
    ] {
        let errors = faults(&prefix(json)).to_string();
        assert!(errors.starts_with(&format!("{path}: {problem}, given ")), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    AdapterConfig::parse(&prefix(&format!("\"{}\"", "é".repeat(256)))).unwrap();
    check(
        &pool("", r#", "object_prefix": "a/""#),
        &[&format!(
            r#"{path}: has no meaning for POSIX, given "a/"; remove it: it belongs to OBJ or AZURE_BLOB"#
        )],
    );
}

#[test]
fn what_is_for_lmcaches_loader_of_plugins_is_told_where_the_configuration_is() {
    check(
        r#"{"type": "plugin", "module_path": "nixl_l2.lmcache", "class_name": "NixlStoreDynamicL2Adapter",
            "adapter_params": {"backend": "POSIX"}}"#,
        &[
            r#"type: LMCache's loader of plugins, and no adapter, given "plugin"; allowed: nixl_store or nixl_store_dynamic; give what is in its adapter_params, with the "type" beside it"#,
        ],
    );
}
