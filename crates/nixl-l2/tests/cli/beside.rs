//! The tools beside a running adapter: it misses what went, stores it again, and keeps the rest.

use std::sync::Arc;
use std::time::Duration;

use nixl_l2::{
    AdapterConfig, KeyScope, L2Adapter, LoadItem, Looked, Nixl, ObjectKey, Region, StoreItem, Stored,
};
use serde_json::json;

use crate::harness::{Home, run};

const LIMIT: Duration = Duration::from_secs(60);
const BYTES: usize = 8192;

struct Running {
    adapter: Arc<dyn L2Adapter>,
    l1: Region,
}

impl Running {
    fn open(home: &Home) -> Self {
        let config = home.config(|config| {
            config["integrity"] = json!("checksum");
            config["backend_params"]["shard_dirs"] = json!("true");
        });
        Nixl::load().unwrap().silence();
        let l1 = Region::allocate(16 * BYTES).unwrap();
        let adapter = nixl_l2::open(&AdapterConfig::parse(&config).unwrap(), &l1).unwrap();
        Self { adapter, l1 }
    }

    fn store(&self, key: &ObjectKey) -> Stored {
        let mut memory = self.l1.lease(0, BYTES).unwrap();
        memory.as_mut_slice().unwrap().fill(key.chunk_hash()[0]);
        let item = StoreItem { key: key.clone(), memory: memory.freeze() };
        self.adapter.submit_store(vec![item]).wait(LIMIT).unwrap().outcomes.remove(0).result.unwrap()
    }

    /// Whether it can be loaded, right.
    fn loads(&self, key: &ObjectKey) -> bool {
        let item = LoadItem { key: key.clone(), memory: self.l1.lease(0, BYTES).unwrap() };
        let outcome = self.adapter.submit_load(vec![item]).wait(LIMIT).unwrap().outcomes.remove(0);
        match outcome.result {
            Ok(_) => {
                outcome.memory.unwrap().as_slice().unwrap().iter().all(|byte| *byte == key.chunk_hash()[0])
            }
            Err(error) => {
                assert!(error.is_miss(), "{error}");
                false
            }
        }
    }

    fn hits(&self, key: &ObjectKey) -> bool {
        let report = self.adapter.submit_lookup_and_lock(vec![key.clone()]).wait(LIMIT).unwrap();
        let hits = matches!(report.answers[0], Looked::Hit { .. });
        if hits {
            self.adapter.unlock(std::slice::from_ref(key));
        }
        hits
    }
}

fn keys(salt: &str) -> Vec<ObjectKey> {
    let scope = KeyScope::new("org/m", 0, 0, salt).unwrap();
    (0..4).map(|number| scope.key(&[number + 1; 32]).unwrap()).collect()
}

#[test]
fn an_erased_tenant_is_missed_by_a_running_adapter_and_can_be_stored_again() {
    let home = Home::new();
    let running = Running::open(&home);
    let (alice, bob) = (keys("alice"), keys("bob"));
    for key in alice.iter().chain(&bob) {
        assert!(matches!(running.store(key), Stored::Written { .. }));
    }
    let cache = home.cache();
    let cache = cache.to_str().unwrap();
    assert_eq!(run(["ls", cache, "--json"]).ok().lines().count(), 8 + 1);
    assert!(run(["verify", cache]).ok().contains("right: 8 objects"));

    let text = run(["purge", cache, "--salt", "alice", "--yes"]).ok();
    assert!(text.contains("erased: 4 objects") && text.contains("nothing is left"), "{text}");
    for key in &alice {
        assert!(!running.loads(key), "{key}");
        assert!(!running.hits(key), "what a load has missed, lookups miss");
        assert!(matches!(running.store(key), Stored::Written { .. }));
    }
    assert!(alice.iter().chain(&bob).all(|key| running.loads(key)), "and nobody else's is lost");
    assert_eq!(running.adapter.usage().used_bytes, 8 * BYTES as u64);

    // Everything else that removes.
    assert!(run(["gc", cache, "--to-bytes", "0", "--yes"]).ok().contains("removed: 8 objects"));
    assert!(bob.iter().all(|key| !running.loads(key)));
    assert!(bob.iter().all(|key| matches!(running.store(key), Stored::Written { .. }) && running.loads(key)));
    run(["migrate", cache, "--flat", "--yes"]).ok();
    assert!(bob.iter().all(|key| !running.loads(key)), "in the other layout it does not see them");
    run(["migrate", cache, "--shard", "--yes"]).ok();
    assert!(bob.iter().all(|key| running.hits(key) && running.loads(key)));
    running.adapter.close().unwrap();
}
