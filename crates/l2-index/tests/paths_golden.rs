//! Paths as they are written on disks: the golden vectors.
#![cfg(test)]

use std::collections::HashSet;
use std::path::Path;

use l2_core::{KeyScope, ObjectKey};
use l2_index::paths::{Layout, key_to_path, path_to_key};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let text = include_str!("../testdata/paths.json");
    serde_json::from_str(text).unwrap()
}

fn key(vector: &Value) -> ObjectKey {
    let text = |field: &str| vector[field].as_str().unwrap();
    let number = |field: &str| vector[field].as_u64().unwrap();
    KeyScope::new(text("model_name"), number("kv_rank"), number("object_group_id"), text("cache_salt"))
        .unwrap()
        .key(&hex::decode(text("chunk_hash_hex")).unwrap())
        .unwrap()
}

#[test]
fn every_path_ever_written_stays_the_path_of_its_key() {
    let vectors = vectors();
    assert!(vectors.len() >= 50, "vectors are added, never taken away");
    for vector in &vectors {
        for (layout, field) in [(Layout::Flat, "flat"), (Layout::Sharded, "sharded")] {
            let path = vector[field].as_str().unwrap();
            assert_eq!(key_to_path(&key(vector), layout), path, "{}", vector["note"]);
            assert_eq!(path_to_key(Path::new(path)), Some(key(vector)), "{}", vector["note"]);
        }
    }
}

#[test]
fn no_two_vectors_share_a_path() {
    let mut paths = HashSet::new();
    let mut keys = HashSet::new();
    for vector in vectors() {
        if keys.insert(key(&vector)) {
            for field in ["flat", "sharded"] {
                assert!(paths.insert(vector[field].to_string()), "{}", vector["note"]);
            }
        }
    }
}

#[test]
fn lmcache_and_nixl_l2_find_each_others_files() {
    // As LMCache 0.5.6 was seen to name them.
    let hash: [u8; 32] = std::array::from_fn(|at| u8::from(at == 31));
    let key =
        KeyScope::new("meta-llama/Llama-3.1-8B", 0x0401_0401, 0xb, "alice").unwrap().key(&hash).unwrap();
    let name = "meta-llama--Llama-3.1-8B_04010401_b_0000000000000000000000000000000000000000000000000000000000000001@alice.bin";
    assert_eq!(key_to_path(&key, Layout::Flat), name);
    let key = KeyScope::new("a/b/c", 0x1_2c00_0001, 0xff, "é").unwrap().key(&[1, 2]).unwrap();
    assert_eq!(key_to_path(&key, Layout::Sharded), "01/02/a--b--c_12c000001_ff_0102@é.bin");
}

#[test]
fn what_no_key_has_is_no_path() {
    for path in [
        "",
        ".",
        "/",
        "m_00000000_0_ab",
        "m_00000000_0_ab.bin.tmp.0123456789abcdef0123456789abcdef",
        "m_00000000_0_AB.bin",
        "m_00000000_00_ab.bin",
        "m_00000000_0_.bin",
        "m_00000000_0_abc.bin",
        "m_0000000_0_ab.bin",
        "m_+0000000_0_ab.bin",
        "m_000000000_0_ab.bin",
        "m_00000000_0_ab@.bin",
        "m_00000000_0_ab@s@t.bin",
        "_00000000_0_ab.bin",
        "00000000_0_ab.bin",
        "a---b_00000000_0_ab.bin",
        ".m_00000000_0_ab.bin",
        "..--m_00000000_0_ab.bin",
        "m\n_00000000_0_ab.bin",
        "/m_00000000_0_ab.bin",
        "./m_00000000_0_ab.bin",
        "ab//m_00000000_0_ab.bin",
        "ab/__/m_00000000_0_abcd.bin",
        "ab/ce/m_00000000_0_abcd.bin",
        "AB/cd/m_00000000_0_abcd.bin",
        "ab/m_00000000_0_abcd.bin",
        "x/ab/cd/m_00000000_0_abcd.bin",
        "../ab/cd/m_00000000_0_abcd.bin",
        "%1_m_00000000_0_ab.bin",
        "%1_m~/00000000_0_ab.bin",
        "%1_~/00000000_0_ab.bin",
        "%1_a--b~",
        "%1_a--b~/%1_c~/00000000_0_ab.bin",
        "%1_a--b~/m_00000000_0_ab.bin",
        "%1_a--b~/00000000_0_ab@s.bin",
        "%1_a--b@~/00000000_0_ab.bin",
        "%1_a--%2f~/00000000_0_ab.bin",
        "%1_a--%41~/00000000_0_ab.bin",
        "%1_a--%FF~/00000000_0_ab.bin",
        "%1_a--%00~/00000000_0_ab.bin",
        "%1_a--%~/00000000_0_ab.bin",
        "%1_a--é~/00000000_0_ab.bin",
        "%1_a--%2F..~/00000000_0_ab.bin",
        "%2_a--b~/00000000_0_ab.bin",
        "ab/cd/%1_a--b~/00000000_0_abcd.bin",
    ] {
        assert_eq!(path_to_key(Path::new(path)), None, "{path:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"m\xff_00000000_0_ab.bin"));
        assert_eq!(path_to_key(path), None);
    }
}
