//! Bad input: one line that says what and where, an exit code that is not 0, nothing created, nothing lost.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Home, PROGRAM, Ran, finish, key, run};

fn replay(trace: &Path, config: &str) -> Ran {
    run(["replay", "--trace", trace.to_str().unwrap(), "--l2-adapter", config, "--json"])
}

fn put(file: &Path, config: &str, key: &str) -> Ran {
    run(["put", "--l2-adapter", config, "--key", key, file.to_str().unwrap()])
}

fn get(out: &Path, config: &str, key: &str) -> Ran {
    run(["get", "--l2-adapter", config, "--key", key, "--out", out.to_str().unwrap()])
}

#[test]
fn a_trace_that_is_missing_or_no_file_is_refused_and_nothing_is_created() {
    let home = Home::new();
    let config = home.config(|_| {});
    let missing = home.path("none.jsonl");
    replay(&missing, &config).refused(&[missing.to_str().unwrap(), "No such file"]);
    let directory = home.path("");
    replay(&directory, &config).refused(&[directory.to_str().unwrap(), "not a regular file"]);
    let empty = home.file("empty.jsonl", "");
    replay(&empty, &config).refused(&[empty.to_str().unwrap(), "no request"]);
    assert_eq!(home.names(), ["empty.jsonl"]);
}

/// It would be stored, and forgotten with the command.
#[test]
fn a_pool_is_refused_for_single_objects() {
    let home = Home::new();
    let file = home.file("file", "kv");
    let config = json!({"type": "nixl_store", "backend": "POSIX", "pool_size": 1, "backend_params":
        {"file_path": home.path("l2"), "use_direct_io": "false"}})
    .to_string();
    let says = ["nixl_store forgets", "nixl_store_dynamic"];
    put(&file, &config, &key("m", "ab")).refused(&says);
    get(&home.path("out"), &config, &key("m", "ab")).refused(&says);
    assert_eq!(home.names(), ["file"]);
}

/// With the arithmetic, and a way out.
#[test]
fn a_pool_of_more_files_than_descriptors_is_refused_and_nothing_is_created() {
    let home = Home::new();
    let trace = home.file("trace.jsonl", "{\"hash_ids\": [1]}\n");
    let config = json!({"type": "nixl_store", "backend": "POSIX", "pool_size": 2_000_000, "backend_params":
        {"file_path": home.path("l2"), "use_direct_io": "false", "file_size": "4096"}})
    .to_string();
    let says = ["2000000 file descriptors", "RLIMIT_NOFILE", "8192000000 bytes", "file_size 67108864"];
    replay(&trace, &config).refused(&says);
    assert_eq!(home.names(), ["trace.jsonl"]);
}

#[test]
fn a_malformed_line_of_a_trace_is_named_before_anything_is_stored() {
    let home = Home::new();
    let trace = home.file("trace.jsonl", "{\"hash_ids\": [1]}\n{\"hash_ids\": [1, }\n");
    replay(&trace, &home.config(|_| {})).refused(&[trace.to_str().unwrap(), "line 2", "column 18"]);
    assert_eq!(home.names(), ["trace.jsonl"]);
}

#[test]
fn every_fault_of_a_configuration_is_one_line_and_nothing_is_created() {
    let home = Home::new();
    let file = home.file("file", "kv");
    let trace = home.file("trace.jsonl", "{\"hash_ids\": [1]}\n");
    let key = key("m", "ab");
    let cases = [
        ("{".to_owned(), vec!["--l2-adapter", "$"]),
        ("[]".to_owned(), vec!["--l2-adapter"]),
        (
            home.config(|config| config["backend"] = json!("POSIXX")),
            vec!["backend", "POSIXX", "did you mean \"POSIX\""],
        ),
        (
            home.config(|config| drop(config["backend_params"].as_object_mut().unwrap().remove("file_path"))),
            vec!["backend_params.file_path"],
        ),
        (
            home.config(|config| config["persist_enable"] = json!(true)),
            vec!["did you mean \"persist_enabled\""],
        ),
        (
            home.config(|config| {
                config["backend_params"]["max_capacity_gb"] = json!("nan");
                config["workers"] = json!(0);
            }),
            vec!["2 faults", "max_capacity_gb", "workers"],
        ),
    ];
    for (config, says) in cases {
        replay(&trace, &config).refused(&says);
        put(&file, &config, &key).refused(&says);
        get(&home.path("out"), &config, &key).refused(&says);
        assert_eq!(home.names(), ["file", "trace.jsonl"], "after {config}");
    }
}

#[test]
fn a_secret_in_a_faulty_configuration_is_not_shown() {
    let home = Home::new();
    let config = json!({"type": "nixl_store", "backend": "OBJ", "pool_size": 0,
        "backend_params": {"bucket": "kv", "secret_key": "hunter2", "secret_kee": "hunter2"}});
    let ran = put(&home.file("file", "kv"), &config.to_string(), &key("m", "ab"));
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    ran.refused(&["pool_size"]);
}

