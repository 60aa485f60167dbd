//! Keys that nobody knows, or that are not where they belong.

use super::{check, dynamic, faults, objects, pool};

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
fn the_time_of_a_pin_stands_at_the_top_level() {
    let line = "backend_params.pin_ttl_seconds: at the wrong level, given 4; move it to the top level";
    check(&dynamic("", r#", "pin_ttl_seconds": 4"#), &[line]);
    check(&objects(r#""pin_ttl_seconds": 4"#), &[line]);
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
        ("pin_ttl", "4", r#"pin_ttl: unknown key, given 4; did you mean "pin_ttl_seconds"?"#),
        ("pin_tll_secs", "4", r#"pin_tll_secs: unknown key, given 4; did you mean "pin_ttl_seconds"?"#),
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
        &pool(r#", "pins_ttl_seconds": 4"#, ""),
        &[r#"pins_ttl_seconds: unknown key, given 4; did you mean "pin_ttl_seconds"?"#],
    );
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
fn a_strange_key_stays_on_one_line() {
    let errors = faults(&dynamic(r#", "a\n.b\u001b[2J": 1"#, "")).to_string();
    assert!(errors.starts_with(r#"$["a\u000a.b\u001b[2J"]: unknown key"#), "{errors}");
    assert!(!errors.contains(char::is_control), "{errors}");
}
