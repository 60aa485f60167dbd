//! The policies of the configuration: tenants with quotas, frequent use against recent use, and none.

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, key_of, keys};
use nixl_l2::{ObjectKey, Quotas};

use crate::setup::{LRU, OBJECT, Setup, all_stored, full};

const ISOLATED: &str =
    r#"{"eviction_policy": "IsolatedLRU", "trigger_watermark": 0.9, "eviction_ratio": 0.1}"#;
const ARC: &str = r#"{"eviction_policy": "ARC", "trigger_watermark": 0.9, "eviction_ratio": 0.1}"#;

fn of(tenant: &str, from: u64, count: u64) -> Vec<ObjectKey> {
    (from..from + count).map(|number| key_of("org/model", tenant, number)).collect()
}

fn bytes(objects: u64) -> u64 {
    objects * OBJECT as u64
}

/// What a tenant has.
fn has(host: &Host, tenant: &str) -> u64 {
    let usage = host.adapter.evictable().usage_by_salt();
    usage.iter().find(|usage| usage.salt == tenant).map_or(0, |usage| usage.bytes)
}

#[test]
fn a_tenants_burst_evicts_nothing_of_another_within_its_quota() {
    for setup in Setup::both() {
        let quotas = Quotas::new();
        quotas.set("a", bytes(20));
        quotas.set("b", bytes(30));
        let setup = setup.evicting(ISOLATED).with(&quotas);
        let host = setup.host(60);
        let (quiet, loud) = (of("a", 0, 15), of("b", 0, 600));
        host.must_store(&quiet);
        for batch in loud.chunks(40) {
            all_stored(&host.store(batch));
        }
        host.eventually("the loud one is below its quota", || has(&host, "b") < bytes(30) * 9 / 10);
        host.must_load(&quiet);
    }
}

#[test]
fn what_is_over_a_quota_that_is_lowered_goes_at_once() {
    for setup in Setup::both() {
        let quotas = Quotas::new();
        let setup = setup.evicting(ISOLATED).with(&quotas);
        let host = setup.host(100);
        for tenant in ["", "a", "b"] {
            host.must_store(&of(tenant, 0, 20));
        }
        quotas.set("a", bytes(10));
        host.eventually("it is below its quota", || has(&host, "a") < bytes(9) + 1);
        host.must_load(&of("", 0, 20));
        host.must_load(&of("b", 0, 20));
        // Of its batch the last went first.
        host.must_load(&of("a", 0, 5));
    }
}

/// Things wanted often stay when many come that nobody wants twice: LRU keeps none of them.
#[test]
fn with_arc_what_is_used_again_survives_a_run_over_many_keys_and_with_lru_it_does_not() {
    for (policy, survives) in [(ARC, true), (LRU, false)] {
        for setup in Setup::both() {
            let setup = setup.evicting(policy);
            let host = setup.host(64);
            host.must_store(&keys(16));
            host.must_load(&keys(16));
            for batch in 0..40 {
                all_stored(&host.store(&of("", 1000 + 20 * batch, 20)));
            }
            if survives {
                host.must_load(&keys(16));
            } else {
                host.must_miss(&keys(16));
            }
            host.used();
        }
    }
}

#[test]
fn with_arc_no_store_of_a_burst_fails() {
    for setup in Setup::both() {
        let setup = setup.evicting(ARC);
        let host = setup.host(32);
        for round in 0..4 {
            // Some of them again and again, so that both of its lists are used.
            all_stored(&host.store(&keys(200 + 50 * round)));
            host.load(&keys(8));
            host.used();
        }
    }
}

#[test]
fn with_noop_nothing_goes_and_what_does_not_fit_is_rejected() {
    for setup in Setup::both() {
        let setup = setup.evicting(r#"{"eviction_policy": "noop"}"#);
        let host = setup.host(16);
        let said = full(&host.store(&keys(40)));
        assert_eq!(said.len(), 24);
        assert!(said[0].contains("the eviction policy"), "{}", said[0]);
        host.must_load(&keys(16));
        host.must_miss(&[key(16), key(39)]);
        host.must_use(16);
    }
}