#[test]
fn a_key_that_could_leave_the_directory_is_refused_and_nothing_is_created() {
    let home = Home::new();
    let file = home.file("file", "kv");
    let config = home.config(|_| {});
    for (key, says) in [
        (key("a\0b", "ab"), "model_name"),
        (key("..", "ab"), "model_name"),
        (key("../../etc/x", "ab"), "model_name"),
        (key("m", "a"), "chunk_hash_hex"),
        (key("m", ""), "chunk_hash_hex"),
        (key("m", "../x"), "chunk_hash_hex"),
        (key("m", "ab").replace("\"cache_salt\":\"\"", "\"cache_salt\":\"../x\""), "cache_salt"),
        (key("m", "ab").replace("kv_rank", "kv_rnk"), "kv_rnk"),
        ("m_0_0_ab".to_owned(), "not a JSON object"),
    ] {
        put(&file, &config, &key).refused(&["--key", says]);
        get(&home.path("out"), &config, &key).refused(&["--key", says]);
        assert_eq!(home.names(), ["file"], "after {key}");
    }
}

#[test]
fn a_directory_that_cannot_be_is_refused_with_its_path() {
    let home = Home::new();
    let file = home.file("file", "kv");
    let below = home.path("file/below");
    for in_the_way in [file.as_path(), &below, Path::new("/proc/nixl-l2")] {
        let config = home.config(|config| config["backend_params"]["file_path"] = json!(in_the_way));
        put(&file, &config, &key("m", "ab")).refused(&[in_the_way.to_str().unwrap()]);
        get(&home.path("out"), &config, &key("m", "ab")).refused(&[in_the_way.to_str().unwrap()]);
        assert_eq!(home.names(), ["file"]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"kv");
}

#[test]
fn files_that_cannot_be_stored_are_refused_and_nothing_is_created() {
    let home = Home::new();
    let config = home.config(|_| {});
    let empty = home.file("empty", "");
    put(&empty, &config, &key("m", "ab")).refused(&[empty.to_str().unwrap(), "empty"]);
    put(&home.path("none"), &config, &key("m", "ab")).refused(&["none", "No such file"]);
    put(&home.path(""), &config, &key("m", "ab")).refused(&["not a regular file"]);
    assert_eq!(home.names(), ["empty"]);
}

#[test]
fn a_place_for_the_result_that_is_no_file_is_refused_before_anything_is_opened() {
    let home = Home::new();
    let config = home.config(|_| {});
    for (out, says) in [(home.path(""), "not a regular file"), (home.path("none/out"), "No such file")] {
        get(&out, &config, &key("m", "ab")).refused(&["--out", says]);
        assert!(home.names().is_empty());
    }
}

#[test]
fn what_was_stored_outlives_every_bad_input() {
    let home = Home::new();
    let file = home.file("file", "the kv of a prompt");
    let config = home.config(|_| {});
    put(&file, &config, &key("m", "ab")).ok();
    let missing = home.path("none");
    replay(&missing, &config).refused(&[]);
    put(&missing, &config, &key("m", "ab")).refused(&[]);
    put(&file, &config, &key("..", "ab")).refused(&[]);
    put(&file, &home.config(|config| config["backend"] = json!("OBJ")), &key("m", "ab")).refused(&[]);
    let out = home.path("out");
    get(&out, &config, &key("m", "ab")).ok();
    assert_eq!(fs::read(out).unwrap(), b"the kv of a prompt");
}

#[test]
fn without_nixl_the_error_lists_where_it_was_looked_for_and_nothing_is_created() {
    let home = Home::new();
    // Away from the build directory, below which `cargo xtask setup` puts NIXL.
    let alone = tempfile::tempdir().unwrap();
    let program = alone.path().join("nixl-l2");
    fs::copy(PROGRAM, &program).unwrap();
    let file = home.file("file", "kv");
    let args =
        ["put", "--l2-adapter", &home.config(|_| {}), "--key", &key("m", "ab"), file.to_str().unwrap()];
    let ran = finish(Command::new(program).args(args).env_clear().env("NIXL_LIB_DIR", alone.path()));
    if ran.code == Some(0) {
        // This machine has NIXL where the loader finds it by itself; then there is nothing to see.
        assert!(home.cache().exists());
        return;
    }
    ran.refused(&["NIXL_LIB_DIR", alone.path().to_str().unwrap(), "cargo xtask setup", "pip install"]);
    assert_eq!(home.names(), ["file"]);
}

#[test]
fn wrong_usage_ends_with_2_and_a_bad_log_filter_with_one_line() {
    for args in [&["frobnicate"][..], &["replay"], &["put", "--key", "{}"], &[]] {
        assert_eq!(run(args.iter().copied()).code, Some(2), "{args:?}");
    }
    let home = Home::new();
    let trace = home.file("trace.jsonl", "{\"hash_ids\": [1]}\n");
    let mut command = Command::new(PROGRAM);
    command.args(["replay", "--trace", trace.to_str().unwrap(), "--l2-adapter", &home.config(|_| {})]);
    let output = command.env("NIXL_L2_LOG", "a=b=c").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("NIXL_L2_LOG"), "{stderr}");
}
