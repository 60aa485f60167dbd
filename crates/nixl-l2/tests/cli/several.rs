//! Several adapters, one for each `--l2-adapter`.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Home, config, key, objects, run};

fn without(key: &str) -> String {
    json!({"type": "nixl_store_dynamic", "backend": "POSIX", key: 1}).to_string()
}

#[test]
fn a_store_goes_to_all_and_a_load_comes_from_whoever_has_it() {
    let home = Home::new();
    let directories = [home.path("fast"), home.path("large")];
    let configs = directories.each_ref().map(|directory| config(directory, |_| {}));
    let both = ["--l2-adapter", &configs[0], "--l2-adapter", &configs[1]];
    let file = home.file("file", [7; 5000]);
    let key = key("m", "0001");
    let put = ["put", "--key", &key, file.to_str().unwrap()];
    run(put.into_iter().chain(both)).ok();
    for directory in &directories {
        assert_eq!(objects(directory), ["m_00000000_0_0001.bin"]);
        let other = directories.iter().find(|other| *other != directory).unwrap();
        fs::remove_dir_all(directory).unwrap();
        let out = home.path("out");
        run(["get", "--key", &key, "--out", out.to_str().unwrap()].into_iter().chain(both)).ok();
        assert_eq!(fs::read(&out).unwrap(), [7; 5000]);
        assert!(!directory.exists(), "a lookup makes no directory");
        run(put.into_iter().chain(both)).ok();
        assert_eq!(objects(directory), objects(other));
    }
}

#[test]
fn a_replay_on_one_that_is_full_and_one_that_is_not_loads_what_the_second_has() {
    let home = Home::new();
    let lines: Vec<String> = (0..40)
        .map(|turn: u64| json!({"timestamp": turn, "hash_ids": (0..=turn).collect::<Vec<_>>()}).to_string())
        .collect();
    let trace = home.file("trace", lines.join("\n"));
    // Eight blocks of 64 KiB.
    let tiny = config(&home.path("tiny"), |config| {
        config["backend_params"]["max_capacity_gb"] = json!(8.0 * 65536.0 / f64::from(1 << 30));
    });
    let large = config(&home.path("large"), |_| {});
    let replay = |configs: &[&str]| -> Value {
        let adapters = configs.iter().flat_map(|config| ["--l2-adapter", config]);
        let args = ["replay", "--trace", trace.to_str().unwrap(), "--verify", "--json"];
        let said = run(args.into_iter().chain(adapters)).ok();
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    };
    let alone = replay(&[&large]);
    fs::remove_dir_all(home.path("large")).unwrap();
    let both = replay(&[&tiny, &large]);
    for figure in ["prefix_hits", "stored", "loaded_bytes", "mismatches"] {
        assert_eq!(both[figure], alone[figure], "{figure}: {both}");
    }
    assert_eq!(both["rejected"], 0, "one took what the other could not: {both}");
    assert_eq!(objects(&home.path("tiny")).len(), 8);
    assert_eq!(
        (&both["adapters"][0]["store_failed"], &both["adapters"][1]["store_failed"]),
        (&json!(32), &json!(0))
    );
    assert!(both["adapters"][0]["first_error"].as_str().unwrap().contains("max_capacity_gb"), "{both}");
    assert!(alone.get("adapters").is_none());
}

#[test]
fn a_put_that_one_of_them_did_not_take_says_so() {
    let home = Home::new();
    let tiny =
        config(&home.path("tiny"), |config| config["backend_params"]["max_capacity_gb"] = json!("0.000001"));
    let large = home.config(|_| {});
    let file = home.file("file", [7; 5000]);
    let key = key("m", "0001");
    let put = ["put", "--key", &key, file.to_str().unwrap(), "--l2-adapter", &tiny, "--l2-adapter", &large];
    let said = run(put).ok();
    assert!(
        said.starts_with("not stored by --l2-adapter #1: ") && said.contains("stored 5000 bytes"),
        "{said}"
    );
}

#[test]
fn every_fault_of_all_is_named_and_one_that_cannot_be_opened_is_said_which() {
    let home = Home::new();
    let faults = [without("file"), without("x")];
    let said = run(["put", "--key", "{}", "x", "--l2-adapter", &faults[0], "--l2-adapter", &faults[1]]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let trace = home.file("trace", json!({"hash_ids": [1]}).to_string());
    let args = ["replay", "--trace", trace.to_str().unwrap()];
    let error = run(args.into_iter().chain(["--l2-adapter", &faults[0], "--l2-adapter", &faults[1]])).stderr;
    assert!(error.contains("--l2-adapter #1: ") && error.contains("; --l2-adapter #2: "), "{error}");
    let file = home.file("file", "in the way");
    let configs = [home.config(|_| {}), config(&file, |_| {})];
    let ran = run(args.into_iter().chain(["--l2-adapter", &configs[0], "--l2-adapter", &configs[1]]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("nixl-l2: --l2-adapter #2: cannot make or open"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}
