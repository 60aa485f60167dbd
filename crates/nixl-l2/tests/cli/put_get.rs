//! Single objects: what goes in comes out, in another process, and nothing else is touched.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Home, Ran, key, objects, run};

/// Bytes of which no two neighbours are alike.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 251).unwrap()).collect()
}

fn put(config: &str, key: &str, file: &Path) -> Ran {
    run(["put", "--l2-adapter", config, "--key", key, file.to_str().unwrap()])
}

fn get(config: &str, key: &str, out: &Path) -> Ran {
    run(["get", "--l2-adapter", config, "--key", key, "--out", out.to_str().unwrap()])
}

fn direct(config: &mut Value) {
    config["backend_params"]["use_direct_io"] = json!("true");
}

#[test]
fn a_file_of_any_length_comes_back_byte_for_byte() {
    let home = Home::new();
    let config = home.config(|_| {});
    for length in [1, 4095, 4096, (1 << 20) + 1] {
        let key = key("org/m", &format!("{length:08x}"));
        let file = home.file("file", bytes(length));
        let said = put(&config, &key, &file).ok();
        assert!(said.contains(&format!("stored {length} bytes")), "{said}");
        let out = home.path("out");
        let said = get(&config, &key, &out).ok();
        assert!(said.contains(&format!("{length} bytes")), "{said}");
        assert_eq!(fs::read(&out).unwrap(), bytes(length));
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(home.names(), ["cache", "file", "out"], "no temporary is left");
    let expect =
        ["00000001", "00000fff", "00001000", "00100001"].map(|hash| format!("org--m_00000000_0_{hash}.bin"));
    assert_eq!(objects(&home.cache()), expect, "LMCache's names");
}

#[test]
fn with_direct_io_whole_blocks_come_back_and_other_lengths_are_refused_with_the_reason() {
    let home = Home::new();
    if !home.takes_direct_io() {
        let _ = writeln!(io::stderr(), "skipped: no direct I/O on the file system of the build");
        return;
    }
    let config = home.config(direct);
    for length in [4096, 1 << 20] {
        let key = key("m", &format!("{length:08x}"));
        put(&config, &key, &home.file("file", bytes(length))).ok();
        get(&config, &key, &home.path("out")).ok();
        assert_eq!(fs::read(home.path("out")).unwrap(), bytes(length));
    }
    let stored = objects(&home.cache());
    for length in [1, 4095, (1 << 20) + 1] {
        let file = home.file("file", bytes(length));
        put(&config, &key("m", "ff"), &file).refused(&["use_direct_io", "multiple", &length.to_string()]);
    }
    assert_eq!(objects(&home.cache()), stored);
}

#[test]
fn a_key_that_is_present_is_not_written_again_and_another_length_replaces_it() {
    let home = Home::new();
    let config = home.config(|_| {});
    let key = key("m", "AB12");
    put(&config, &key, &home.file("one", "one")).ok();
    let said = put(&config, &key, &home.file("two", "two")).ok();
    assert!(said.contains("already present") && said.contains("3 bytes"), "{said}");
    get(&config, &key, &home.path("out")).ok();
    assert_eq!(fs::read(home.path("out")).unwrap(), b"one");

    let said = put(&config, &key, &home.file("three", "three")).ok();
    assert!(said.contains("stored 5 bytes"), "{said}");
    get(&config, &key.replace("AB12", "ab12"), &home.path("out")).ok();
    assert_eq!(fs::read(home.path("out")).unwrap(), b"three", "also over a file that is there");
    assert_eq!(objects(&home.cache()), ["m_00000000_0_ab12.bin"]);
}

#[test]
fn a_miss_ends_with_1_and_leaves_what_was_there() {
    let home = Home::new();
    let config = home.config(|_| {});
    put(&config, &key("m", "ab"), &home.file("file", "kv")).ok();
    let out = home.file("out", "what was here before");
    get(&config, &key("m", "cd"), &out).refused(&["nothing is stored", "m[rank 0, group 0]:cd"]);
    assert_eq!(fs::read(&out).unwrap(), b"what was here before");
    get(&config, &key("other", "ab"), &home.path("new")).refused(&["nothing is stored"]);
    assert_eq!(home.names(), ["cache", "file", "out"]);
}

#[test]
fn salts_and_odd_model_names_are_objects_of_their_own() {
    let home = Home::new();
    let config = home.config(|config| config["backend_params"]["shard_dirs"] = json!("true"));
    let plain = key("a/b", "ab12");
    let salted = plain.replace("\"cache_salt\":\"\"", "\"cache_salt\":\"tenant\"");
    let keys = [
        plain,
        salted,
        key("a--b", "ab12"),
        key("%", "ab12"),
        key("m\n", "ab12"),
        key("é".repeat(250).as_str(), "ab12"),
    ];
    for (number, key) in keys.iter().enumerate() {
        put(&config, key, &home.file("file", bytes(number + 1))).ok();
    }
    for (number, key) in keys.iter().enumerate() {
        get(&config, key, &home.path("out")).ok();
        assert_eq!(fs::read(home.path("out")).unwrap(), bytes(number + 1), "{key}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_left_of_it() {
    let home = Home::new();
    let config = home.config(|config| config["backend_params"]["max_capacity_gb"] = json!(0.0009765625));
    put(&config, &key("m", "ab"), &home.file("file", bytes((1 << 20) + 1)))
        .refused(&["m[rank 0, group 0]:ab"]);
    assert!(objects(&home.cache()).is_empty());
    put(&config, &key("m", "ab"), &home.file("file", bytes(1 << 20))).ok();
}

#[test]
fn neither_command_deletes_files_although_the_configuration_says_so() {
    let home = Home::new();
    let config = home.config(|config| config["persist_enabled"] = json!(false));
    put(&config, &key("m", "ab"), &home.file("file", "kv")).ok();
    get(&config, &key("m", "cd"), &home.path("out")).refused(&["nothing is stored"]);
    get(&config, &key("m", "ab"), &home.path("out")).ok();
    assert_eq!(objects(&home.cache()), ["m_00000000_0_ab.bin"]);
}
