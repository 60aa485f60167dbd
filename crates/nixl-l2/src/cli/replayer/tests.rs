//! The replay on an adapter in memory, compared with plain models of a cache.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use l2_core::testing::{MemoryAdapter, MemoryStorage};
use nixl_l2::Region;
use proptest::prelude::*;

use super::*;
use crate::cli::trace::{Survey, Trace};

const MODEL: &str = "org/model";
const PLENTY: u64 = 1 << 40;

fn play_all(adapter: &dyn L2Adapter, slots: &Slots, requests: &[Vec<u64>]) -> Tally {
    let mut replayer = Replayer::new(adapter, slots, MODEL, true).unwrap();
    requests.iter().for_each(|request| replayer.play(request).unwrap());
    replayer.tally().clone()
}

/// Prefix hits and stored blocks of a cache without limits: the ids seen so far, no more.
fn expected(requests: impl Iterator<Item = Vec<u64>>) -> (u64, u64, u64) {
    let mut seen = HashSet::new();
    let (mut blocks, mut hits) = (0, 0);
    for request in requests {
        blocks += request.len() as u64;
        hits += request.iter().take_while(|id| seen.contains(*id)).count() as u64;
        seen.extend(request);
    }
    (blocks, hits, seen.len() as u64)
}

fn requests() -> impl Strategy<Value = Vec<Vec<u64>>> {
    // A shared prefix, then blocks that may come in other requests, and twice in their own.
    let request = (0u64..6, prop::collection::vec(0u64..40, 0..12))
        .prop_map(|(prefix, rest)| (1000..1000 + prefix).chain(rest).collect());
    prop::collection::vec(request, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hits_and_stores_are_those_of_a_set(requests in requests(), slots in 1usize..20, block_bytes in 1usize..200) {
        let adapter = MemoryAdapter::new(PLENTY).unwrap();
        let slots = Slots::allocate(slots, block_bytes).unwrap();
        let tally = play_all(&adapter, &slots, &requests);
        let (blocks, hits, distinct) = expected(requests.iter().cloned());
        prop_assert_eq!((tally.blocks, tally.prefix_hits, tally.stored), (blocks, hits, distinct));
        prop_assert_eq!(tally.requests, requests.len() as u64);
        prop_assert_eq!(tally.loaded_bytes, hits * block_bytes as u64);
        prop_assert_eq!(tally.stored_bytes, distinct * block_bytes as u64);
        prop_assert_eq!((tally.already_present, tally.store_failed, tally.load_failed, tally.mismatches), (0, 0, 0, 0));
        prop_assert_eq!(adapter.status().pinned_objects, 0, "every pin is given back");
        prop_assert_eq!(slots.region().leased_bytes(), 0);
    }

    #[test]
    fn a_full_adapter_keeps_what_came_first_and_rejects_the_rest(requests in requests(), room in 0usize..30) {
        let adapter = MemoryAdapter::new(room as u64 * 64).unwrap();
        let slots = Slots::allocate(7, 64).unwrap();
        let tally = play_all(&adapter, &slots, &requests);
        let mut held = HashSet::new();
        let (mut hits, mut rejected) = (0, 0);
        for request in &requests {
            hits += request.iter().take_while(|id| held.contains(*id)).count() as u64;
            let missing: HashSet<u64> = request.iter().copied().filter(|id| !held.contains(id)).collect();
            let mut tried = HashSet::new();
            for &id in request.iter().filter(|id| missing.contains(id)) {
                if tried.insert(id) {
                    if held.len() < room { held.insert(id); } else { rejected += 1; }
                }
            }
        }
        prop_assert_eq!((tally.prefix_hits, tally.stored), (hits, held.len() as u64));
        prop_assert_eq!((tally.rejected, tally.store_failed), (rejected, rejected));
        prop_assert_eq!(tally.first_error.is_some(), rejected > 0);
        prop_assert_eq!(tally.mismatches, 0);
    }
}

#[test]
fn a_second_run_over_the_same_storage_hits_everything_and_stores_nothing() {
    let requests: Vec<Vec<u64>> =
        (0..20).map(|user| (0..5).chain(user * 100..user * 100 + 7).collect()).collect();
    let storage = MemoryStorage::default();
    let slots = Slots::allocate(12, 1000).unwrap();
    let first = play_all(&MemoryAdapter::open(storage.clone(), PLENTY).unwrap(), &slots, &requests);
    let second = play_all(&MemoryAdapter::open(storage, PLENTY).unwrap(), &slots, &requests);
    assert_eq!((second.blocks, second.prefix_hits, second.stored), (first.blocks, first.blocks, 0));
    assert_eq!((second.loaded_bytes, second.mismatches), (first.blocks * 1000, 0));
}

#[test]
fn blocks_of_another_length_are_misses_that_are_written_again() {
    let requests = [vec![1, 2, 3], vec![1, 2, 3, 4]];
    let storage = MemoryStorage::default();
    for block_bytes in [4096, 100, 5000, 5000] {
        let adapter = MemoryAdapter::open(storage.clone(), PLENTY).unwrap();
        let slots = Slots::allocate(4, block_bytes).unwrap();
        let tally = play_all(&adapter, &slots, &requests);
        assert_eq!((tally.mismatches, tally.load_failed, tally.store_failed), (0, 0, 0));
        assert_eq!(adapter.usage().used_bytes, 4 * block_bytes as u64);
        assert_eq!(adapter.status().pinned_objects, 0);
        let again = play_all(&adapter, &slots, &requests);
        assert_eq!((again.prefix_hits, again.stored), (7, 0));
    }
}

/// Blocks 0 to 9, stored.
fn stored_run() -> (MemoryStorage, MemoryAdapter, Slots) {
    let storage = MemoryStorage::default();
    let adapter = MemoryAdapter::open(storage.clone(), PLENTY).unwrap();
    let slots = Slots::allocate(4, 64).unwrap();
    let tally = play_all(&adapter, &slots, &[(0..10).collect()]);
    assert_eq!(tally.stored, 10);
    (storage, adapter, slots)
}

#[test]
fn a_block_that_is_hit_but_lost_ends_the_run_and_is_stored_again() {
    let (storage, adapter, slots) = stored_run();
    let replayer = Replayer::new(&adapter, &slots, MODEL, true).unwrap();
    assert!(storage.lose(&replayer.key(5).unwrap()));
    assert!(storage.cut(&replayer.key(6).unwrap(), 10));
    let tally = play_all(&adapter, &slots, &[(0..10).collect()]);
    // Windows of 4: the second has blocks 4 to 7, the third is not loaded any more.
    assert_eq!((tally.prefix_hits, tally.load_failed, tally.loaded_bytes), (5, 2, 6 * 64));
    assert_eq!((tally.stored, tally.mismatches), (2, 0));
    assert!(tally.first_error.is_some());
    let healed = play_all(&adapter, &slots, &[(0..10).collect()]);
    assert_eq!((healed.prefix_hits, healed.load_failed, healed.stored), (10, 0, 0));
}

#[test]
fn wrong_bytes_are_found_only_by_verifying_and_named() {
    let adapter = MemoryAdapter::new(PLENTY).unwrap();
    let slots = Slots::allocate(1, 64).unwrap();
    let mut replayer = Replayer::new(&adapter, &slots, MODEL, true).unwrap();
    let key = replayer.key(7).unwrap();
    let region = Region::allocate(4096).unwrap();
    let mut memory = region.lease(0, 64).unwrap();
    content::fill(&key, memory.as_mut_slice().unwrap());
    memory.as_mut_slice().unwrap()[33] ^= 1;
    let item = StoreItem { key: key.clone(), memory: memory.freeze() };
    take(adapter.submit_store(vec![item]), "store").unwrap();

    replayer.play(&[7]).unwrap();
    assert_eq!((replayer.tally().prefix_hits, replayer.tally().mismatches), (1, 1));
    let first = replayer.tally().first_mismatch.clone().unwrap();
    assert!(first.contains("byte 33 of 64") && first.contains(&key.to_string()), "{first}");
    let mut trusting = Replayer::new(&adapter, &slots, MODEL, false).unwrap();
    trusting.play(&[7]).unwrap();
    assert_eq!((trusting.tally().prefix_hits, trusting.tally().mismatches), (1, 0));
}

#[test]
fn a_closed_adapter_ends_every_request_with_counted_errors() {
    let (_, adapter, slots) = stored_run();
    adapter.close().unwrap();
    let tally = play_all(&adapter, &slots, &[(0..10).collect()]);
    assert_eq!((tally.lookup_failed, tally.store_failed, tally.prefix_hits), (10, 10, 0));
}

#[test]
fn the_key_of_an_id_never_changes_and_holds_it() {
    let adapter = MemoryAdapter::new(1).unwrap();
    let slots = Slots::allocate(1, 1).unwrap();
    let replayer = Replayer::new(&adapter, &slots, MODEL, false).unwrap();
    let hash = replayer.key(258).unwrap().chunk_hash_hex();
    assert_eq!(hash, "dd4916e9a4d5e95d69a2707b745da8cf12d70ccabe0c03300000000000000102");
}

#[test]
fn the_production_trace_hits_as_often_as_a_set_says() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mooncake_conversation_trace.jsonl");
    if !path.exists() {
        let _ = writeln!(io::stderr(), "skipped: {} is not there", path.display());
        return;
    }
    let requests = || Trace::open(&path, None).unwrap().map(|request| request.unwrap().blocks);
    assert_eq!(expected(requests()), (288_500, 105_710, 182_790));
    let adapter = MemoryAdapter::new(PLENTY).unwrap();
    let slots = Slots::allocate(Survey::of(&path, None).unwrap().largest, 64).unwrap();
    let tally = play_all(&adapter, &slots, &requests().collect::<Vec<_>>());
    assert_eq!(
        (tally.requests, tally.blocks, tally.prefix_hits, tally.stored),
        (12_031, 288_500, 105_710, 182_790)
    );
    assert_eq!((tally.mismatches, tally.store_failed, tally.load_failed), (0, 0, 0));
}
