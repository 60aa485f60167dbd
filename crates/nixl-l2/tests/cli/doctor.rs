//! `nixl-l2 doctor`: what is fine is said to be, what is not fails with what to do, and nothing is left behind.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use nixl_l2::{AdapterConfig, KeyScope, LoadItem, ObjectKey, Region, StoreItem};
use serde_json::{Value, json};

use crate::harness::{Home, PROGRAM, Ran, finish, objects, run};

const MIB: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);

fn doctor(config: &str, more: &[&str]) -> Ran {
    run(["doctor", "--l2-adapter", config].iter().chain(more).copied())
}

/// The states of all checks; what the file system of the build is, is not the test's business.
fn states(ran: &Ran) -> Vec<(String, String)> {
    let json = ran.json();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let checks = json["checks"].as_array().unwrap().iter();
    let all = checks.map(|check| (text(check, "check"), text(check, "state")));
    all.filter(|(check, _)| check != "file system").collect()
}

/// It failed at `check` with a text or advice that says all of `says`, and with one line on stderr.
#[track_caller]
fn failed_at(ran: &Ran, check: &str, says: &[&str]) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(ran.stderr.starts_with("nixl-l2: ") && ran.stderr.contains(" checks failed"), "{ran:?}");
    let line = ran.stdout.lines().find(|line| line.starts_with(&format!("failed   {check}: ")));
    let line = line.unwrap_or_else(|| panic!("{check} did not fail: {}", ran.stdout));
    for part in says {
        assert!(line.contains(part), "{part:?} in {line}");
    }
}

fn pool(home: &Home, change: impl FnOnce(&mut Value)) -> String {
    let mut config = json!({"type": "nixl_store", "backend": "POSIX", "pool_size": 64,
        "backend_params": {"file_path": home.cache(), "use_direct_io": "false"}});
    change(&mut config);
    config.to_string()
}

