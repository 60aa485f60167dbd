//! The trace of a production service through an adapter that evicts: it hits as often as LRU can.

mod model;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{check, fill};
use nixl_l2::{KeyScope, Lease, LoadItem, ObjectKey, StoreItem};
use serde_json::Value;

use self::model::{Model, part};
use crate::setup::{Kind, OBJECT, Setup};

const TRIGGER: f64 = 0.9;
const RATIO: f64 = 0.1;
const LRU: &str = r#"{"eviction_policy": "LRU", "trigger_watermark": 0.9, "eviction_ratio": 0.1}"#;

/// The capacities, as the configuration has them, and the prefix hits of the whole trace that are expected there.
const WHOLE: [(f64, u64); 4] = [
    (0.381_469_726_562_5, 104_701),
    (0.190_734_863_281_25, 101_619),
    (0.076_293_945_312_5, 77_826),
    (SMALL_GIB, 26_602),
];
const SMALL_GIB: f64 = 0.019_073_486_328_125;

/// The block ids of each request; nothing where the trace is not there.
fn requests() -> Option<Vec<Vec<u64>>> {
    let trace =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mooncake_conversation_trace.jsonl");
    let Ok(text) = fs::read_to_string(&trace) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} is not there", trace.display());
        return None;
    };
    let request = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["hash_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
    };
    Some(text.lines().map(request).collect())
}

/// A server that plays requests on an adapter.
struct Server<'a> {
    host: &'a Host,
    scope: KeyScope,
    prefix_hits: u64,
    stored: u64,
}

impl Server<'_> {
    fn lease(&self, at: usize) -> Lease {
        self.host.l1.lease(at * OBJECT, OBJECT).unwrap()
    }

    fn play(&mut self, request: &[u64]) {
        let keys: Vec<ObjectKey> =
            request.iter().map(|id| self.scope.key(&id.to_be_bytes()).unwrap()).collect();
        let lookup = self.host.adapter.submit_lookup_and_lock(keys.clone());
        let task = lookup.id();
        let there = self.host.wait(lookup).bitmap();
        let run = there.iter().take_while(|there| **there).count();
        self.load(&keys[..run]);
        let mut missing = Vec::new();
        let mut hits = Vec::new();
        for (key, there) in keys.iter().zip(&there) {
            if *there {
                hits.push(key.clone());
            } else if !missing.contains(key) {
                missing.push(key.clone());
            }
        }
        self.host.adapter.unlock_task(task, &hits);
        self.store(missing);
        // It panics when the capacity is passed.
        self.host.used();
    }

    fn load(&mut self, keys: &[ObjectKey]) {
        let items =
            keys.iter().enumerate().map(|(at, key)| LoadItem { key: key.clone(), memory: self.lease(at) });
        let report = self.host.wait(self.host.adapter.submit_load(items.collect()));
        for (key, outcome) in keys.iter().zip(report.outcomes) {
            outcome.result.unwrap_or_else(|error| panic!("what is pinned was not loaded: {error}"));
            check(key, outcome.memory.unwrap().as_slice().unwrap()).unwrap();
        }
        self.prefix_hits += keys.len() as u64;
    }

    fn store(&mut self, keys: Vec<ObjectKey>) {
        let item = |(at, key): (usize, ObjectKey)| {
            let mut memory = self.lease(at);
            fill(&key, memory.as_mut_slice().unwrap());
            StoreItem { key, memory: memory.freeze() }
        };
        let items = keys.into_iter().enumerate().map(item).collect();
        let report = self.host.wait(self.host.adapter.submit_store(items));
        if let Some((_, error)) = report.failures().next() {
            panic!("a store failed: {error}");
        }
        self.stored += report.written_bytes() / OBJECT as u64;
    }
}

/// Plays requests, and says how many blocks they hit.
#[track_caller]
fn play(kind: Kind, requests: &[Vec<u64>], capacity: usize) -> u64 {
    let setup = Setup::of(kind).evicting(LRU).in_memory();
    let host = setup.host(capacity);
    let scope = KeyScope::new("mooncake/conversation", 0, 0, "").unwrap();
    let mut server = Server { host: &host, scope, prefix_hits: 0, stored: 0 };
    requests.iter().for_each(|request| server.play(request));
    let (hits, stored) = (server.prefix_hits, server.stored);
    let _ = writeln!(std::io::stderr(), "{kind:?}, room for {capacity}: {hits} prefix hits, {stored} stored");
    host.adapter.close().unwrap();
    hits
}

/// Within two parts of a hundred.
#[track_caller]
fn must_be_near(hits: u64, expected: u64) {
    assert!(hits.abs_diff(expected) * 100 <= expected * 2, "{hits} prefix hits, expected were {expected}");
}

fn model(requests: &[Vec<u64>], capacity: usize) -> u64 {
    let mut model = Model::new(capacity, TRIGGER, RATIO);
    requests.iter().for_each(|request| model.play(request));
    model.prefix_hits
}

fn blocks(gib: f64) -> usize {
    part((1 << 30) / OBJECT, gib)
}

#[test]
fn the_first_requests_of_the_trace_hit_as_often_as_with_exact_lru() {
    let Some(requests) = requests() else { return };
    let (requests, capacity) = (&requests[..1500], blocks(SMALL_GIB));
    let expected = model(requests, capacity);
    for kind in [Kind::Files, Kind::Pool] {
        must_be_near(play(kind, requests, capacity), expected);
    }
}

#[test]
fn the_model_hits_as_often_on_the_whole_trace_as_is_known() {
    let Some(requests) = requests() else { return };
    for (gib, expected) in WHOLE {
        must_be_near(model(&requests, blocks(gib)), expected);
    }
}

#[track_caller]
fn plays_the_whole_trace(kind: Kind) {
    let Some(requests) = requests() else { return };
    for (gib, expected) in WHOLE {
        must_be_near(play(kind, &requests, blocks(gib)), expected);
    }
}

#[test]
#[ignore = "stores some 800,000 objects, each in a file"]
fn the_whole_trace_hits_as_often_as_it_should_at_four_capacities() {
    plays_the_whole_trace(Kind::Files);
}

#[test]
#[ignore = "stores some 800,000 objects"]
fn the_whole_trace_hits_as_often_as_it_should_at_four_capacities_on_a_pool() {
    plays_the_whole_trace(Kind::Pool);
}
