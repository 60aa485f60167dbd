//! `nixl-l2 check`: every fault at once, and nothing is opened.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Home, PROGRAM, run};

#[test]
fn what_is_right_is_shown_with_its_defaults_and_nothing_is_made() {
    let home = Home::new();
    let pool = r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 32, "shared": true,
        "backend_params": {"bucket": "kv", "secret_key": "sesame", "access_key": "me"}}"#;
    // Where nobody finds NIXL.
    let output = Command::new(PROGRAM)
        .env_clear()
        .args(["check", "--l2-adapter", &home.config(|_| {}), "--l2-adapter", pool])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("--l2-adapter #1: ok: {") && text.contains(r#""integrity":"size""#), "{text}");
    assert!(text.contains("--l2-adapter #2: note: shared: "), "{text}");
    assert!(!text.contains("sesame"), "{text}");
    assert_eq!(home.names(), Vec::<String>::new());
}

#[test]
fn of_several_configurations_each_fault_is_named_with_its_path() {
    let bad = r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "persist_enable": true, "workers": 0,
        "eviction": {"eviction_policy": "LRU", "trigger_watermark": 7},
        "backend_params": {"file_path": "/nowhere", "use_direct_io": "yes", "max_capacity_gb": 0}}"#;
    run(["check", "--l2-adapter", "{", "--l2-adapter", bad]).refused(&[
        "--l2-adapter #1: $: ",
        "--l2-adapter #2: 5 faults: ",
        "persist_enable: unknown key",
        "did you mean \"persist_enabled\"?",
        "workers: out of range",
        "eviction.trigger_watermark: out of range, given 7",
        "backend_params.use_direct_io: not a boolean",
        "backend_params.max_capacity_gb: out of range",
    ]);
}

#[test]
fn every_example_of_the_users_page_is_right() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seed.txt");
    let Ok(page) = fs::read_to_string(&page) else {
        let why = "the users' page, shared/seed.txt, is not beside this repository";
        return l2_core::testing::child::skipped("every_example_of_the_users_page_is_right", why);
    };
    let examples: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("--l2-adapter '")?.strip_suffix('\'')).collect();
    assert_eq!(examples.len(), 9);
    let arguments = examples.iter().flat_map(|json| ["--l2-adapter", json]);
    let text = run(["check"].into_iter().chain(arguments)).ok();
    assert_eq!(text.matches(": ok: ").count(), examples.len(), "{text}");
}

#[test]
fn the_schema_is_json() {
    let schema: Value = serde_json::from_str(&run(["check", "--schema"]).ok()).unwrap();
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 10);
    let ran = run(["check"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--l2-adapter"), "{ran:?}");
}
