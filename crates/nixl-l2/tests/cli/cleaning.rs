//! `verify`, `gc`, `purge` and `migrate`: what changes something says so first, and touches nothing else.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::harness::{Home, PROGRAM, key, names, objects, run};

/// A cache directory with two objects of ours that have records, and three of LMCache for the tenants alice and bob.
fn filled() -> (Home, String) {
    let home = Home::new();
    let config = home.config(|config| config["integrity"] = json!("checksum"));
    let file = home.file("file", [7; 5000]);
    for hash in ["ab01", "ab02"] {
        run(["put", "--l2-adapter", &config, "--key", &key("m", hash), file.to_str().unwrap()]).ok();
    }
    for name in ["m_00000000_0_cd01@alice.bin", "m_00000000_0_cd02@alice.bin", "m_00000000_0_cd01@bob.bin"] {
        fs::write(home.cache().join(name), [1; 100]).unwrap();
    }
    fs::write(home.cache().join("notes.txt"), "not ours").unwrap();
    let cache = home.cache().to_str().unwrap().to_owned();
    (home, cache)
}

fn age(path: PathBuf, days: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
}

fn json_of(args: &[&str]) -> Value {
    run(args.iter().copied()).json()
}

#[test]
fn without_a_terminal_nothing_is_done_without_yes() {
    let (home, cache) = filled();
    fs::write(home.cache().join("m_00000000_0_ee.bin"), "").unwrap();
    let before = objects(&home.cache());
    for args in [
        &["verify", "--repair"][..],
        &["gc", "--to-bytes", "0"],
        &["purge", "--salt", "alice"],
        &["migrate", "--shard"],
    ] {
        run(args.iter().copied().chain([cache.as_str()])).refused(&["no terminal", "--yes", "--dry-run"]);
        let dry = run(args.iter().copied().chain([cache.as_str(), "--dry-run", "--json"]));
        assert_eq!(dry.json()["dry_run"], json!(true), "{dry:?}");
        assert_eq!(objects(&home.cache()), before, "{args:?}");
    }
}

#[test]
fn what_is_bad_is_an_exit_code_until_it_is_set_aside() {
    let (home, cache) = filled();
    let text = run(["verify", &cache]).ok();
    assert!(text.contains("right: 2 objects (9.8 KiB)") && text.contains("no record: 3 objects"), "{text}");
    let bad = home.cache().join("m_00000000_0_ab01.bin");
    let mut bytes = fs::read(&bad).unwrap();
    bytes[4999] ^= 1;
    fs::write(&bad, bytes).unwrap();

    let ran = run(["verify", &cache]);
    assert!(ran.code == Some(1) && ran.stdout.contains("bad: \"m_00000000_0_ab01.bin\""), "{ran:?}");
    assert!(ran.stderr.contains("1 bad object") && ran.stderr.contains("--repair"), "{ran:?}");
    let dry = run(["verify", &cache, "--repair", "--dry-run", "--json"]);
    assert_eq!((dry.code, &dry.json()["bad"][0]["fault"]), (Some(1), &json!("checksum")));
    assert!(bad.exists());
    let repaired = run(["verify", &cache, "--repair", "--yes", "--json"]);
    let aside = ".nixl-l2/set-aside/0/m_00000000_0_ab01.bin";
    assert_eq!((repaired.code, &repaired.json()["set_aside"][0]["to"]), (Some(0), &json!(aside)));
    assert!(!bad.exists() && home.cache().join(aside).exists());
    run(["verify", &cache]).ok();
    run(["stat", &cache, "--key", &key("m", "ab01")]).refused(&["nothing is stored", aside]);

    let text = run(["gc", &cache, "--set-aside", "--yes"]).ok();
    assert!(text.contains("to remove: 1 object (4.9 KiB) set aside"), "{text}");
    assert!(!home.cache().join(aside).exists());
    let ran = run(["verify", &cache, "--expect-bytes", "5000", "--json"]);
    assert_eq!((ran.code, ran.json()["bad"].as_array().unwrap().len()), (Some(1), 3));
    run(["verify", &cache, "--yes"]).refused(&["--repair"]);
}

