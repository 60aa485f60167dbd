//! `--metrics`: a scrape while a command runs, and its figures against those that it prints at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Home, PROGRAM, config, run};

/// A page that the program serves.
fn page(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The figures of a scrape by their names and labels, as they are written.
fn scrape(address: &str) -> BTreeMap<String, f64> {
    let page = page(address, "/metrics");
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// A run that is watched.
struct Watched {
    child: Child,
    address: String,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command that lingers, and reads where its figures are.
fn start(command: &str, args: &[&str]) -> Watched {
    let mut child = Command::new(PROGRAM)
        .args([command, "--json", "--metrics", "127.0.0.1:0", "--metrics-linger", "600"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("metrics: http://").and_then(|rest| rest.strip_suffix("/metrics"));
    Watched { address: address.unwrap_or_else(|| panic!("{line:?}")).to_owned(), child }
}

#[test]
fn a_scrape_is_answered_during_a_replay_and_matches_its_json_at_the_end() {
    let home = Home::new();
    let lines: Vec<String> = (0..300)
        .map(|turn: u64| json!({"hash_ids": (turn / 3..turn / 3 + 20).collect::<Vec<_>>()}).to_string())
        .collect();
    let trace = home.file("trace", lines.join("\n"));
    // 64 blocks, of 120: what does not fit makes room.
    let small = home.config(|config| {
        config["backend_params"]["max_capacity_gb"] = json!(64.0 * 65536.0 / f64::from(1 << 30));
        config["eviction"] = json!({"eviction_policy": "LRU"});
    });
    let large = config(&home.path("large"), |_| {});
    let trace = trace.to_str().unwrap();
    let mut replay = start("replay", &["--trace", trace, "--l2-adapter", &small, "--l2-adapter", &large]);
    // While it runs, or just after: it is answered, and counts go up alone.
    let early = scrape(&replay.address);
    let mut line = String::new();
    BufReader::new(replay.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let json: Value = serde_json::from_str(&line).unwrap();
    let figures = scrape(&replay.address);
    for (name, value) in &early {
        assert!(!name.contains("_total") || figures[name] >= *value, "{name}: {value}, {}", figures[name]);
    }

    let of =
        |name: &str| figures.get(name).copied().unwrap_or_else(|| panic!("{name} is not in {figures:#?}"));
    let number = |name: &str| json[name].as_f64().unwrap_or_else(|| panic!("{name} is not in {json:#}"));
    // The large one stored every block, and the small one what was not there still.
    let stored = [0, 1].map(|adapter| of(&format!("nixl_l2_stored_objects_total{{adapter=\"{adapter}\"}}")));
    assert_eq!(stored[1], 119.0);
    assert_eq!(number("stored"), stored[1]);
    assert_eq!(of("nixl_l2_stored_bytes_total{adapter=\"1\"}"), number("stored_bytes"));
    let loaded = [0, 1].map(|adapter| of(&format!("nixl_l2_loaded_bytes_total{{adapter=\"{adapter}\"}}")));
    assert_eq!(loaded[0] + loaded[1], number("loaded_bytes"));
    assert_eq!(of("nixl_l2_evicted_objects_total{adapter=\"0\"}"), number("evicted"));
    assert!(number("evicted") > 0.0, "{json}");
    let used = [0, 1].map(|adapter| of(&format!("nixl_l2_used_bytes{{adapter=\"{adapter}\"}}")));
    assert_eq!(used[0] + used[1], number("usage_bytes"));
    // Nothing goes any more after the figures were taken.
    assert_eq!((stored[0] - number("evicted")) * 65536.0, used[0]);
    assert_eq!(of("nixl_l2_capacity_bytes{adapter=\"0\"}"), 64.0 * 65536.0);
    for stage in ["queued", "opened", "transferred", "published"] {
        assert!(of(&format!("nixl_l2_stage_seconds_count{{adapter=\"1\",stage=\"{stage}\"}}")) > 0.0);
    }
    assert_eq!(of("nixl_l2_stage_seconds_count{adapter=\"1\",stage=\"published\"}"), 119.0);
    assert_eq!(of("nixl_l2_task_seconds_count{adapter=\"0\",operation=\"lookup\"}"), 300.0);

    let status: Value = serde_json::from_str(&page(&replay.address, "/status")).unwrap();
    assert_eq!(status.as_array().unwrap().len(), 2);
    assert_eq!(status[1]["type"], "DynamicNixlStoreL2Adapter");
    assert_eq!(status[1]["stored_object_count"], 119);
    assert!(page(&replay.address, "/").contains("/metrics"));
    assert!(page(&replay.address, "/metrics?x=1").contains("nixl_l2_objects"));
}

#[test]
fn a_bench_of_two_is_watched_and_its_figures_count_every_round() {
    let home = Home::new();
    let (one, two) = (home.config(|_| {}), config(&home.path("two"), |_| {}));
    let sizes = ["--object-bytes", "65536", "--objects", "8", "--batch", "4"];
    let mut bench = start("bench", &[&sizes[..], &["--l2-adapter", &one, "--compare", &two]].concat());
    let mut line = String::new();
    BufReader::new(bench.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["a"]["verified"], json!(true));
    let figures = scrape(&bench.address);
    // Three rounds of two configurations.
    assert_eq!(figures["nixl_l2_stored_objects_total{adapter=\"0\"}"], 6.0 * 8.0, "{figures:#?}");
    // Three passes over all, and each by itself.
    assert_eq!(figures["nixl_l2_loaded_bytes_total{adapter=\"0\"}"], 6.0 * 4.0 * 8.0 * 65536.0);
    let status: Value = serde_json::from_str(&page(&bench.address, "/status")).unwrap();
    assert_eq!(status.as_array().unwrap().len(), 1);
    assert_eq!(status[0]["stored_object_count"], 0, "deleted, and still shown: {status}");
    // An interrupt ends what is left: the waiting.
    kill_process(Pid::from_child(&bench.child), Signal::TERM).unwrap();
    assert!(bench.child.wait().unwrap().success());
}

#[test]
fn an_address_that_is_taken_is_an_error_and_one_that_is_none_too() {
    let home = Home::new();
    let trace = home.file("trace", json!({"hash_ids": [1]}).to_string());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = home.config(|_| {});
    let args = ["replay", "--trace", trace.to_str().unwrap(), "--l2-adapter", &config, "--metrics"];
    let ran = run(args.into_iter().chain([address.as_str()]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(&address) && ran.stderr.lines().count() == 1, "{ran:?}");
    assert!(!home.cache().exists());
    assert_eq!(run(args.into_iter().chain(["x"])).code, Some(2));
}

/// The dashboard asks for nothing that nobody counts, and leaves out nothing that an operator should see.
#[test]
fn the_dashboard_shows_what_is_counted() {
    let dashboard = include_str!("../../../../docs/grafana.json");
    serde_json::from_str::<Value>(dashboard).unwrap();
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        words
            .filter(|word| word.starts_with("nixl_l2_"))
            .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
            .collect()
    };
    let (counted, shown) = (names(include_str!("../../../l2-core/src/meters.rs")), names(dashboard));
    let unknown: Vec<_> = shown.difference(&counted).collect();
    assert!(unknown.is_empty(), "nobody counts {unknown:?}");
    let documented = names(include_str!("../../../../docs/operations.md"));
    assert_eq!(counted.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "not documented");
    assert!(shown.len() > 15, "{shown:?}");
}
