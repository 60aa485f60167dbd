//! Bytes that are not those which were stored are never served.

use std::fs;
use std::slice::from_ref;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{ErrorKind, ObjectKey};

use crate::support::{Opener, SLOT, Store, names, shared_s3};

/// Loads a key, which must fail for its object is not what it was, and be gone with its bytes.
#[track_caller]
fn must_be_dropped(host: &Host, key: &ObjectKey, left: usize) {
    let healed = host.adapter.status().healed_objects;
    let load = host.load(from_ref(key));
    let error = load.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(load.outcomes[0].memory.is_some(), "the lease comes back");
    assert_eq!(host.adapter.status().healed_objects, healed + 1);
    host.must_miss(from_ref(key));
    host.must_use(left);
}

#[test]
fn an_object_replaced_by_other_bytes_of_its_length_is_dropped() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(8));
    let prefix = opener.config.object_prefix.clone().unwrap();
    let host = opener.host();
    host.must_store(&keys(4));
    let path = |number: usize| server.object_path(&format!("{prefix}{number:010}"));
    assert_eq!(names(server, &prefix).len(), 4);

    // Batches of one take the slots in order; which of a batch has which is read from the bytes.
    let bytes: Vec<Vec<u8>> = (0..4).map(|number| fs::read(path(number)).unwrap()).collect();
    let holder = |number: u64| {
        let mut wanted = vec![0; SLOT];
        l2_core::testing::fixtures::fill(&key(number), &mut wanted);
        bytes.iter().position(|found| *found == wanted).unwrap()
    };
    // Another object's bytes, and one bit of its own.
    fs::write(path(holder(0)), &bytes[holder(1)]).unwrap();
    let mut flipped = bytes[holder(2)].clone();
    flipped[SLOT - 1] ^= 1;
    fs::write(path(holder(2)), flipped).unwrap();

    must_be_dropped(&host, &key(0), 3);
    must_be_dropped(&host, &key(2), 2);
    host.must_load(&[key(1), key(3)]);
    host.must_store(&[key(0), key(2)]);
    host.must_load(&keys(4));
}

#[test]
fn an_object_of_which_one_piece_was_replaced_is_dropped_with_all_its_pieces() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(4));
    let prefix = opener.config.object_prefix.clone().unwrap();
    let host = opener.host();
    let stored = host.store_items(vec![host.item_of(&key(0), 3 * SLOT)]);
    assert_eq!(stored.written_bytes(), 3 * SLOT as u64);
    drop(stored);
    let path = |number: usize| server.object_path(&format!("{prefix}{number:010}"));
    let (first, second) = (fs::read(path(0)).unwrap(), fs::read(path(1)).unwrap());
    fs::write(path(0), second).unwrap();
    fs::write(path(1), first).unwrap();
    let load = host.load_items(vec![host.blank_of(&key(0), 3 * SLOT)]);
    assert_eq!(load.outcomes[0].result.as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
    host.must_miss(&[key(0)]);
    host.must_use(0);
}

#[test]
fn an_object_that_grew_is_what_it_was() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(1));
    let host = opener.host();
    host.must_store(&[key(0)]);
    let path = server.object_path(&format!("{}{:010}", opener.config.object_prefix.as_ref().unwrap(), 0));
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([7; 100]);
    fs::write(path, bytes).unwrap();
    // Only its own length is asked for.
    host.must_load(&[key(0)]);
}

#[test]
fn what_a_pool_of_another_program_wrote_over_is_never_served() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(4));
    let prefix = opener.config.object_prefix.clone().unwrap();
    let host = opener.host();
    host.must_store(&keys(4));
    for name in names(server, &prefix) {
        // As a server elsewhere with the same prefix does, of which this machine knows nothing.
        fs::write(server.object_path(&name), vec![0x5a; SLOT]).unwrap();
    }
    for outcome in host.load(&keys(4)).outcomes {
        assert_eq!(outcome.result.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    host.must_use(0);
    host.must_store(&keys(4));
    host.must_load(&keys(4));
}