#[test]
fn age_and_size_decide_what_goes_and_live_temporaries_stay() {
    let (home, cache) = filled();
    let own = home.cache().join(".nixl-l2");
    fs::write(own.join("1-1-1"), "of a dead process").unwrap();
    fs::write(own.join("2-2-2"), "of a living one").unwrap();
    let living = OwnedFd::from(File::open(own.join("2-2-2")).unwrap());
    flock(&living, FlockOperation::LockExclusive).unwrap();
    age(home.cache().join("m_00000000_0_ab02.bin"), 8);
    age(home.cache().join("m_00000000_0_cd01@bob.bin"), 3);

    let terms = ["gc", &cache, "--older-than", "7d", "--to-bytes", "5.1 kB", "--json"];
    let planned = json_of(&[&terms[..], &["--dry-run"]].concat());
    assert_eq!(planned["planned"]["old"], json!({"objects": 1, "bytes": 5000}));
    assert_eq!(planned["planned"]["over"], json!({"objects": 2, "bytes": 5100}));
    assert_eq!((&planned["planned"]["temporaries"], &planned["removed"]), (&json!(1), &Value::Null));
    assert_eq!(objects(&home.cache()).len(), 6);
    let done = json_of(&[&terms[..], &["--yes"]].concat());
    assert_eq!(done["removed"]["objects"], json!({"objects": 3, "bytes": 10100}));
    let left = ["m_00000000_0_cd01@alice.bin", "m_00000000_0_cd02@alice.bin", "notes.txt"];
    assert_eq!(objects(&home.cache()), left);
    assert_eq!(names(&own), ["2-2-2"]);
    let text = run(["gc", &cache, "--yes"]).ok();
    assert_eq!(text, "nothing to remove; 2 objects (200 B) stay\n");
}

#[test]
fn a_tenant_is_erased_and_that_is_said_only_when_it_is_true() {
    let (home, cache) = filled();
    let dry = json_of(&["purge", &cache, "--salt", "alice", "--model", "m", "--dry-run", "--json"]);
    assert_eq!((&dry["found"]["objects"]["objects"], &dry["proved"]), (&json!(2), &json!(false)));
    let text = run(["purge", &cache, "--salt", "alice", "--yes"]).ok();
    assert!(text.contains("erased: 2 objects (200 B)"), "{text}");
    let mut removed: Vec<_> = text.lines().filter(|line| line.starts_with("removed: ")).collect();
    removed.sort_unstable();
    let expect = ["cd01", "cd02"].map(|hash| format!("removed: \"m_00000000_0_{hash}@alice.bin\""));
    assert_eq!(removed, expect);
    assert!(text.ends_with("looked through again: nothing is left of the tenant \"alice\"\n"), "{text}");
    assert_eq!(objects(&home.cache()).len(), 4);
    assert_eq!(
        run(["purge", &cache, "--salt", "alice", "--yes"]).ok(),
        "nothing is there of the tenant \"alice\"\n"
    );
    let none = json_of(&["purge", &cache, "--model", "n", "--yes", "--json"]);
    assert_eq!((&none["proved"], &none["erased"]), (&json!(true), &Value::Null));

    // LMCache's half is LMCache's.
    let half = format!("m_00000000_0_cd01@bob.bin.tmp.{}", "0".repeat(32));
    fs::write(home.cache().join(&half), "half").unwrap();
    let ran = run(["purge", &cache, "--salt", "bob", "--yes", "--json"]);
    assert_eq!((ran.code, &ran.json()["proved"]), (Some(1), &json!(false)));
    assert_eq!(ran.json()["removed"], json!(["m_00000000_0_cd01@bob.bin"]));
    assert!(ran.stderr.contains(&half) && ran.stderr.contains("not all of the tenant \"bob\""), "{ran:?}");
    assert!(home.cache().join(half).exists());
    // The default tenant is one, too.
    assert!(run(["purge", &cache, "--salt", "", "--yes"]).ok().contains("erased: 2 objects"));
    assert_eq!(objects(&home.cache()).len(), 2);
    run(["purge", &cache, "--salt", "a@b", "--yes"]).refused(&["cache_salt", "a@b"]);
}

