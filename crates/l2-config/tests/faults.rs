//! What is refused, where, and with which words.

use std::time::Duration;

use l2_config::{
    AdapterConfig, Backend, ConfigErrors, DynamicConfig, EvictionConfig, EvictionPolicyName, StaticConfig,
};

#[track_caller]
fn faults(json: &str) -> ConfigErrors {
    match AdapterConfig::parse(json) {
        Err(errors) => errors,
        Ok(config) => unreachable!("accepted as {config}: {json}"),
    }
}

/// The faults of a dynamic adapter on POSIX, with these entries after the valid ones of the top level and of
/// `backend_params`.
fn dynamic(top: &str, params: &str) -> String {
    format!(
        r#"{{"type": "nixl_store_dynamic", "backend": "POSIX" {top}, "backend_params":
            {{"file_path": "/d", "use_direct_io": "false", "max_capacity_gb": "10" {params}}}}}"#
    )
}

fn pool(top: &str, params: &str) -> String {
    format!(
        r#"{{"type": "nixl_store", "backend": "POSIX", "pool_size": 64 {top}, "backend_params":
            {{"file_path": "/d", "use_direct_io": "false" {params}}}}}"#
    )
}

fn objects(params: &str) -> String {
    format!(r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": 64, "backend_params": {{{params}}}}}"#)
}

/// Every fault of the text, line by line.
#[track_caller]
fn check(json: &str, expected: &[&str]) {
    let errors = faults(json);
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected, "{json}");
    assert_eq!(errors.to_string(), expected.join("\n"));
}

#[test]
fn what_is_not_json_is_told_by_line_and_column() {
    check("", &["$: not valid JSON at line 1, column 0: EOF while parsing a value"]);
    check("{\n  'type'}", &["$: not valid JSON at line 2, column 3: key must be a string"]);
    check(r#"{"type": "nixl_store"} x"#, &["$: not valid JSON at line 1, column 24: trailing characters"]);
    check(&"[".repeat(200), &["$: not valid JSON at line 1, column 128: recursion limit exceeded"]);
}

#[test]
fn what_is_not_an_object_is_refused_and_not_shown() {
    for json in ["[]", "null", "5", "\"AccountKey=hidden\""] {
        check(json, &[r#"$: not a JSON object; allowed: an object with at least "type" and "backend""#]);
    }
}

#[test]
fn five_faults_are_five_lines() {
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "persist_enabled": "yes",
            "eviction": {"eviction_policy": "LRU", "trigger_watermark": 7},
            "backend_params": {"file_path": "", "use_direct_io": "no", "max_capacity_gb": "10", "shard_dir": "true"}}"#,
        &[
            r#"persist_enabled: not a boolean, given "yes"; allowed: true or false"#,
            "eviction.trigger_watermark: out of range, given 7; allowed: a number above 0, up to 1 (part of the capacity)",
            r#"backend_params.file_path: a blank text, given ""; allowed: a text that is not blank"#,
            r#"backend_params.use_direct_io: not a boolean, given "no"; allowed: true or false"#,
            r#"backend_params.shard_dir: unknown key, given "true"; did you mean "shard_dirs"?"#,
        ],
    );
}

#[test]
fn nothing_given_is_everything_missing() {
    check(
        "{}",
        &[
            "type: missing; allowed: nixl_store or nixl_store_dynamic",
            "backend: missing; allowed: POSIX, GDS, GDS_MT, HF3FS, OBJ or AZURE_BLOB",
        ],
    );
    check(
        r#"{"type": "nixl_store_dynamic"}"#,
        &[
            "backend: missing; allowed: POSIX, GDS, GDS_MT or HF3FS",
            "backend_params.file_path: missing; allowed: a text that is not blank",
            "backend_params.use_direct_io: missing; allowed: true or false",
            "backend_params.max_capacity_gb: missing; allowed: a number above 0, up to 4294967296 (GiB, 1024³ bytes each)",
        ],
    );
    check(
        r#"{"type": "nixl_store", "backend": "HF3FS"}"#,
        &[
            "pool_size: missing; allowed: a whole number from 1 to 4294967295 (descriptors)",
            "backend_params.file_path: missing; allowed: a text that is not blank",
            "backend_params.use_direct_io: missing; allowed: true or false",
        ],
    );
    check(
        r#"{"type": "nixl_store", "backend": "OBJ"}"#,
        &["pool_size: missing; allowed: a whole number from 1 to 4294967295 (descriptors)"],
    );
}

#[test]
fn an_unknown_type_lists_the_known_ones_and_does_not_hide_other_faults() {
    check(
        r#"{"type": "s3", "backend": "posix", "pool_size": 0, "colour": 1, "eviction": {"eviction_policy": "lru"},
            "backend_params": {"file_path": " ", "max_capacity_gb": "x"}}"#,
        &[
            r#"type: not one of the choices, given "s3"; allowed: nixl_store or nixl_store_dynamic"#,
            r#"backend: not one of the choices, given "posix"; allowed: POSIX, GDS, GDS_MT, HF3FS, OBJ or AZURE_BLOB; did you mean "POSIX"?"#,
            r#"eviction.eviction_policy: not one of the choices, given "lru"; allowed: LRU, ARC, IsolatedLRU or noop; did you mean "LRU"?"#,
            r#"backend_params.file_path: a blank text, given " "; allowed: a text that is not blank"#,
            r#"backend_params.max_capacity_gb: not a number, given "x"; allowed: a number above 0, up to 4294967296 (GiB, 1024³ bytes each)"#,
            "pool_size: out of range, given 0; allowed: a whole number from 1 to 4294967295 (descriptors)",
            "colour: unknown key; allowed: type, backend, backend_params, pool_size, persist_enabled, eviction, workers, io_timeout_seconds, affinity_tag or shared",
        ],
    );
}

