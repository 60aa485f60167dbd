//! `nixl-l2 bench`: the numbers are there and verified, and nothing is left, also after an interrupt.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Home, PROGRAM, Ran, names, objects, run};

const FIELDS: [&str; 8] = [
    "delete_keys_per_s",
    "init_s",
    "load1_p50_us",
    "load1_p99_us",
    "load_GBps",
    "lookup_keys_per_s",
    "store_GBps",
    "verified",
];

fn bench(config: &str, sizes: [&str; 3], more: &[&str]) -> Ran {
    let [object_bytes, objects, batch] = sizes;
    let args = ["bench", "--l2-adapter", config, "--object-bytes", object_bytes, "--objects", objects];
    run(args.iter().chain(&["--batch", batch]).chain(more).copied())
}

fn pool(home: &Home) -> String {
    json!({"type": "nixl_store", "backend": "POSIX", "pool_size": 32, "backend_params":
        {"file_path": home.path("pool"), "use_direct_io": "false", "file_size": "65536"}})
    .to_string()
}

/// Exactly these fields, each number above 0, all bytes verified.
#[track_caller]
fn check_numbers(numbers: &Value) {
    let mut names: Vec<&str> = numbers.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, FIELDS);
    assert_eq!(numbers["verified"], json!(true));
    for name in FIELDS.iter().filter(|name| **name != "verified") {
        assert!(numbers[name].as_f64() > Some(0.0), "{name} in {numbers}");
    }
}

#[test]
fn the_numbers_of_both_adapters_are_there_and_nothing_is_left() {
    let home = Home::new();
    for config in [home.config(|_| {}), pool(&home)] {
        // As it comes, one object, and batches that do not divide the objects, or are larger.
        for sizes in [["65536", "32", "8"], ["65536", "1", "1"], ["5000", "7", "3"], ["4096", "3", "100"]] {
            let ran = bench(&config, sizes, &["--json"]);
            check_numbers(&ran.json());
            assert_eq!(ran.ok().lines().count(), 1);
            assert_eq!(home.names(), [""; 0], "after {config} with {sizes:?}");
        }
    }
}

#[test]
fn larger_pages_of_l1_and_other_ways_to_keep_files_are_measured_as_well() {
    let home = Home::new();
    let direct = home.takes_direct_io();
    let sharded = home.config(|config| {
        config["backend_params"]["shard_dirs"] = json!("true");
        config["backend_params"]["use_direct_io"] = json!(direct.to_string());
        config["integrity"] = json!("checksum");
        config["persist_enabled"] = json!(false);
    });
    let ran = bench(&sharded, ["8192", "20", "4"], &["--json", "--l1-align-bytes", "2097152"]);
    check_numbers(&ran.json());
    ran.ok();
    let said = bench(&sharded, ["8192", "20", "4"], &[]).ok();
    assert!(said.contains("loads, GB/s") && said.contains("right"), "{said}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn two_configurations_are_compared_by_their_ratios() {
    let home = Home::new();
    let other = pool(&home);
    let ran = bench(&home.config(|_| {}), ["65536", "8", "8"], &["--compare", &other, "--json"]);
    let json = ran.json();
    for side in ["a", "b"] {
        check_numbers(&json[side]);
    }
    let ratios = json["ratios"].as_object().unwrap();
    assert_eq!(ratios.len(), FIELDS.len() - 1, "{json}");
    for (name, ratio) in ratios {
        assert!(FIELDS.contains(&name.as_str()) && ratio.as_f64() > Some(0.0), "{name} in {json}");
    }
    ran.ok();
    let said = bench(&home.config(|_| {}), ["4096", "8", "8"], &["--compare", &other]).ok();
    assert!(said.contains("B/A"), "{said}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn what_does_not_fit_is_refused_with_the_sum_and_nothing_is_made() {
    let home = Home::new();
    bench(&pool(&home), ["65536", "33", "8"], &[]).refused(&[
        "--objects 33 of 64.0 KiB come to 2.1 MiB",
        "32 slots of 64 KiB hold 2 MiB",
        "which is 32 of them",
        "lower --objects",
        "pool_size to 33",
    ]);
    let small = home.config(|config| config["backend_params"]["max_capacity_gb"] = json!("0.0009765625"));
    bench(&small, ["65536", "17", "8"], &[]).refused(&["max_capacity_gb is 1 MiB", "which is 16 of them"]);
    bench(&home.config(|_| {}), ["65536", "1", "1"], &["--compare", &small.replace("POSIX", "NONE")])
        .refused(&["--compare: ", "NONE"]);
    bench(&home.config(|_| {}), ["65536", "1", "1"], &["--l1-align-bytes", "5000"])
        .refused(&["--l1-align-bytes 5000", "power of two"]);
    for wrong in [["0", "1", "1"], ["1", "0", "1"], ["1", "1", "0"]] {
        assert_eq!(bench(&small, wrong, &[]).code, Some(2), "{wrong:?}");
    }
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn eviction_may_take_what_does_not_fit_and_only_that_of_the_bench() {
    let home = Home::new();
    let evicting = home.config(|config| {
        config["eviction"] = json!({"eviction_policy": "LRU"});
        config["backend_params"]["max_capacity_gb"] = json!("0.0009765625");
    });
    std::fs::create_dir(home.cache()).unwrap();
    // A server's object, as it lies on the disk.
    let others = home.cache().join(format!("org--m_00000000_0_{}.bin", "ab".repeat(32)));
    std::fs::write(&others, vec![7; 65536]).unwrap();
    let ran = bench(&evicting, ["65536", "40", "4"], &["--json"]);
    check_numbers(&ran.json());
    assert!(ran.ok().contains("warning: --l2-adapter: --objects 40 of 64.0 KiB come to"));
    assert_eq!(objects(&home.cache()), [others.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(std::fs::read(others).unwrap(), vec![7; 65536]);
}

#[test]
fn an_interrupt_ends_it_with_everything_deleted() {
    let home = Home::new();
    let config = home.config(|_| {});
    // More than anybody waits for.
    let args = ["--object-bytes", "4096", "--objects", "200000", "--batch", "1", "--l2-adapter", &config];
    let mut command = Command::new(PROGRAM);
    command.arg("bench").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while !home.cache().exists() || objects(&home.cache()).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "nixl-l2: interrupted\n");
    assert_eq!(home.names(), [""; 0]);
}

/// A server of another machine, say: nothing here knows that it has the prefix.
#[test]
fn objects_of_a_server_in_the_bucket_stay_as_they_are() {
    let home = Home::new();
    let server = test_servers::S3Server::start(&home.path("s3")).unwrap();
    let bucket = server.object_path("x").parent().unwrap().to_owned();
    let mut params: serde_json::Map<_, _> =
        server.params().into_iter().map(|(name, value)| (name, value.into())).collect();
    params.insert("object_prefix".to_owned(), json!("p-"));
    let config = json!({"type": "nixl_store", "backend": "OBJ", "pool_size": 8, "backend_params": params});
    let others: Vec<_> = (0..8).map(|slot| server.object_path(&format!("p-{slot:010}"))).collect();
    for other in &others {
        std::fs::write(other, b"a server's").unwrap();
    }
    let ran = bench(&config.to_string(), ["65536", "8", "4"], &["--json"]);
    for other in &others {
        assert_eq!(std::fs::read(other).unwrap(), b"a server's", "{}", other.display());
    }
    check_numbers(&ran.json());
    ran.ok();
    let own = bucket.join("p-nixl-l2-bench");
    let runs = names(&own);
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(names(&own.join(&runs[0])).len(), 8);
}
