//! What the index tells those who look.

use std::collections::BTreeMap;

use l2_core::SaltUsage;
use l2_index::{EntryState, Pin, Snapshot};

use super::*;

/// A listing, or a scan, of which a page is looked at after the other.
type Page = fn(&Arc<Index>, ScanCursor) -> (Vec<ObjectKey>, Option<ScanCursor>);

/// Between the pages entries go, and others come to their places: those that stay are shown once each.
#[track_caller]
fn shows_each_that_stays_once(page: Page) {
    let index = Arc::new(Index::new(u64::MAX));
    // So many that there are three pieces of this shard, and some in others.
    let mut keys = keys_of_one_shard(2600);
    keys.extend((0..300).map(|number| key(u64::MAX - number)));
    let (there, later) = keys.split_at(2300);
    there.iter().for_each(|key| stored(&index, key, 1));
    let stays = |at: usize| !at.is_multiple_of(3);
    let mut to_go = there.iter().enumerate().filter(|(at, _)| !stays(*at)).map(|(_, key)| key);
    let mut to_come = later.iter();

    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let (mut next, mut pages) = (Some(ScanCursor::default()), 0);
    while let Some(from) = next {
        let (listed, after) = page(&index, from);
        assert!(listed.len() <= 1024, "a page of {}", listed.len());
        pages += 1;
        for key in listed {
            *shown.entry(key.chunk_hash_hex()).or_default() += 1;
        }
        to_go.by_ref().take(5).for_each(|key| deleting(&index, key).finish());
        to_come.by_ref().take(4).for_each(|key| stored(&index, key, 1));
        assert!(pages < 1000, "it goes round");
        next = after;
    }
    // One for the end of each shard, and the pieces.
    assert!(pages > 16, "{pages} pages");
    for (at, key) in there.iter().enumerate().filter(|(at, _)| stays(*at)) {
        assert_eq!(shown.get(&key.chunk_hash_hex()), Some(&1), "{at}");
    }
}

#[test]
fn a_listing_shows_each_entry_that_stays_once() {
    shows_each_that_stays_once(|index, from| {
        let (listed, next) = index.list(from);
        (listed.into_iter().map(|(key, _)| key).collect(), next)
    });
}

#[test]
fn a_scan_shows_each_object_that_stays_once() {
    shows_each_that_stays_once(|index, from| {
        let mut shown = Vec::new();
        let next = index.scan(from, &mut |one, _| shown.push(one.key().unwrap()));
        (shown, next)
    });
}

#[test]
fn entries_are_those_of_all_shards() {
    let index = Arc::new(Index::new(u64::MAX));
    for number in 0..1000 {
        stored(&index, &key(number), number);
    }
    let mut bytes: Vec<u64> = index.entries().map(|(_, view)| view.bytes).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, Vec::from_iter(0..1000));
    assert_eq!(index.objects(), 1000);
}

#[test]
fn residents_are_the_entries_that_can_be_looked_up() {
    let (index, _) = with_one();
    stored(&index, &key(2), 1);
    let (reservation, deletion) = (reserved(&index, &key(3), 1), deleting(&index, &key(2)));
    assert_eq!(Vec::from_iter(index.residents()), [(key(1), 4)]);
    let states = index.entries().map(|(key, entry)| (key.chunk_hash()[0], entry.state));
    let expected = [(1, EntryState::Resident), (2, EntryState::Deleting), (3, EntryState::Storing)];
    assert_eq!(BTreeMap::from_iter(states), BTreeMap::from_iter(expected));
    drop((reservation, deletion));
}

#[test]
fn the_sums_are_those_of_all_entries() {
    let (index, _) = with_one();
    stored(&index, &key(2), 1);
    let reservation = reserved(&index, &key(3), 3);
    for owner in [7, 8] {
        assert_eq!(pin(&index, &key(1), owner), Pin::Hit { bytes: 4 });
    }
    let expected =
        Snapshot { used_bytes: 8, capacity_bytes: 10, objects: 2, pinned_objects: 1, expired_pins: 0 };
    assert_eq!(index.snapshot(), expected);
    reservation.commit();
    assert_eq!(index.snapshot(), Snapshot { objects: 3, ..expected });
    let empty = Index::<()>::new(0).snapshot();
    assert_eq!(empty, Snapshot::default());
}

#[test]
fn the_usage_of_a_tenant_is_that_of_all_its_models_and_states() {
    let index = Arc::new(Index::new(100));
    let of =
        |model: &str, salt: &str, hash: u8| KeyScope::new(model, 0, 0, salt).unwrap().key(&[hash]).unwrap();
    let usage = |salt: &str, bytes, objects| SaltUsage { salt: salt.to_owned(), bytes, objects };
    let told = || {
        let mut told = index.usage_by_salt();
        told.sort_by(|one, other| one.salt.cmp(&other.salt));
        told
    };
    assert_eq!(told(), []);
    // In many shards.
    (0..8).for_each(|hash| stored(&index, &of("org/m", "x", hash), 2));
    stored(&index, &of("n", "x", 1), 5);
    stored(&index, &of("n", "", 1), 7);
    let reservation = reserved(&index, &of("n", "é", 1), 0);
    assert_eq!(told(), [usage("", 7, 1), usage("x", 21, 9), usage("é", 0, 1)]);
    drop(reservation);
    let deletion = deleting(&index, &of("n", "", 1));
    assert_eq!(told(), [usage("", 7, 1), usage("x", 21, 9)], "its bytes count until they are free");
    deletion.finish();
    deleting(&index, &of("org/m", "x", 3)).finish();
    assert_eq!(told(), [usage("x", 19, 8)]);
}

#[test]
fn unknown_keys_are_not_remembered() {
    let index = Arc::new(Index::<()>::new(10));
    assert_eq!((unpin(&index, &key(1), None), unpin(&index, &key(1), 7)), (0, 0));
    assert_eq!(pin(&index, &key(1), 7), Pin::Absent);
    assert!(matches!(read(&index, &key(1)), Read::Absent));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Absent));
    index.mark_reused(&[key(1)]);
    assert_eq!((index.entries().next(), index.usage_by_salt()), (None, vec![]));
    assert_eq!(format!("{index:?}"), "Index { used_bytes: 0, capacity_bytes: 10, .. }");
}
