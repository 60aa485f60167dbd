//! Keys: every key that can be made works, and two keys never meet.

use super::prelude::*;
use crate::key::KeyScope;

/// Stores each key's object and checks that all are there, each with its own bytes; then deletes them one by one, and
/// checks that those that are left stay.
#[track_caller]
fn must_be_apart(factory: &dyn Factory, keys: &[ObjectKey]) {
    let host = Host::open(factory, keys.len());
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(host.present(key), None, "{key} is found before it was stored");
        host.must_store(from_ref(key));
        host.must_use(at + 1);
    }
    host.must_load(keys);
    for (at, key) in keys.iter().enumerate() {
        host.must_delete(from_ref(key));
        host.must_miss(from_ref(key));
        host.must_load(&keys[at + 1..]);
    }
    host.must_use(0);
}

pub fn two_tenants_never_meet(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let [alice, bob, nobody] = ["alice", "bob", ""].map(|salt| key_of("org/model", salt, 0));
    host.must_store(from_ref(&alice));
    host.must_miss(&[bob.clone(), nobody.clone()]);
    let others = host.load(&[bob.clone(), nobody.clone()]);
    assert_eq!(others.bitmap(), [false, false], "{others:?}");
    host.must_store(&[bob.clone(), nobody.clone()]);
    host.must_load(&[alice.clone(), bob.clone(), nobody.clone()]);
    host.must_delete(from_ref(&bob));
    host.must_load(&[alice, nobody]);
}

pub fn keys_that_differ_in_one_part_name_different_objects(factory: &dyn Factory) {
    let hash = [0xab; 32];
    let make = |model: &str, rank, group, salt: &str, hash: &[u8]| {
        KeyScope::new(model, rank, group, salt).unwrap().key(hash).unwrap()
    };
    must_be_apart(
        factory,
        &[
            make("org/model", 1, 2, "salt", &hash),
            make("org/model2", 1, 2, "salt", &hash),
            make("org/model", 2, 2, "salt", &hash),
            make("org/model", u64::MAX, 2, "salt", &hash),
            make("org/model", 1, 3, "salt", &hash),
            make("org/model", 1, u64::MAX, "salt", &hash),
            make("org/model", 1, 2, "salt2", &hash),
            make("org/model", 1, 2, "", &hash),
            make("org/model", 1, 2, "salt", &[0xac; 32]),
            make("org/model", 1, 2, "salt", &hash[..31]),
            make("org/model", 1, 2, "salt", &hash[..1]),
            make("org/model", 1, 2, "salt", &[0xab; 64]),
        ],
    );
}

/// Parts that a careless way of writing a key down would confuse.
pub fn keys_whose_names_look_alike_name_different_objects(factory: &dyn Factory) {
    let make = |model: &str, salt: &str| KeyScope::new(model, 1, 2, salt).unwrap().key(&[0xab; 8]).unwrap();
    must_be_apart(
        factory,
        &[
            make("org/model", ""),
            make("org--model", ""),
            make("org-/model", ""),
            make("org-_model", ""),
            make("org//model", ""),
            make("org%2Fmodel", ""),
            make("org\\model", ""),
            make("/org/model", ""),
            make("org/model/", ""),
            make("Org/Model", ""),
            make("org/model_00000001_2_abababababababab", ""),
            make("org/model@salt", ""),
            make("org/model", "salt"),
            make("org/model", "SALT"),
            make("org/model", "salt.bin"),
            make("org/model.bin", ""),
        ],
    );
}

/// Strange, and yet allowed.
pub(super) fn strange_keys() -> Vec<ObjectKey> {
    let accents = "é".repeat(128);
    let long = "long/".repeat(102);
    let names = [
        ("m", ""),
        ("a model with spaces", "a salt with spaces"),
        ("模型/名字", "盐"),
        ("e\u{301}", ""),
        ("\u{e9}", ""),
        ("-rf", "--help"),
        (".hidden", ".."),
        ("x.tmp.1", "y.tmp.2"),
        ("*?[a-z]$HOME`'\"", "~;|&<>"),
        ("new\nline\ttab\r\u{1b}[31m", "\u{7f}"),
        ("CON", "NUL"),
        ("/", " "),
        (accents.as_str(), accents.as_str()),
        (long.as_str(), accents.as_str()),
    ];
    let hashes = [vec![0], vec![0xff; 8], vec![0x11; 32], vec![0x22; 33], vec![0x33; 64]];
    names
        .iter()
        .zip(hashes.iter().cycle())
        .map(|((model, salt), hash)| {
            KeyScope::new(model, 0x0102_0304_0506_0708, 0xb, salt).unwrap().key(hash).unwrap()
        })
        .collect()
}

pub fn long_and_strange_keys_work(factory: &dyn Factory) {
    must_be_apart(factory, &strange_keys());
}