#[test]
fn a_misspelled_type_is_taken_for_what_was_meant() {
    check(
        r#"{"type": "nixl_store_dynamc", "backend": "POSIX", "backend_params": {"file_path": "/d", "use_direct_io": 1}}"#,
        &[
            r#"type: not one of the choices, given "nixl_store_dynamc"; allowed: nixl_store or nixl_store_dynamic; did you mean "nixl_store_dynamic"?"#,
            "backend_params.use_direct_io: not a boolean, given 1; allowed: true or false",
            "backend_params.max_capacity_gb: missing; allowed: a number above 0, up to 4294967296 (GiB, 1024³ bytes each)",
        ],
    );
}

#[test]
fn the_dynamic_adapter_on_an_object_store_points_to_the_static_one() {
    for backend in ["OBJ", "AZURE_BLOB"] {
        check(
            &format!(
                r#"{{"type": "nixl_store_dynamic", "backend": "{backend}", "backend_params": {{"ca_bundle": "/c"}}}}"#
            ),
            &[&format!(
                r#"backend: not served by nixl_store_dynamic, given "{backend}"; allowed: POSIX, GDS, GDS_MT or HF3FS; for an object store use the type "nixl_store""#
            )],
        );
    }
}

#[test]
fn a_backend_is_spelled_exactly() {
    for (given, meant) in
        [("gds", "GDS"), ("GDSMT", "GDS_MT"), ("azure_blob", "AZURE_BLOB"), ("AZURE", "AZURE_BLOB")]
    {
        let json = format!(r#"{{"type": "nixl_store", "backend": "{given}", "pool_size": 1}}"#);
        let errors = faults(&json);
        let fault = &errors.as_slice()[0];
        assert_eq!(fault.path, "backend");
        assert_eq!(
            fault.suggestion.as_deref(),
            Some(format!("did you mean \"{meant}\"?").as_str()),
            "{given}"
        );
    }
    check(
        r#"{"type": "nixl_store", "backend": "IBM_SCALE", "pool_size": 1}"#,
        &[
            r#"backend: not one of the choices, given "IBM_SCALE"; allowed: POSIX, GDS, GDS_MT, HF3FS, OBJ or AZURE_BLOB"#,
        ],
    );
}

#[test]
fn a_key_twice_is_a_fault() {
    check(
        &dynamic(
            r#", "persist_enabled": true, "persist_enabled": false"#,
            r#", "shard_dirs": true, "shard_dirs": true"#,
        ),
        &[
            "persist_enabled: the same key twice, given false; keep one of them",
            "backend_params.shard_dirs: the same key twice, given true; keep one of them",
        ],
    );
}

#[test]
fn a_key_at_the_wrong_level_is_told_its_place() {
    check(
        r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "max_capacity_gb": "10", "eviction_policy": "LRU",
            "backend_params": {"file_path": "/d", "use_direct_io": "false", "persist_enabled": true}}"#,
        &[
            r#"max_capacity_gb: at the wrong level, given "10"; move it into backend_params"#,
            r#"eviction_policy: at the wrong level, given "LRU"; move it into eviction"#,
            "backend_params.max_capacity_gb: missing; allowed: a number above 0, up to 4294967296 (GiB, 1024³ bytes each)",
            "backend_params.persist_enabled: at the wrong level, given true; move it to the top level",
        ],
    );
}

