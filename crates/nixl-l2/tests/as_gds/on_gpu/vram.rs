//! L1 on the GPU: objects go from there to files and come back, byte for byte.

use std::time::Duration;

use l2_core::testing::fixtures::keys;
use nixl_l2::{AdapterConfig, LoadItem, Nixl, ObjectKey, Region, StoreItem, Stored, open};

use super::cuda::Vram;
use crate::on_gpu::is_here;
use crate::support::{PAGE, home};
use crate::texts::{Adapter, Text};

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: usize = 6;

/// Bytes that are not those of another object.
fn pattern(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7 * 31 + at + number * 97).to_le_bytes()[0]).collect()
}

fn store(adapter: &dyn nixl_l2::L2Adapter, region: &Region, keys: &[ObjectKey], bytes: usize) {
    let items = keys.iter().enumerate().map(|(number, key)| {
        let memory = region.lease(number * bytes, bytes).unwrap().freeze();
        StoreItem { key: key.clone(), memory }
    });
    let report = adapter.submit_store(items.collect()).wait(LIMIT).unwrap();
    for outcome in report.outcomes {
        assert!(matches!(outcome.result, Ok(Stored::Written { .. })), "{:?}", outcome.result);
    }
}

/// Into memory behind that of [`store`], which holds other bytes.
fn load(
    adapter: &dyn nixl_l2::L2Adapter,
    vram: &Vram,
    region: &Region,
    keys: &[ObjectKey],
    bytes: usize,
    what: &str,
) {
    let place = |number: usize| (OBJECTS + number) * bytes;
    for number in 0..keys.len() {
        vram.write(place(number), &vec![0xee; bytes]);
    }
    let items = keys.iter().enumerate().map(|(number, key)| LoadItem {
        key: key.clone(),
        memory: region.lease(place(number), bytes).unwrap(),
    });
    let report = adapter.submit_load(items.collect()).wait(LIMIT).unwrap();
    for outcome in report.outcomes {
        assert!(outcome.result.is_ok(), "{what}: {:?}", outcome.result);
    }
    for number in 0..keys.len() {
        assert!(
            vram.read(place(number), bytes) == pattern(number, bytes),
            "{what}: object {number} is another"
        );
    }
}

/// Objects of a page to 20 MiB, more than one request of cuFile takes.
#[track_caller]
fn objects_come_back(adapter: Adapter, backend: &str) {
    if !is_here() {
        return;
    }
    Nixl::load().unwrap().silence();
    for bytes in [PAGE, 64 << 10, 1 << 20, 20 << 20] {
        let what = format!("{adapter:?} on {backend}, {bytes} bytes");
        let home = home();
        let text = Text::new(adapter, backend, &home.path().join("l2")).direct(true);
        let text = if adapter == Adapter::Static { text.param("file_size", "4194304") } else { text };
        let config = AdapterConfig::parse(&text.json()).unwrap();
        let vram = Vram::allocate(2 * OBJECTS * bytes);
        let region = vram.region();
        let keys = keys(OBJECTS as u64);
        for number in 0..OBJECTS {
            vram.write(number * bytes, &pattern(number, bytes));
        }
        let first = open(&config, &region).unwrap();
        store(&*first, &region, &keys, bytes);
        load(&*first, &vram, &region, &keys, bytes, &what);
        first.close().unwrap();
        drop(first);
        if adapter == Adapter::Dynamic {
            let second = open(&config, &region).unwrap();
            load(&*second, &vram, &region, &keys, bytes, &format!("{what}, opened again"));
            second.close().unwrap();
        }
        assert_eq!(region.leases(), 0, "{what}");
    }
}

#[test]
fn objects_come_back_to_the_gpu_from_a_static_pool_on_gds() {
    objects_come_back(Adapter::Static, "GDS");
}

#[test]
fn objects_come_back_to_the_gpu_from_files_on_gds() {
    objects_come_back(Adapter::Dynamic, "GDS");
}

#[test]
fn objects_come_back_to_the_gpu_from_a_static_pool_on_gds_mt() {
    objects_come_back(Adapter::Static, "GDS_MT");
}

#[test]
fn objects_come_back_to_the_gpu_from_files_on_gds_mt() {
    objects_come_back(Adapter::Dynamic, "GDS_MT");
}
