//! A status as JSON, with LMCache's field names where it has them.

use l2_core::{AdapterStatus, BreakerStatus, Damage};
use serde_json::{Map, Value, json};

/// A status as one JSON object: what LMCache's `report_status()` has under its names (`is_healthy`, `type`, `backend`,
/// `stored_object_count`, `pinned_object_count`, `event_loop_alive`, and of a pool `pool_size` and `pool_free_slots`), and what it
/// lacks under ours. Lengths are in bytes.
///
/// ```
/// let status = nixl_l2::AdapterStatus::new("nixl_store_dynamic", "POSIX");
/// assert_eq!(nixl_l2::status_json(&status)["type"], "DynamicNixlStoreL2Adapter");
/// ```
pub fn status_json(status: &AdapterStatus) -> Value {
    let name = match status.adapter {
        "nixl_store" => "NixlStoreL2Adapter",
        "nixl_store_dynamic" => "DynamicNixlStoreL2Adapter",
        other => other,
    };
    let breaker = |BreakerStatus { is_open, opened }| json!({"is_open": is_open, "opened_count": opened});
    let healed: Map<String, Value> = Damage::ALL
        .iter()
        .map(|&damage| (damage.name().to_owned(), status.healed.of(damage).into()))
        .collect();
    let mut json = json!({
        "is_healthy": status.healthy,
        "type": name,
        "backend": status.backend,
        "stored_object_count": status.stored_objects,
        "pinned_object_count": status.pinned_objects,
        // There is none to die: the workers are, and that is what healthy means.
        "event_loop_alive": status.healthy,
        "used_bytes": status.usage.used_bytes,
        "capacity_bytes": status.usage.capacity_bytes,
        "tasks_in_flight": status.tasks_in_flight,
        "recovering": status.recovering,
        "expired_pin_count": status.expired_pins,
        "healed_object_count": status.healed_objects,
        "healed_by_reason": healed,
        "parked_transfer_count": status.parked_transfers,
        "replaced_agent_count": status.replaced_agents,
        "store_breaker": breaker(status.store_breaker),
        "load_breaker": breaker(status.load_breaker),
    });
    if let (Some(pool), Some(object)) = (&status.pool, json.as_object_mut()) {
        object.insert("pool_size".to_owned(), pool.slots.into());
        object.insert("pool_free_slots".to_owned(), pool.free_slots.into());
        object.insert("pool_slot_bytes".to_owned(), pool.slot_bytes.into());
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::PoolStatus;

    #[test]
    fn what_lmcache_reads_has_its_names() {
        let mut status = AdapterStatus::new("nixl_store", "OBJ");
        status.stored_objects = 3;
        status.pool = Some(PoolStatus::new(32, 4096));
        let json = status_json(&status);
        for (name, value) in [
            ("is_healthy", json!(true)),
            ("type", json!("NixlStoreL2Adapter")),
            ("backend", json!("OBJ")),
            ("stored_object_count", json!(3)),
            ("pinned_object_count", json!(0)),
            ("event_loop_alive", json!(true)),
            ("pool_size", json!(32)),
            ("pool_free_slots", json!(32)),
        ] {
            assert_eq!(json[name], value, "{name}");
        }
        let dynamic = status_json(&AdapterStatus::new("nixl_store_dynamic", "POSIX"));
        assert_eq!(dynamic["type"], "DynamicNixlStoreL2Adapter");
        assert!(dynamic.get("pool_size").is_none());
    }
}
