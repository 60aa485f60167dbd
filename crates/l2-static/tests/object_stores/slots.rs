//! Slots: how long one is, and that each is one object of the store.

use std::collections::BTreeMap;
use std::fs;

use l2_config::{AdapterConfig, StaticConfig};
use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, Stored};
use test_servers::S3Server;

use crate::support::{Opener, SLOT, Store, names, new_prefix, shared_s3};

/// A pool of slots whose length is not configured.
fn undecided(slots: u64) -> Opener {
    let mut config = Store::s3(shared_s3()).config(slots);
    config.slot_bytes = None;
    Opener::new(config)
}

/// The lengths of the store's objects of a pool, by name.
fn lengths(server: &S3Server, opener: &Opener) -> BTreeMap<String, u64> {
    let prefix = opener.config.object_prefix.as_deref().unwrap();
    let length = |name: &String| fs::metadata(server.object_path(name)).unwrap().len();
    names(server, prefix).into_iter().map(|name| (name.clone(), length(&name))).collect()
}

#[test]
fn each_slot_is_one_object_of_the_store_however_many_pages_it_has() {
    const LONG: usize = 16 * SLOT;
    let server = shared_s3();
    let mut opener = Opener::new(Store::s3(server).config(8));
    opener.config.slot_bytes = Some(LONG as u64);
    opener.object_bytes = LONG;
    let host = opener.host();
    host.must_store(&keys(5));
    assert_eq!(lengths(server, &opener).into_values().collect::<Vec<_>>(), [LONG as u64; 5]);
    host.must_load(&keys(5));
    host.must_use(5);
}

#[test]
fn a_short_object_takes_a_slot_in_the_count_and_its_own_length_on_the_server() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(2));
    let host = opener.host();
    for (number, bytes) in [(0, 1), (1, SLOT - 1)] {
        let stored = host.store_items(vec![host.item_of(&key(number), bytes)]);
        assert_eq!(
            stored.outcomes[0].result.as_ref().ok(),
            Some(&Stored::Written { bytes: bytes as u64 }),
            "{stored:?}"
        );
        drop(stored);
        let loaded = host.load_items(vec![host.blank_of(&key(number), bytes)]);
        assert!(loaded.outcomes[0].result.is_ok(), "{loaded:?}");
    }
    assert_eq!(lengths(server, &opener).into_values().collect::<Vec<_>>(), [1, SLOT as u64 - 1]);
    host.must_use(2);
    let refused = host.store_items(vec![host.item_of(&key(2), 1)]);
    assert_eq!(refused.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn an_object_longer_than_a_slot_takes_several() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(8));
    let host = opener.host();
    let long = 2 * SLOT + SLOT / 2;
    let stored = host.store_items(vec![host.item_of(&key(0), long), host.item(&key(1))]);
    assert_eq!(stored.written_bytes(), (long + SLOT) as u64, "{stored:?}");
    drop(stored);
    let mut found: Vec<u64> = lengths(server, &opener).into_values().collect();
    found.sort_unstable();
    assert_eq!(found, [SLOT as u64 / 2, SLOT as u64, SLOT as u64, SLOT as u64]);
    host.must_use(4);
    let loaded = host.load_items(vec![host.blank_of(&key(0), long), host.blank(&key(1))]);
    assert_eq!(loaded.bitmap(), [true, true], "{loaded:?}");
}

#[test]
fn an_object_in_pieces_all_over_the_pool_is_whole() {
    let opener = Opener::new(Store::s3(shared_s3()).config(9));
    let host = opener.host();
    host.must_store(&keys(9));
    host.must_delete(&[key(0), key(3), key(4), key(8)]);
    let stored = host.store_items(vec![host.item_of(&key(20), 4 * SLOT)]);
    assert_eq!(stored.written_bytes(), 4 * SLOT as u64, "{stored:?}");
    drop(stored);
    let loaded = host.load_items(vec![host.blank_of(&key(20), 4 * SLOT)]);
    assert!(loaded.outcomes[0].result.is_ok(), "{loaded:?}");
    host.must_load(&[key(1), key(2), key(5), key(6), key(7)]);
}

