//! What is refused, where, and with which words.

use std::time::Duration;

use l2_config::{
    AdapterConfig, Backend, ConfigErrors, DynamicConfig, EvictionConfig, EvictionPolicyName, StaticConfig,
};

#[cfg(test)]
mod keys;
#[cfg(test)]
mod values;

#[track_caller]
fn faults(json: &str) -> ConfigErrors {
    match AdapterConfig::parse(json) {
        Err(errors) => errors,
        Ok(config) => unreachable!("accepted as {config}: {json}"),
    }
}

/// A dynamic adapter on POSIX, with these entries after the valid ones of the top level and of
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

/// A pool of files on another backend, with these entries after the valid ones of `backend_params`.
fn on(backend: &str, params: &str) -> String {
    pool("", &format!(", {params}")).replace("POSIX", backend)
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
            "colour: unknown key; allowed: type, backend, backend_params, pool_size, persist_enabled, eviction, workers, io_timeout_seconds, spin_microseconds, pin_ttl_seconds, integrity, layout_tag, durability, recover_scan, min_free_gb, affinity_tag or shared",
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
    config.engine.spin = Duration::from_secs(2);
    config.pin_ttl = Some(Duration::ZERO);
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
            "spin_microseconds",
            "pin_ttl_seconds",
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

#[test]
fn a_pin_built_in_rust_lasts_for_ever_or_some_time_but_not_no_time_at_all() {
    let max = AdapterConfig::MAX_PIN_TTL;
    let allowed = "allowed: a number from 0 to 31536000 (seconds)";
    for (ttl, line) in [
        (Duration::ZERO, format!(r#"pin_ttl_seconds: not a number, given "0ns"; {allowed}"#)),
        (
            max + Duration::from_nanos(1),
            format!("pin_ttl_seconds: out of range, given 31536000.000000004; {allowed}"),
        ),
        (
            max + Duration::from_millis(1),
            format!("pin_ttl_seconds: out of range, given 31536000.001; {allowed}"),
        ),
        (Duration::MAX, format!("pin_ttl_seconds: out of range, given 1.8446744073709552e+19; {allowed}")),
    ] {
        let mut files = DynamicConfig::new(Backend::Posix, "/d", 1);
        files.pin_ttl = Some(ttl);
        assert_eq!(files.validate().unwrap_err().to_string(), line);
        let mut pool = StaticConfig::new(Backend::Obj, 1);
        pool.pin_ttl = Some(ttl);
        assert_eq!(pool.validate().unwrap_err().to_string(), line);
    }
    for ttl in [None, Some(Duration::from_nanos(1)), Some(max)] {
        let mut files = DynamicConfig::new(Backend::Posix, "/d", 1);
        files.pin_ttl = ttl;
        assert_eq!(files.validate(), Ok(()), "{ttl:?}");
        let mut pool = StaticConfig::new(Backend::Obj, 1);
        pool.pin_ttl = ttl;
        assert_eq!(pool.validate(), Ok(()), "{ttl:?}");
    }
}