#[test]
fn after_a_migration_an_adapter_of_the_other_layout_finds_everything() {
    let (home, cache) = filled();
    let out = home.path("out");
    let get = |shard: &str| {
        let config = home.config(|config| {
            config["integrity"] = json!("checksum");
            config["backend_params"]["shard_dirs"] = json!(shard);
        });
        run(["get", "--l2-adapter", &config, "--key", &key("m", "ab01"), "--out", out.to_str().unwrap()])
    };
    get("true").refused(&["nothing is stored"]);
    let flat = objects(&home.cache());
    let planned = run(["migrate", &cache, "--shard", "--dry-run"]).ok();
    assert!(planned.contains("to move: 5 objects"), "{planned}");
    assert_eq!(objects(&home.cache()), flat);
    assert!(run(["migrate", &cache, "--shard", "--yes"]).ok().contains("moved: 5 objects"));
    assert_eq!(objects(&home.cache()), ["ab", "cd", "notes.txt"]);
    get("true").ok();
    assert_eq!(fs::read(&out).unwrap(), [7; 5000]);
    get("false").refused(&["nothing is stored"]);

    // The same key, stored for the other layout meanwhile: it stays, for it has no worse record; the other is kept.
    fs::write(home.cache().join("m_00000000_0_cd02@alice.bin"), [2; 100]).unwrap();
    let back = json_of(&["migrate", &cache, "--flat", "--yes", "--json"]);
    assert_eq!(
        (&back["done"]["moved"]["objects"], &back["done"]["set_aside"]["objects"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(objects(&home.cache()), flat);
    get("false").ok();
}

#[test]
fn a_migration_that_is_killed_has_lost_nothing_and_the_next_one_does_the_rest() {
    const OBJECTS: usize = 3000;
    let home = Home::new();
    fs::create_dir(home.cache()).unwrap();
    for number in 0..OBJECTS {
        fs::write(home.cache().join(format!("m_00000000_0_{number:04x}.bin")), number.to_string()).unwrap();
    }
    let cache = home.cache().to_str().unwrap().to_owned();
    let listed = || {
        let lines = run(["ls", &cache, "--json"]).ok();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let listed = lines.filter(|line| line["key"].is_object()).map(|line| {
            let path = line["path"].as_str().unwrap().to_owned();
            let bytes = fs::read_to_string(home.cache().join(&path)).unwrap();
            assert_eq!(path.contains('/'), path.starts_with(&path[path.len() - 8..][..2]), "{path}");
            let name = path.rsplit('/').next().unwrap().to_owned();
            assert_eq!(name, format!("m_00000000_0_{:04x}.bin", bytes.parse::<usize>().unwrap()));
            (name, path.contains('/'))
        });
        let mut listed = listed.collect::<Vec<_>>();
        listed.sort();
        listed.dedup_by(|one, other| one.0 == other.0);
        listed
    };
    let before: Vec<_> = listed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(before.len(), OBJECTS);
    let mut migration = Command::new(PROGRAM);
    let mut child =
        migration.args(["migrate", &cache, "--shard", "--yes"]).stdout(Stdio::null()).spawn().unwrap();
    // Once it has begun.
    while !home.cache().join("00").exists() && child.try_wait().unwrap().is_none() {
        std::hint::spin_loop();
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(listed().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), before);
    run(["migrate", &cache, "--shard", "--yes"]).ok();
    assert_eq!(listed(), before.into_iter().map(|name| (name, true)).collect::<Vec<_>>());
}