#[test]
fn file_size_and_slot_size_in_json_are_the_same() {
    let server = shared_s3();
    let config = |sizes: &str| -> StaticConfig {
        let mut params = format!(r#""object_prefix": "{}", {sizes}"#, new_prefix());
        for (name, value) in server.params() {
            params += &format!(r#", "{name}": "{value}""#);
        }
        let json = format!(
            r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": 4, "backend_params": {{{params}}}}}"#
        );
        match AdapterConfig::parse(&json).unwrap() {
            AdapterConfig::Static(config) => config,
            other => panic!("{other:?}"),
        }
    };
    for sizes in
        [r#""file_size": 8192"#, r#""slot_size": "8192""#, r#""slot_size": 8192, "file_size": "8192""#]
    {
        let opener = Opener::new(config(sizes));
        let host = opener.host();
        assert_eq!(host.adapter.usage().capacity_bytes, 4 * 8192, "{sizes}");
        host.must_store(&[key(0)]);
        assert_eq!(host.used(), 8192, "{sizes}");
        host.must_load(&[key(0)]);
    }
}

#[test]
fn a_chunk_that_the_host_tells_of_is_a_slot() {
    let mut opener = undecided(4);
    opener.chunk_bytes = Some(3 * SLOT as u64);
    let host = opener.host();
    let capacity = 12 * SLOT as u64;
    assert_eq!(host.adapter.usage().capacity_bytes, capacity);
    host.must_store(&[key(0)]);
    assert_eq!(host.adapter.usage().capacity_bytes, capacity, "a shorter object changes nothing");
    assert_eq!(host.used(), 3 * SLOT as u64);
}

#[test]
fn a_configured_size_goes_before_the_hosts_chunk() {
    let mut opener = Opener::new(Store::s3(shared_s3()).config(4));
    opener.chunk_bytes = Some(3 * SLOT as u64);
    assert_eq!(opener.host().adapter.usage().capacity_bytes, 4 * SLOT as u64);
}

#[test]
fn the_first_store_decides_where_nobody_else_does() {
    let opener = undecided(4);
    let host = opener.host();
    let pool = || host.adapter.status().pool.unwrap();
    assert_eq!(host.adapter.usage().capacity_bytes, 0, "it is not known");
    assert_eq!((pool().slots, pool().slot_bytes, pool().free_slots), (4, 0, 4));
    host.must_miss(&keys(2));

    let stored = host.store_items(vec![host.item_of(&key(0), 2 * SLOT), host.item_of(&key(1), SLOT)]);
    assert_eq!(stored.written_bytes(), 3 * SLOT as u64, "{stored:?}");
    assert_eq!(host.adapter.usage().capacity_bytes, 8 * SLOT as u64);
    assert_eq!((pool().slots, pool().slot_bytes, pool().free_slots), (4, 2 * SLOT as u64, 2));
    assert_eq!(
        lengths(shared_s3(), &opener).into_values().collect::<Vec<_>>(),
        [2 * SLOT as u64, SLOT as u64]
    );
}

#[test]
fn many_first_stores_at_once_agree_on_one_size() {
    let opener = undecided(64);
    let host = opener.host();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let host = &host;
            scope.spawn(move || {
                let bytes = if number % 2 == 0 { SLOT } else { 2 * SLOT };
                let stored = host.store_items(vec![host.item_of(&key(number), bytes)]);
                assert_eq!(stored.written_bytes(), bytes as u64, "{stored:?}");
            });
        }
    });
    let slot = host.adapter.status().pool.unwrap().slot_bytes;
    assert!([SLOT as u64, 2 * SLOT as u64].contains(&slot), "{slot}");
    assert_eq!(host.adapter.usage().capacity_bytes, 64 * slot);
    let needed = if slot == SLOT as u64 { 12 } else { 8 };
    assert_eq!(host.used(), needed * slot);
}

#[test]
fn an_object_that_no_pool_of_this_size_holds_is_refused_with_the_sum() {
    let opener = Opener::new(Store::s3(shared_s3()).config(2));
    let host = opener.host();
    let refused = host.store_items(vec![host.item_of(&key(0), 3 * SLOT)]);
    let error = refused.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let text = error.to_string();
    for part in ["pool_size 2 times file_size 4096", "file_size to 12288", "pool_size to 3"] {
        assert!(text.contains(part), "{part} in: {text}");
    }
    host.must_use(0);
}

#[test]
fn a_slot_longer_than_one_request_moves_is_refused_at_once() {
    let mut config = Store::s3(shared_s3()).config(4);
    config.slot_bytes = Some(0x7fff_f001);
    let l1 = l2_memory::Region::allocate(SLOT).unwrap();
    let error = Opener::new(config).adapter(&l1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("at most 2147479552 bytes"), "{error}");
}

#[test]
fn a_tiny_first_object_does_not_make_tiny_slots() {
    let mut opener = undecided(8);
    opener.object_bytes = 1;
    let host = opener.host();
    host.must_store(&[key(0)]);
    assert_eq!(host.adapter.usage().capacity_bytes, 8 * 4096);
    host.must_load(&[key(0)]);
}
