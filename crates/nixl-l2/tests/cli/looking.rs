//! `ls`, `du` and `stat`: what is in a cache directory, whoever put it there.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Home, PROGRAM, finish, key, names, run};

/// A directory with objects of ours, with and without a record, and of LMCache, in both layouts, and a foreign file.
fn filled() -> (Home, String) {
    let home = Home::new();
    let config = home.config(|config| {
        config["integrity"] = json!("checksum");
        config["layout_tag"] = json!("bf16");
    });
    let file = home.file("file", [7; 5000]);
    run(["put", "--l2-adapter", &config, "--key", &key("org/m", "ab12"), file.to_str().unwrap()]).ok();
    let cache = home.cache();
    fs::create_dir_all(cache.join("cd/34")).unwrap();
    fs::write(cache.join("cd/34/org--m_04010401_b_cd34@alice.bin"), [1; 100]).unwrap();
    fs::write(cache.join("other_00000000_0_ab99@alice.bin"), [1; 20]).unwrap();
    fs::write(cache.join("notes.txt"), "not ours").unwrap();
    (home, cache.to_str().unwrap().to_owned())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn objects_are_listed_as_text_and_as_json_by_pages() {
    let (_home, cache) = filled();
    let text = run(["ls", &cache]).ok();
    let shown: Vec<_> = text.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
    let expect = [
        "key",
        "org/m[rank 67175425, group 11]:cd34@alice",
        "org/m[rank 0, group 0]:ab12",
        "other[rank 0, group 0]:ab99@alice",
        "3 objects (5.0 KiB)",
    ];
    assert_eq!(shown, expect, "{text}");

    let all = lines(&run(["ls", &cache, "--json"]).ok());
    let modified = all[0]["modified"].as_str().unwrap();
    assert!(modified.ends_with('Z') && modified.len() == 20, "{modified}");
    let first = json!({
        "path": "cd/34/org--m_04010401_b_cd34@alice.bin", "bytes": 100, "modified": modified,
        "key": {"model_name": "org/m", "kv_rank": 0x0401_0401, "object_group_id": 11, "chunk_hash_hex": "cd34",
            "cache_salt": "alice"},
    });
    assert_eq!((&all[0], &all[3]), (&first, &json!({"cursor": null})));
    // The key is what other commands take.
    run(["stat", &cache, "--key", &first["key"].to_string()]).ok();

    let (mut pages, mut cursor) = (Vec::new(), Vec::new());
    loop {
        let args =
            ["ls", &cache, "--json", "--limit", "1"].into_iter().chain(cursor.iter().map(String::as_str));
        let mut page = lines(&run(args.collect::<Vec<_>>()).ok());
        let next = page.pop().unwrap()["cursor"].as_str().map(str::to_owned);
        pages.extend(page);
        match next {
            Some(next) => cursor = vec!["--cursor".to_owned(), next],
            None => break,
        }
    }
    assert_eq!(pages, all[..3]);
    let text = run(["ls", &cache, "--limit", "2"]).ok();
    assert!(text.contains("and more: --cursor 'org--m_00000000_0_ab12.bin'"), "{text}");
}

#[test]
fn filters_narrow_a_list_down() {
    let (_home, cache) = filled();
    for (filter, count) in [
        (&["--salt", "alice"][..], 2),
        (&["--salt", ""], 1),
        (&["--model", "org/m"], 2),
        (&["--model", "org/m", "--salt", "alice"], 1),
        (&["--rank", "0x04010401"], 1),
        (&["--rank", "67175425"], 1),
        (&["--group", "11"], 1),
        (&["--prefix", "AB"], 2),
        (&["--prefix", "ab1"], 1),
        (&["--model", "none"], 0),
    ] {
        let args = ["ls", &cache, "--json"].into_iter().chain(filter.iter().copied());
        assert_eq!(lines(&run(args.collect::<Vec<_>>()).ok()).len(), count + 1, "{filter:?}");
    }
}

#[test]
fn bytes_are_added_up_by_each_part_of_the_key() {
    let (_home, cache) = filled();
    let by = |part: &str| -> Vec<(Value, u64, u64)> {
        let all: Value = serde_json::from_str(&run(["du", &cache, "--by", part, "--json"]).ok()).unwrap();
        assert_eq!((&all["objects"], &all["bytes"], &all["by"]), (&json!(3), &json!(5120), &json!(part)));
        assert!(all["disk_bytes"].as_u64().unwrap() >= 5120);
        let shares = all["shares"].as_array().unwrap().iter();
        shares
            .map(|share| {
                (share[part].clone(), share["objects"].as_u64().unwrap(), share["bytes"].as_u64().unwrap())
            })
            .collect()
    };
    assert_eq!(by("salt"), [(json!(""), 1, 5000), (json!("alice"), 2, 120)]);
    assert_eq!(by("model"), [(json!("org/m"), 2, 5100), (json!("other"), 1, 20)]);
    assert_eq!(by("rank"), [(json!(0), 2, 5020), (json!(0x0401_0401), 1, 100)]);
    assert_eq!(by("group"), [(json!(0), 2, 5020), (json!(11), 1, 100)]);
    let table = run(["du", &cache, "--by", "salt"]).ok();
    assert!(table.contains("(none)") && table.contains("alice") && table.contains("total"), "{table}");
    let all: Value = serde_json::from_str(&run(["du", &cache, "--json"]).ok()).unwrap();
    assert_eq!((&all["bytes"], &all["shares"]), (&json!(5120), &Value::Null));
}

#[test]
fn all_that_is_known_of_an_object_is_shown() {
    let (_home, cache) = filled();
    let stat: Value =
        serde_json::from_str(&run(["stat", &cache, "--key", &key("org/m", "ab12"), "--json"]).ok()).unwrap();
    let object = &stat["objects"][0];
    assert_eq!((&object["path"], &object["layout"]), (&json!("org--m_00000000_0_ab12.bin"), &json!("flat")));
    assert_eq!((&object["bytes"], &object["mode"]), (&json!(5000), &json!("0600")));
    let fields = &object["record"]["fields"];
    assert_eq!((&fields["bytes"], &fields["layout_tag"]), (&json!(5000), &json!("bf16")));
    assert_eq!((fields["xxh3_128"].as_str().unwrap().len(), &fields["is_of_key"]), (32, &json!(true)));
    let text = run(["stat", &cache, "--key", &key("org/m", "ab12")]).ok();
    for part in ["path ", "5000 (", "0600", "layout tag \"bf16\"", fields["xxh3_128"].as_str().unwrap()] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let alice = key("other", "ab99").replace("\"cache_salt\":\"\"", "\"cache_salt\":\"alice\"");
    assert!(run(["stat", &cache, "--key", &alice]).ok().contains("record    none"));
    run(["stat", &cache, "--key", &key("other", "ab99")]).refused(&["nothing is stored under key other"]);
    run(["stat", &cache, "--key", "{"]).refused(&["--key", "EOF"]);
}

#[test]
fn bad_input_is_one_line_that_says_what_to_do_and_nothing_is_made() {
    let (home, cache) = filled();
    let none = home.path("none");
    let file = home.path("file");
    let verbs: [&[&str]; 7] = [
        &["ls"],
        &["du"],
        &["verify"],
        &["gc", "--dry-run"],
        &["purge", "--salt", "x", "--dry-run"],
        &["migrate", "--flat", "--dry-run"],
        &["stat", "--key", r#"{"model_name":"m","kv_rank":0,"object_group_id":0,"chunk_hash_hex":"ab"}"#],
    ];
    for verb in verbs {
        for (directory, says) in [(&none, "No such file"), (&file, "Not a directory")] {
            let args = verb.iter().copied().chain([directory.to_str().unwrap()]);
            run(args).refused(&["cannot open the cache directory", directory.to_str().unwrap(), says]);
        }
    }
    run(["ls", &cache, "--cursor", "x"]).refused(&["--cursor \"x\"", "ls has printed"]);
    run(["ls", &cache, "--prefix", "xy"]).refused(&["--prefix \"xy\"", "hexadecimal"]);
    for (args, says) in [
        (&["ls", &cache, "--rank", "x"][..], "--rank"),
        (&["ls", &cache, "--limit", "0"], "--limit"),
        (&["du", &cache, "--by", "colour"], "salt"),
        (&["gc", &cache, "--to-bytes", "many"], "10GiB"),
        (&["gc", &cache, "--older-than", "7"], "7d"),
        (&["purge", &cache], "--model"),
        (&["migrate", &cache], "--flat"),
        (&["migrate", &cache, "--flat", "--shard"], "--shard"),
        (&["verify", &cache, "--rate-limit", "0"], "--rate-limit"),
        (&["gc", &cache, "--yes", "--dry-run"], "--dry-run"),
    ] {
        let ran = run(args.iter().copied());
        assert!(ran.code == Some(2) && ran.stderr.contains(says), "{args:?}: {ran:?}");
    }
    assert!(!none.exists());
    assert_eq!(names(Path::new(&cache)).len(), 5);
}

#[test]
fn none_of_it_needs_nixl() {
    let (_home, cache) = filled();
    for args in [&["ls"][..], &["du"], &["verify"], &["gc", "--yes"], &["migrate", "--shard", "--yes"]] {
        let ran = finish(Command::new(PROGRAM).env_clear().args(args).arg(&cache));
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
}
