//! Replays of small traces: the numbers, a restart, the limits, and wrong bytes found.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Home, PROGRAM, Ran, finish, objects, run};

const BLOCKS: u64 = 20 * 15;
/// The system prompt, and what each of 20 users has alone.
const DISTINCT: u64 = 5 + 20 * 10;
const PREFIX_HITS: u64 = BLOCKS - DISTINCT;

/// 20 users with a shared prefix of 5 blocks and 10 of their own.
fn trace(home: &Home) -> PathBuf {
    let mut text = String::new();
    for user in 0..20 {
        let blocks: Vec<u64> = (0..5).chain(user * 100 + 5..user * 100 + 15).collect();
        writeln!(text, "{{\"timestamp\": {user}, \"input_length\": 7680, \"hash_ids\": {blocks:?}}}")
            .unwrap();
    }
    home.file("trace.jsonl", text)
}

fn replay(trace: &Path, config: &str, more: &[&str]) -> Ran {
    let args = ["replay", "--trace", trace.to_str().unwrap(), "--l2-adapter", config, "--verify", "--json"];
    run(args.iter().chain(more).copied())
}

#[track_caller]
fn numbers<const N: usize>(json: &Value, fields: [&str; N]) -> [u64; N] {
    fields.map(|field| json[field].as_u64().unwrap_or_else(|| panic!("{field} in {json}")))
}

/// Replays twice, in two processes: the second finds all that the first stored.
#[track_caller]
fn replay_and_restart(config: &str, trace: &Path, more: &[&str], block_bytes: u64) {
    for (hits, stored) in [(PREFIX_HITS, DISTINCT), (BLOCKS, 0)] {
        let ran = replay(trace, config, more);
        let json = ran.json();
        let got = numbers(
            &json,
            ["requests", "blocks", "prefix_hits", "stored", "mismatches", "store_failed", "evicted"],
        );
        assert_eq!(got, [20, BLOCKS, hits, stored, 0, 0, 0], "{json}");
        let got = numbers(&json, ["loaded_bytes", "stored_bytes", "usage_bytes", "capacity_bytes"]);
        assert_eq!(
            got,
            [hits * block_bytes, stored * block_bytes, DISTINCT * block_bytes, 1 << 30],
            "{json}"
        );
        assert_eq!(json["hit_rate"].as_f64(), Some(hits as f64 / BLOCKS as f64));
        assert!(json["elapsed_s"].as_f64() > Some(0.0) && json["load_gbps"].as_f64() > Some(0.0), "{json}");
        assert_eq!(json["store_gbps"].as_f64() > Some(0.0), stored > 0, "{json}");
        ran.ok();
    }
}

#[test]
fn a_restart_finds_everything_and_stores_nothing() {
    let home = Home::new();
    let trace = trace(&home);
    replay_and_restart(&home.config(|_| {}), &trace, &[], 65536);
    assert_eq!(objects(&home.cache()).len() as u64, DISTINCT);
}

#[test]
fn the_numbers_are_the_same_with_directories_by_hash_with_direct_io_and_on_the_other_queue() {
    let change: [fn(&mut Value); 3] = [
        |config| config["backend_params"]["shard_dirs"] = json!("true"),
        |config| config["backend_params"]["use_direct_io"] = json!("true"),
        |config| config["backend_params"]["use_uring"] = json!("true"),
    ];
    for change in change {
        let home = Home::new();
        let config = home.config(change);
        if config.contains("\"use_direct_io\":\"true\"") && !home.takes_direct_io() {
            let _ = writeln!(io::stderr(), "skipped: no direct I/O on the file system of the build");
            continue;
        }
        replay_and_restart(&config, &trace(&home), &["--block-bytes", "4096"], 4096);
        if config.contains("shard_dirs") {
            assert!(
                objects(&home.cache()).iter().all(|name| name.len() == 2),
                "{:?}",
                objects(&home.cache())
            );
        }
    }
}

#[test]
fn the_limit_of_open_files_does_not_matter() {
    let home = Home::new();
    let trace = trace(&home);
    let config = home.config(|_| {});
    for (hits, stored) in [(PREFIX_HITS, DISTINCT), (BLOCKS, 0)] {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", PROGRAM]);
        command.args([
            "replay",
            "--trace",
            trace.to_str().unwrap(),
            "--l2-adapter",
            &config,
            "--verify",
            "--json",
        ]);
        let ran = finish(&mut command);
        let got =
            numbers(&ran.json(), ["prefix_hits", "stored", "store_failed", "load_failed", "mismatches"]);
        assert_eq!(got, [hits, stored, 0, 0, 0], "{ran:?}");
        ran.ok();
    }
}

#[test]
fn another_block_size_on_the_same_directory_is_all_misses_and_never_a_mismatch() {
    let home = Home::new();
    let trace = trace(&home);
    let config = home.config(|_| {});
    for block_bytes in ["4096", "1000", "5000"] {
        for (hits, stored) in [(PREFIX_HITS, DISTINCT), (BLOCKS, 0)] {
            let ran = replay(&trace, &config, &["--block-bytes", block_bytes]);
            let got =
                numbers(&ran.json(), ["prefix_hits", "stored", "mismatches", "load_failed", "store_failed"]);
            assert_eq!(got, [hits, stored, 0, 0, 0], "{block_bytes}: {ran:?}");
            ran.ok();
        }
    }
}

#[test]
fn a_full_adapter_rejects_what_does_not_fit_and_goes_on() {
    let home = Home::new();
    // Room for 64 blocks of 16 KiB.
    let config = home.config(|config| config["backend_params"]["max_capacity_gb"] = json!("0.0009765625"));
    let ran = replay(&trace(&home), &config, &["--block-bytes", "16384"]);
    let json = ran.json();
    let got =
        numbers(&json, ["stored", "store_failed", "rejected", "usage_bytes", "capacity_bytes", "mismatches"]);
    assert_eq!(got, [64, DISTINCT - 64, DISTINCT - 64, 1 << 20, 1 << 20, 0], "{json}");
    assert!(json["first_error"].is_string(), "{json}");
    assert_eq!(objects(&home.cache()).len(), 64);
    ran.ok();
}

