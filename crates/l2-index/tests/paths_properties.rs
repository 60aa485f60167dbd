//! Paths of arbitrary keys: one-to-one, and safe on any file system.
#![cfg(test)]

use std::collections::HashMap;
use std::path::Path;

use l2_core::{KeyScope, ObjectKey};
use l2_index::paths::{Layout, key_to_path, path_to_key};
use proptest::prelude::*;

const LAYOUTS: [Layout; 2] = [Layout::Flat, Layout::Sharded];

/// Text with much of what makes names ambiguous or unsafe.
fn text(characters: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::sample::select(vec!['-', '/', '_', '%', '@', '.', '~', '\\', ' ', '+', '0', 'a', '1']),
        1 => prop::sample::select(vec!['\u{1}', '\n', '\u{7f}', '\u{85}', 'é', '模', '🦀', '\u{301}', '\u{202e}']),
        1 => any::<char>(),
        1 => prop::char::range('a', 'z'),
    ];
    let mixed = prop::collection::vec(character, characters.clone());
    prop_oneof![
        mixed.prop_map(String::from_iter),
        // Runs, to reach the limits of length; cut in pieces at every position.
        (prop::sample::select(vec!["-", "/", "m", "%", "é", "🦀", "\u{1}", "a/b-", "--m"]), characters)
            .prop_map(|(run, times)| run.repeat(times)),
    ]
}

fn model_name() -> impl Strategy<Value = String> {
    prop_oneof![text(1..=6), text(1..=512)].prop_map(|mut text| {
        text.truncate(text.floor_char_boundary(512));
        text
    })
}

fn cache_salt() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), text(0..=6), text(0..=128)]
        .prop_map(|text| text.replace(['@', '/', '\\', '\0'], "+").chars().take(128).collect())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..20, Just(u64::MAX), any::<u64>(), any::<u32>().prop_map(u64::from)]
}

fn key() -> impl Strategy<Value = ObjectKey> {
    let hash =
        prop_oneof![prop::collection::vec(any::<u8>(), 1..=4), prop::collection::vec(any::<u8>(), 1..=64)];
    (model_name(), number(), number(), cache_salt(), hash)
        .prop_filter_map("a legal key", |(model, rank, group, salt, hash)| {
            KeyScope::new(&model, rank, group, &salt).ok()?.key(&hash).ok()
        })
}