#[test]
fn a_healthy_directory_is_all_ok_and_nothing_is_left() {
    let home = Home::new();
    let said = doctor(&home.config(|_| {}), &["--object-bytes", "1048576"]).ok();
    for line in said.lines().filter(|line| !line.contains(" file system: ")) {
        assert!(line.starts_with("ok       "), "{line}");
    }
    for part in
        ["libnixl_capi.so", "POSIX loads", "1024 chunks of 1 MiB", "every byte as it was stored", "delete: "]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours without a terminal: {said}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn all_ways_to_keep_files_are_tried_and_nothing_is_left() {
    let home = Home::new();
    let deep = home.path("a/b/c");
    let changes: [&dyn Fn(&mut Value); 4] = [
        &|config| config["backend_params"]["use_direct_io"] = json!(home.takes_direct_io().to_string()),
        &|config| {
            config["integrity"] = json!("checksum");
            config["layout_tag"] = json!("bf16");
            config["durability"] = json!("fsync");
        },
        &|config| {
            config["backend_params"]["shard_dirs"] = json!("true");
            config["persist_enabled"] = json!(false);
        },
        &|config| config["backend_params"]["file_path"] = json!(deep),
    ];
    for change in changes {
        let ran = doctor(&home.config(change), &["--json"]);
        assert!(states(&ran).iter().all(|(_, state)| state == "ok"), "{ran:?}");
        ran.ok();
        assert_eq!(home.names(), [""; 0]);
    }
    let ran = doctor(&pool(&home, |_| {}), &["--json", "--object-bytes", "4096"]);
    assert!(states(&ran).iter().all(|(_, state)| state == "ok"), "{ran:?}");
    ran.ok();
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn a_pool_that_holds_no_chunk_fails_with_the_sum() {
    let home = Home::new();
    let ran = doctor(&pool(&home, |_| {}), &["--object-bytes", "33554432"]);
    let says = ["64 slots of 4 KiB hold 256 KiB; one chunk of 32 MiB will never fit: set file_size"];
    failed_at(&ran, "capacity", &says);
    assert!(ran.stdout.contains("skipped  store: capacity failed"), "{ran:?}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn what_does_not_fit_a_directory_fails_and_few_chunks_are_warned_of() {
    let home = Home::new();
    let config = home.config(|config| config["backend_params"]["max_capacity_gb"] = json!("0.25"));
    failed_at(
        &doctor(&config, &["--object-bytes", "536870912"]),
        "capacity",
        &["will never fit", "max_capacity_gb to 8"],
    );
    let said = doctor(&config, &["--object-bytes", "67108864"]).ok();
    assert!(said.contains("warning  capacity: max_capacity_gb is 256 MiB: 4 chunks of 64 MiB"), "{said}");
    if home.takes_direct_io() {
        let direct = home.config(|config| config["backend_params"]["use_direct_io"] = json!("true"));
        failed_at(
            &doctor(&direct, &["--object-bytes", "5001"]),
            "direct I/O",
            &["multiples of", "pad chunks to"],
        );
    }
    let greedy = home.config(|config| config["min_free_gb"] = json!(1_000_000_000));
    failed_at(&doctor(&greedy, &[]), "space", &["lower min_free_gb"]);
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn a_directory_that_is_a_file_fails_and_what_needs_it_is_skipped() {
    let home = Home::new();
    let file = home.file("file", "kv");
    let config = home.config(|config| config["backend_params"]["file_path"] = json!(file));
    let ran = doctor(&config, &[]);
    failed_at(&ran, "directory", &[file.to_str().unwrap(), "check file_path"]);
    for check in ["rights", "direct I/O", "space", "store"] {
        assert!(ran.stdout.contains(&format!("skipped  {check}: directory failed")), "{ran:?}");
    }
    assert_eq!(home.names(), ["file"]);
}

#[test]
fn every_fault_of_a_configuration_is_a_failure_and_notes_are_shown() {
    let home = Home::new();
    let bad = home.config(|config| {
        config["persist_enable"] = json!(true);
        config["workers"] = json!(0);
    });
    let ran = doctor(&bad, &[]);
    failed_at(&ran, "configuration", &["workers: out of range"]);
    assert!(ran.stdout.contains("did you mean \"persist_enabled\"?"), "{ran:?}");
    assert!(ran.stdout.contains("skipped  nixl: "), "{ran:?}");
    assert_eq!(doctor(&bad, &["--json"]).json()["state"], json!("failed"));
    failed_at(&doctor("{", &[]), "configuration", &["not valid JSON"]);
    let noted = home.config(|config| config["shared"] = json!(true));
    assert!(doctor(&noted, &[]).ok().contains("configuration: note: shared: "));
    assert_eq!(doctor(&noted, &["--object-bytes", "0"]).code, Some(2));
    assert_eq!(home.names(), [""; 0]);
}

/// Where the hardware is, it works.
#[test]
fn a_plugin_without_its_libraries_fails_with_their_names() {
    let home = Home::new();
    for backend in ["GDS", "GDS_MT", "HF3FS"] {
        let ran = doctor(&home.config(|config| config["backend"] = json!(backend)), &["--json"]);
        let json = ran.json();
        let plugin =
            json["checks"].as_array().unwrap().iter().find(|check| check["check"] == "plugin").unwrap();
        if plugin["state"] != "ok" {
            let text = plugin["text"].as_str().unwrap();
            assert!(["libcu", "nvidia", "HF3FS.so", "3fs"].iter().any(|name| text.contains(name)), "{text}");
            assert_eq!((ran.code, &json["state"]), (Some(1), &json!("failed")), "{json}");
            assert!(states(&ran).contains(&("store".to_owned(), "skipped".to_owned())), "{json}");
        }
        assert_eq!(home.names(), [""; 0]);
    }
}

#[test]
fn the_json_is_one_object_with_every_check() {
    let home = Home::new();
    let ran = doctor(&home.config(|_| {}), &["--json"]);
    assert_eq!(ran.stdout.lines().count(), 1);
    for check in ran.json()["checks"].as_array().unwrap() {
        let names: Vec<&str> = check.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["advice", "check", "state", "text"]);
    }
    let made: Vec<String> = states(&ran).into_iter().map(|(check, _)| check).collect();
    for check in ["nixl", "rights", "nameless files", "attributes", "names", "inodes", "open files", "load"] {
        assert!(made.iter().any(|made| made == check), "{check} in {made:?}");
    }
}

/// A server that evicts, and would delete everything when it closes.
#[test]
fn a_running_adapter_keeps_its_objects() {
    let home = Home::new();
    let text = home.config(|config| {
        config["eviction"] =
            json!({"eviction_policy": "LRU", "trigger_watermark": 0.9, "eviction_ratio": 0.5});
        config["persist_enabled"] = json!(false);
        // It is full.
        config["backend_params"]["max_capacity_gb"] = json!("0.00439453125");
    });
    let l1 = Region::allocate(4 * MIB).unwrap();
    let adapter = nixl_l2::open(&AdapterConfig::parse(&text).unwrap(), &l1).unwrap();
    let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
    let keys: Vec<ObjectKey> = (0..4).map(|hash| scope.key(&[hash; 32]).unwrap()).collect();
    let items = keys.iter().zip(0u8..).map(|(key, byte)| {
        let mut memory = l1.lease(usize::from(byte) * MIB, MIB).unwrap();
        memory.as_mut_slice().unwrap().fill(byte + 1);
        StoreItem { key: key.clone(), memory: memory.freeze() }
    });
    let report = adapter.submit_store(items.collect()).wait(LIMIT).unwrap();
    assert_eq!(report.failures().count(), 0, "{report:?}");
    drop(report);
    let before = (adapter.usage(), objects(&home.cache()));

    doctor(&text, &["--object-bytes", "1048576"]).ok();
    assert_eq!((adapter.usage(), objects(&home.cache())), before);
    for (key, byte) in keys.iter().zip(1u8..) {
        let memory = l1.lease(0, MIB).unwrap();
        let loaded = adapter.submit_load(vec![LoadItem { key: key.clone(), memory }]).wait(LIMIT).unwrap();
        let outcome = loaded.outcomes.into_iter().next().unwrap();
        outcome.result.unwrap();
        assert!(outcome.memory.unwrap().as_slice().unwrap().iter().all(|found| *found == byte));
    }
    adapter.close().unwrap();
}

fn object_store(params: Vec<(String, String)>, change: impl FnOnce(&mut Value)) -> String {
    let params: serde_json::Map<_, _> =
        params.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut config =
        json!({"type": "nixl_store", "backend": "OBJ", "pool_size": 32, "backend_params": params});
    change(&mut config);
    config.to_string()
}

#[test]
fn a_bucket_is_written_and_read_and_one_that_is_not_there_fails() {
    let home = Home::new();
    let server = test_servers::S3Server::start(&home.path("s3")).unwrap();
    let prefixed = |prefix: &str| {
        object_store(server.params(), |config| config["backend_params"]["object_prefix"] = json!(prefix))
    };
    for _ in 0..2 {
        let ran = doctor(&prefixed("p-"), &["--json", "--object-bytes", "1000000"]);
        assert!(states(&ran).iter().all(|(_, state)| state == "ok"), "{ran:?}");
        let text = ran.ok();
        assert!(text.contains(server.bucket()) && text.contains(&server.endpoint()), "{text}");
        assert!(!text.contains(server.secret_key()), "{text}");
    }
    let left: Vec<String> = objects(server.object_path("x").parent().unwrap());
    assert!(left.len() == 1 && left[0].starts_with("p-doctor-"), "one, written over: {left:?}");

    let wrong = object_store(server.params(), |config| {
        config["backend_params"]["bucket"] = json!("not-there");
        config["io_timeout_seconds"] = json!(20);
    });
    let ran = doctor(&wrong, &[]);
    failed_at(&ran, "bucket", &["not-there", "io_timeout_seconds", "check endpoint_override"]);
    assert!(!format!("{ran:?}").contains(server.secret_key()), "{ran:?}");
}

#[test]
fn a_container_is_written_and_read() {
    let home = Home::new();
    let Some(server) = test_servers::Azurite::start(&home.path("azure")).unwrap() else {
        let why = test_servers::Azurite::missing().unwrap_or_default();
        return l2_core::testing::child::skipped("a_container_is_written_and_read", &why);
    };
    let config = object_store(server.params(), |config| config["backend"] = json!("AZURE_BLOB"));
    let ran = doctor(&config, &["--json"]);
    assert!(states(&ran).iter().all(|(_, state)| state == "ok"), "{ran:?}");
    assert!(ran.ok().contains(server.container()));

    let wrong = object_store(server.params(), |config| {
        config["backend"] = json!("AZURE_BLOB");
        config["backend_params"]["container_name"] = json!("not-there");
        config["io_timeout_seconds"] = json!(20);
    });
    let ran = doctor(&wrong, &[]);
    // The plugin looks for the container itself when it is set up, or when it is written to.
    let line = ran.stdout.lines().find(|line| line.starts_with("failed   ")).unwrap_or_default();
    assert!(ran.code == Some(1) && (line.contains("not-there") || line.contains("AZURE_BLOB")), "{ran:?}");
    assert!(!format!("{ran:?}").contains("AccountKey"), "{ran:?}");
}

#[test]
fn a_server_that_is_not_there_fails_within_the_time_of_the_adapter() {
    let home = Home::new();
    let server = test_servers::S3Server::start(&home.path("s3")).unwrap();
    // A port that nobody listens at.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = object_store(server.params(), |config| {
        config["backend_params"]["endpoint_override"] = json!(format!("http://{closed}"));
        config["io_timeout_seconds"] = json!(1);
    });
    let ran = doctor(&dead, &[]);
    failed_at(&ran, "bucket", &[&closed.to_string(), "io_timeout_seconds, 1s"]);
    assert!(ran.stdout.contains("skipped  load: nothing was stored"), "{ran:?}");
}

#[test]
fn a_server_that_does_not_answer_is_given_up_and_its_secret_not_told() {
    let home = Home::new();
    let server = test_servers::S3Server::start(&home.path("s3")).unwrap();
    server.stall(true);
    let config = object_store(server.params(), |config| config["io_timeout_seconds"] = json!(1));
    let ran = doctor(&config, &[]);
    failed_at(&ran, "bucket", &[server.bucket(), "cannot be reached", "io_timeout_seconds, 1s"]);
    assert!(!format!("{ran:?}").contains(server.secret_key()), "{ran:?}");
}

#[test]
fn the_limits_of_the_process_are_held_against_what_is_asked_of_them() {
    let home = Home::new();
    let limited = |limit: &str, config: &str| {
        let mut command = Command::new("sh");
        let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
        finish(command.args([
            "-c",
            &script,
            PROGRAM,
            "doctor",
            "--object-bytes",
            "1048576",
            "--l2-adapter",
            config,
        ]))
    };
    let large = pool(&home, |config| config["pool_size"] = json!(1000));
    failed_at(&limited("-n 64", &large), "open files", &["pool_size 1000 needs", "RLIMIT_NOFILE"]);
    let said = limited("-n 24", &home.config(|_| {})).ok();
    assert!(said.contains("warning  open files: "), "{said}");
    // Of 512 or 1024 bytes, as the shell counts.
    failed_at(&limited("-f 64", &home.config(|_| {})), "file size", &["one of 1 MiB is to be made"]);
    assert_eq!(home.names(), [""; 0]);
}