#[test]
fn bytes_that_changed_on_disk_never_pass_unseen() {
    let home = Home::new();
    let trace = trace(&home);
    let config = home.config(|_| {});
    replay(&trace, &config, &["--block-bytes", "4096"]).ok();
    let victim = home.cache().join(objects(&home.cache()).first().unwrap());
    let mut bytes = fs::read(&victim).unwrap();
    bytes[1234] ^= 1;
    fs::write(&victim, bytes).unwrap();
    let ran = replay(&trace, &config, &["--block-bytes", "4096"]);
    let json = ran.json();
    // An adapter that checks what it reads fails the load itself.
    if numbers(&json, ["load_failed"]) == [0] {
        assert!(numbers(&json, ["mismatches"]) > [0], "{json}");
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("byte 1234 of 4096") && ran.stderr.contains("key mooncake/conversation"),
            "{}",
            ran.stderr
        );
    } else {
        assert_eq!(numbers(&json, ["mismatches", "stored"]), [0, 1], "{json}");
        ran.ok();
    }
}

#[test]
fn a_file_that_is_gone_or_short_is_a_block_to_store_again() {
    let home = Home::new();
    let trace = trace(&home);
    let config = home.config(|_| {});
    replay(&trace, &config, &["--block-bytes", "4096"]).ok();
    let stored = objects(&home.cache());
    fs::remove_file(home.cache().join(&stored[3])).unwrap();
    fs::File::options().write(true).open(home.cache().join(&stored[7])).unwrap().set_len(100).unwrap();
    let ran = replay(&trace, &config, &["--block-bytes", "4096"]);
    assert_eq!(numbers(&ran.json(), ["stored", "mismatches", "store_failed"]), [2, 0, 0], "{ran:?}");
    ran.ok();
    assert_eq!(objects(&home.cache()), stored);
}

#[test]
fn only_the_requests_asked_for_are_replayed_and_files_go_where_the_configuration_says_so() {
    let home = Home::new();
    let config = home.config(|config| config["persist_enabled"] = json!(false));
    let ran = replay(&trace(&home), &config, &["--requests", "3"]);
    assert_eq!(numbers(&ran.json(), ["requests", "blocks", "stored", "evicted"]), [3, 45, 35, 0], "{ran:?}");
    ran.ok();
    assert!(!home.cache().exists() || objects(&home.cache()).is_empty());
}

#[test]
fn without_json_there_is_a_table() {
    let home = Home::new();
    let trace = trace(&home);
    let said = run(["replay", "--trace", trace.to_str().unwrap(), "--l2-adapter", &home.config(|_| {})]).ok();
    for part in ["prefix hits", "31.67 %", "205", "GB/s"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// A trace of a production service, where it lies beside the project.
fn production_trace() -> Option<PathBuf> {
    let trace =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mooncake_conversation_trace.jsonl");
    if !trace.exists() {
        let _ = writeln!(io::stderr(), "SKIPPED: {} is not there", trace.display());
        return None;
    }
    Some(trace)
}

#[track_caller]
fn must_replay(trace: &Path, config: &str, more: &[&str], expect: [u64; 3]) {
    let ran = replay(trace, config, &[&["--block-bytes", "4096"], more].concat());
    let fields = ["blocks", "prefix_hits", "stored", "store_failed", "mismatches"];
    let [blocks, hits, stored] = expect;
    assert_eq!(numbers(&ran.json(), fields), [blocks, hits, stored, 0, 0], "{ran:?}");
    ran.ok();
}

/// What the project promises of the real trace, in two runs.
#[test]
#[ignore = "writes 182,790 files"]
fn the_production_trace_hits_as_often_as_it_should() {
    let Some(trace) = production_trace() else { return };
    let home = Home::new();
    for (hits, stored) in [(105_710, 182_790), (288_500, 0)] {
        must_replay(&trace, &home.config(|_| {}), &[], [288_500, hits, stored]);
    }
}

fn pool(home: &Home) -> String {
    json!({"type": "nixl_store", "backend": "POSIX", "pool_size": 200, "backend_params":
        {"file_path": home.path("l2"), "use_direct_io": "false", "file_size": "4194304"}})
    .to_string()
}

#[test]
#[ignore = "takes 40 s where it is not optimised"]
fn the_production_trace_hits_as_often_on_a_pool_of_files() {
    let Some(trace) = production_trace() else { return };
    let home = Home::new();
    must_replay(&trace, &pool(&home), &[], [288_500, 105_710, 182_790]);
}

#[test]
fn the_first_requests_of_the_production_trace_hit_on_a_pool_of_files() {
    let Some(trace) = production_trace() else { return };
    let home = Home::new();
    must_replay(&trace, &pool(&home), &["--requests", "1500"], [41_702, 11_068, 30_634]);
}

#[test]
fn the_first_requests_of_the_production_trace_hit_on_a_pool_of_objects() {
    let Some(trace) = production_trace() else { return };
    let home = Home::new();
    let server = test_servers::S3Server::start(&home.path("s3")).unwrap();
    let parameters: serde_json::Map<_, _> =
        server.params().into_iter().map(|(name, value)| (name, value.into())).collect();
    let config =
        json!({"type": "nixl_store", "backend": "OBJ", "pool_size": 6000, "backend_params": parameters});
    must_replay(&trace, &config.to_string(), &["--requests", "200"], [5537, 322, 5215]);
}