#[track_caller]
fn is_safe(path: &str) {
    assert!(path.len() < 4096 && !path.contains('\0'), "{path:?}");
    let parts: Vec<&str> = path.split('/').collect();
    let (name, directories) = parts.split_last().unwrap();
    assert!(name.ends_with(".bin"), "{path:?}");
    for directory in directories {
        assert!(directory.len() == 2 || directory.ends_with('~'), "{path:?}");
    }
    for part in parts {
        assert!(!part.is_empty() && part.len() <= 255 && !part.starts_with('.'), "{path:?}");
        assert!(!part.chars().any(char::is_control), "{path:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_path_is_safe_and_gives_its_key_back(key in key()) {
        let [flat, sharded] = LAYOUTS.map(|layout| key_to_path(&key, layout));
        prop_assert_ne!(&flat, &sharded);
        for path in [flat, sharded] {
            is_safe(&path);
            prop_assert_eq!(path_to_key(Path::new(&path)), Some(key.clone()), "{}", path);
        }
    }

    #[test]
    fn keys_that_differ_in_one_part_have_different_paths(one in key(), other in key(), part in 0..5) {
        let (mut model, mut rank, mut group, mut salt, mut hash) =
            (one.model_name(), one.kv_rank(), one.object_group_id(), one.cache_salt(), one.chunk_hash());
        match part {
            0 => model = other.model_name(),
            1 => rank = other.kv_rank(),
            2 => group = other.object_group_id(),
            3 => salt = other.cache_salt(),
            _ => hash = other.chunk_hash(),
        }
        let changed = KeyScope::new(model, rank, group, salt).unwrap().key(hash).unwrap();
        for layout in LAYOUTS {
            prop_assert_eq!(key_to_path(&one, layout) == key_to_path(&changed, layout), one == changed);
        }
    }

    #[test]
    fn a_string_that_is_taken_for_a_path_is_the_path_of_the_key(
        key in key(), sharded: bool, at in any::<prop::sample::Index>(), remove in 0usize..3,
        insert in prop_oneof!["[-/_%@.~0-9a-fA-F]{0,3}", Just("~/%1_".to_owned()), Just("%2F".to_owned())],
    ) {
        // A real path, changed a little.
        let mut path = key_to_path(&key, if sharded { Layout::Sharded } else { Layout::Flat });
        let start = path.floor_char_boundary(at.index(path.len()));
        let end = path.ceil_char_boundary((start + remove).min(path.len()));
        path.replace_range(start..end, &insert);
        if let Some(found) = path_to_key(Path::new(&path)) {
            prop_assert!(LAYOUTS.map(|layout| key_to_path(&found, layout)).contains(&path), "{}", path);
        }
    }
}

/// What the rule says of the plain form, read from the documentation of `paths` alone.
fn plain_name(key: &ObjectKey) -> Option<String> {
    let model = key.model_name();
    let with_dashes = model.split('/').collect::<Vec<_>>().join("--");
    let salt = if key.cache_salt().is_empty() { String::new() } else { format!("@{}", key.cache_salt()) };
    let rank = format!("{:x}", key.kv_rank());
    let rank = "0".repeat(8usize.saturating_sub(rank.len())) + &rank;
    let hash: String = key.chunk_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{with_dashes}_{rank}_{:x}_{hash}{salt}.bin", key.object_group_id());
    let is_plain = !model.starts_with('.')
        && !model.starts_with('%')
        && !model.contains('@')
        && !model.contains("--")
        && !with_dashes.contains("---")
        && !name.chars().any(|character| matches!(character, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'))
        && name.len() <= 255;
    is_plain.then_some(name)
}

/// Names made of what paths are made of, so that one key may look like the path of another.
fn pieces() -> impl Strategy<Value = ObjectKey> {
    let piece = prop::sample::select(vec![
        "m",
        "_00000000_0_ab",
        "_",
        "00000000",
        "@",
        "@s",
        ".bin",
        "/",
        "ab/cd/",
        "ab/__/",
        "%1_",
        "~",
        "~/",
        "-",
        "--",
        "%2F",
        "%40",
        ".",
    ]);
    let model = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    let salt = prop::sample::select(vec![
        "",
        "",
        "s",
        "s.bin",
        ".bin",
        "_00000000_0_ab",
        "~",
        "%1_",
        "%2F",
        "%40",
        "-",
        "é",
    ]);
    let hash = prop::sample::select(vec![vec![0xab], vec![0xcd], vec![0xab, 0xcd], vec![0xab; 3]]);
    (model, 0u64..2, 0u64..2, salt, hash)
        .prop_filter_map("a legal key", |(model, rank, group, salt, hash)| {
            KeyScope::new(&model, rank, group, salt).ok()?.key(&hash).ok()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_plain_form_is_used_exactly_where_it_can_be(key in prop_oneof![key(), pieces()]) {
        let path = key_to_path(&key, Layout::Flat);
        match plain_name(&key) {
            Some(name) => prop_assert_eq!(path, name),
            None => prop_assert!(path.starts_with("%1_") && path.contains("~/"), "{}", path),
        }
    }

    /// The file names of these have 250 to 260 bytes, by the model or by the salt.
    #[test]
    fn about_the_longest_file_name_paths_are_safe_and_give_their_keys_back(
        bytes in 250usize..=260, by_salt: bool, character in prop::sample::select(vec!["m", "é", "模", "🦀"]),
        hash in prop::collection::vec(any::<u8>(), 1..=64),
    ) {
        let rest = "m_00000000_0_.bin".len() + 2 * hash.len() + usize::from(by_salt);
        let count = (bytes - rest) / character.len();
        let filled = character.repeat(count) + &"x".repeat((bytes - rest) % character.len());
        // A salt has no more than 128 characters: the model takes the rest.
        let (model, salt): (String, String) = if by_salt {
            (filled.chars().skip(120).collect(), filled.chars().take(120).collect())
        } else {
            (filled, String::new())
        };
        let key = KeyScope::new(&format!("m{model}"), 0, 0, &salt).unwrap().key(&hash).unwrap();
        let [flat, sharded] = LAYOUTS.map(|layout| key_to_path(&key, layout));
        prop_assert_eq!(!flat.starts_with('%'), bytes <= 255);
        prop_assert!(bytes > 255 || flat.len() == bytes);
        for path in [flat, sharded] {
            is_safe(&path);
            prop_assert_eq!(path_to_key(Path::new(&path)), Some(key.clone()), "{}", path);
        }
    }

    #[test]
    fn keys_that_look_like_paths_of_others_share_none(keys in prop::collection::vec(pieces(), 1..60)) {
        let mut owners: HashMap<String, ObjectKey> = HashMap::new();
        for key in keys {
            for layout in LAYOUTS {
                let path = key_to_path(&key, layout);
                prop_assert_eq!(path_to_key(Path::new(&path)), Some(key.clone()), "{}", path);
                let other = owners.insert(path, key.clone());
                prop_assert!(other.is_none_or(|other| other == key), "{key} has the path of another key");
            }
        }
    }
}

#[test]
fn all_short_model_names_have_paths_of_their_own() {
    const ALPHABET: [char; 9] = ['a', '-', '/', '_', '%', '@', '.', '2', '~'];
    let mut owners: HashMap<String, ObjectKey> = HashMap::new();
    let mut names = vec![String::new()];
    for _ in 0..5 {
        names =
            names.iter().flat_map(|name| ALPHABET.map(|character| format!("{name}{character}"))).collect();
        for name in &names {
            for salt in ["", "a", "%2F"] {
                let Ok(scope) = KeyScope::new(name, 0, 0, salt) else { continue };
                let key = scope.key(&[0xaa]).unwrap();
                let other = owners.insert(key_to_path(&key, Layout::Flat), key.clone());
                assert_eq!(other, None, "{key} has the path of another key");
            }
        }
    }
    assert!(owners.len() > 190_000);
}
