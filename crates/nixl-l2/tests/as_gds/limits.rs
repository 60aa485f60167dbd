//! The plugins' limits. `nixl-safe` refuses a request that passes one, whatever plugin hides behind the name: what is moved
//! has kept them.

use l2_core::testing::fixtures::keys;

use crate::disguise;
use crate::support::{PAGE, home, host, objects_live};
use crate::texts::{BOTH, Text};

#[test]
fn an_object_longer_than_a_batch_of_posix_called_gds_goes_in_rounds() {
    if !disguise::is_on() {
        return;
    }
    for adapter in BOTH {
        let home = home();
        let text = Text::new(adapter, "GDS", home.path()).direct(true);
        // A batch has 128 KiB.
        let host = host(&text.param("max_request_size", 65536).param("batch_limit", 2).json());
        for bytes in [128 << 10, (128 << 10) + PAGE, 1 << 20, (1 << 20) - PAGE] {
            objects_live(&host, bytes, bytes as u64);
        }
    }
}

#[test]
fn pieces_of_a_page_one_at_a_time_make_whole_objects_on_posix_called_gds() {
    if !disguise::is_on() {
        return;
    }
    for adapter in BOTH {
        let home = home();
        let text = Text::new(adapter, "GDS", home.path()).direct(true);
        let text = text.param("max_request_size", PAGE).param("batch_limit", 1).param("batch_pool_size", 1);
        let host = host(&text.json());
        objects_live(&host, 512 << 10, 512 << 10);
    }
}

/// Stores and loads 64 objects of 64 KiB, each in a task of its own, all submitted before any is waited for.
fn many_at_once(backend: &str, name: &str) {
    for adapter in BOTH {
        for workers in [1, 3] {
            let home = home();
            let text = Text::new(adapter, backend, home.path()).param(name, 1).top("workers", workers);
            let host = host(&text.json());
            let keys = keys(64);
            let bytes = 64 << 10;
            let stores: Vec<_> =
                keys.iter().map(|key| host.adapter.submit_store(vec![host.item_of(key, bytes)])).collect();
            for store in stores {
                assert_eq!(host.wait(store).written_bytes(), bytes as u64);
            }
            let loads: Vec<_> =
                keys.iter().map(|key| host.adapter.submit_load(vec![host.blank_of(key, bytes)])).collect();
            for load in loads {
                assert_eq!(host.wait(load).loaded_bytes(), bytes as u64);
            }
            // The same in one batch, which the host compares byte by byte.
            let batch = keys.iter().map(|key| host.blank_of(key, bytes)).collect();
            assert_eq!(host.load_items(batch).loaded_bytes(), 64 * bytes as u64);
        }
    }
}

#[test]
fn many_objects_at_once_take_turns_with_one_batch_of_posix_called_gds() {
    if disguise::is_on() {
        many_at_once("GDS", "batch_pool_size");
    }
}

#[test]
fn many_objects_at_once_take_turns_with_one_thread_of_posix_called_gds_mt() {
    if disguise::is_on() {
        many_at_once("GDS_MT", "thread_count");
    }
}

#[test]
fn many_objects_at_once_take_turns_with_one_io_of_posix_called_hf3fs() {
    if disguise::is_on() {
        many_at_once("HF3FS", "iopool_size");
    }
}