#[test]
fn a_misspelled_key_is_told_the_right_one() {
    let cases = [
        (
            "persist_enable",
            "false",
            r#"persist_enable: unknown key, given false; did you mean "persist_enabled"?"#,
        ),
        ("Workers", "4", r#"Workers: unknown key, given 4; did you mean "workers"?"#),
        ("io_timeout", "4", r#"io_timeout: unknown key, given 4; did you mean "io_timeout_seconds"?"#),
        ("evictoin", "{}", r#"evictoin: unknown key, given {}; did you mean "eviction"?"#),
        (
            "capacity_gb",
            "1",
            r#"capacity_gb: unknown key, given 1; did you mean "max_capacity_gb", in backend_params?"#,
        ),
        (
            "watermark",
            "1",
            r#"watermark: unknown key, given 1; did you mean "trigger_watermark", in eviction?"#,
        ),
    ];
    for (key, value, line) in cases {
        check(&dynamic(&format!(r#", "{key}": {value}"#), ""), &[line]);
    }
    check(
        &dynamic("", r#", "use_urring": true"#),
        &[r#"backend_params.use_urring: unknown key, given true; did you mean "use_uring"?"#],
    );
    check(
        &dynamic(r#", "eviction": {"policy": "LRU"}"#, ""),
        &[
            "eviction.eviction_policy: missing; allowed: LRU, ARC, IsolatedLRU or noop",
            r#"eviction.policy: unknown key, given "LRU"; did you mean "eviction_policy"?"#,
        ],
    );
}

#[test]
fn a_key_of_the_other_adapter_or_backend_is_refused() {
    check(
        &dynamic("", r#", "type": "dell""#),
        &[r#"backend_params.type: has no meaning for POSIX, given "dell"; remove it: it belongs to OBJ"#],
    );
    check(
        &dynamic(r#", "pool_size": 5"#, r#", "file_size": 4096"#),
        &[
            "pool_size: has no meaning for nixl_store_dynamic, given 5; remove it, or use the type nixl_store",
            "backend_params.file_size: has no meaning for nixl_store_dynamic, given 4096; remove it, or use the type nixl_store",
        ],
    );
    check(
        &pool(
            r#", "persist_enabled": true"#,
            r#", "max_capacity_gb": 5, "shard_dirs": false, "thread_count": 2"#,
        ),
        &[
            "backend_params.max_capacity_gb: has no meaning for nixl_store, given 5; remove it, or use the type nixl_store_dynamic",
            "backend_params.shard_dirs: has no meaning for nixl_store, given false; remove it, or use the type nixl_store_dynamic",
            "backend_params.thread_count: has no meaning for POSIX, given 2; remove it: it belongs to GDS_MT",
            "persist_enabled: has no meaning for nixl_store, given true; remove it, or use the type nixl_store_dynamic",
        ],
    );
    check(
        &objects(r#""file_path": "/d", "use_direct_io": "true""#),
        &[
            r#"backend_params.file_path: has no meaning for OBJ, given "/d"; remove it: it belongs to POSIX, GDS, GDS_MT or HF3FS"#,
            r#"backend_params.use_direct_io: has no meaning for OBJ, given "true"; remove it: it belongs to POSIX, GDS, GDS_MT or HF3FS"#,
        ],
    );
}

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
fn a_strange_key_stays_on_one_line() {
    let errors = faults(&dynamic(r#", "a\n.b\u001b[2J": 1"#, "")).to_string();
    assert!(errors.starts_with(r#"$["a\u000a.b\u001b[2J"]: unknown key"#), "{errors}");
    assert!(!errors.contains(char::is_control), "{errors}");
}

#[test]
fn a_long_value_is_cut() {
    let errors = faults(&dynamic(&format!(r#", "persist_enabled": "{}""#, "x".repeat(10_000)), ""));
    assert!(errors.to_string().chars().count() < 250, "{errors}");
}

#[test]
fn what_is_built_in_rust_is_held_to_the_same_rules() {
    let mut config = DynamicConfig::new(Backend::Obj, "/d", 1 << 30);
    assert_eq!(config.validate().unwrap_err().as_slice()[0].path, "backend");
    config.backend = Backend::Posix;
    assert_eq!(config.validate(), Ok(()));

    let mut eviction = EvictionConfig::new(EvictionPolicyName::Lru);
    eviction.trigger_watermark = f64::NAN;
    eviction.eviction_ratio = 1.5;
    config.eviction = Some(eviction);
    config.file_path = "".into();
    config.max_capacity = 0;
    config.engine.workers = Some(1000);
    config.engine.io_timeout = Duration::ZERO;
    config.plugin_params.set("bucket", "b");
    let errors = config.validate().unwrap_err();
    let paths: Vec<_> = errors.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "eviction.trigger_watermark",
            "eviction.eviction_ratio",
            "workers",
            "io_timeout_seconds",
            "backend_params.file_path",
            "backend_params.max_capacity_gb",
            "backend_params.bucket",
        ]
    );

    let pool = StaticConfig::new(Backend::Posix, 0);
    let errors = pool.validate().unwrap_err();
    let paths: Vec<_> = errors.into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["pool_size", "backend_params.file_path", "backend_params.use_direct_io"]);
}
