//! L1 on a GPU. POSIX moves no such memory, under whatever name: it says so, and nothing else touches it.
//!
//! The memory here is none: whoever read or wrote it, or had the kernel do so, would end the process or fail.

use std::ptr;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use nixl_l2::{
    AdapterConfig, ErrorKind, L2Error, Lease, LoadItem, MemoryKind, Nixl, ObjectKey, Region, StoreItem,
};

use crate::disguise::{self, NAMES};
use crate::support::{PAGE, home, host, names_in};
use crate::texts::{BOTH, Text};

const BYTES: usize = 1 << 20;

/// Memory at an address that no mapping can have.
fn vram() -> Region {
    let nowhere = ptr::without_provenance_mut(1 << 62);
    // SAFETY: nobody but a plugin for GPUs may use this memory, and there is none here: each refuses it first.
    unsafe { Region::from_host(nowhere, BYTES, PAGE, MemoryKind::Vram { device: 0 }) }.unwrap()
}

/// The error says of which memory it is, and what the plugin moves instead.
#[track_caller]
fn assert_says_what_it_moves(text: &str, backend: &str) {
    let start = format!("NIXL plugin {backend}: cannot move Vram memory, only [");
    assert!(text.contains(&start) && text.contains("Dram") && text.contains("File"), "{text}");
}

/// Neither adapter opens on `backend`, and nothing is made.
fn refused_at_open(backend: &str) {
    Nixl::load().unwrap().silence();
    for adapter in BOTH {
        for direct in [false, true] {
            let home = home();
            let text = Text::new(adapter, backend, &home.path().join("l2")).direct(direct);
            let config = AdapterConfig::parse(&text.json()).unwrap();
            let l1 = vram();
            let error = nixl_l2::open(&config, &l1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert_says_what_it_moves(&error.to_string(), backend);
            assert_eq!(names_in(home.path()), [""; 0], "{adapter:?}");
            assert_eq!(l1.leases(), 0);
        }
    }
}

#[test]
fn l1_in_vram_is_refused_by_posix_when_it_is_opened() {
    refused_at_open("POSIX");
}

#[test]
fn l1_in_vram_is_refused_by_posix_under_each_name_when_it_is_opened() {
    if disguise::is_on() {
        NAMES.into_iter().for_each(refused_at_open);
    }
}

fn leases(region: &Region, count: usize) -> impl Iterator<Item = Lease> {
    (0..count).map(|number| region.lease(number * PAGE, PAGE).unwrap())
}

#[track_caller]
fn assert_refused<'a>(failures: impl Iterator<Item = (usize, &'a L2Error)>, at: &[usize], backend: &str) {
    let (positions, errors): (Vec<_>, Vec<_>) = failures.unzip();
    assert_eq!(positions, at, "{errors:?}");
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_says_what_it_moves(&error.to_string(), backend);
    }
}

fn stores(keys: &[ObjectKey], memory: impl Iterator<Item = Lease>) -> Vec<StoreItem> {
    keys.iter()
        .zip(memory)
        .map(|(key, memory)| StoreItem { key: key.clone(), memory: memory.freeze() })
        .collect()
}

fn loads(keys: &[ObjectKey], memory: impl Iterator<Item = Lease>) -> Vec<LoadItem> {
    keys.iter().zip(memory).map(|(key, memory)| LoadItem { key: key.clone(), memory }).collect()
}

/// Leases of VRAM, given to an adapter whose own L1 is main memory, fail one by one and come back.
fn leases_are_refused(host: &Host, backend: &str) {
    let vram = vram();
    host.must_store(&keys(4));
    let strange: Vec<_> = (10..14).map(key).collect();
    // Between others.
    let mut batch = stores(&strange, leases(&vram, 4));
    batch.insert(2, host.item(&key(20)));
    let report = host.store_items(batch);
    assert_refused(report.failures(), &[0, 1, 3, 4], backend);
    assert!(report.outcomes.iter().all(|outcome| outcome.memory.is_some()), "{report:?}");
    drop(report);
    assert_eq!(vram.leases(), 0);
    host.must_miss(&strange);
    host.must_load(&[key(20)]);

    let mut batch = loads(&keys(4), leases(&vram, 4));
    batch.insert(2, host.blank(&key(20)));
    let report = host.load_items(batch);
    assert_refused(report.failures(), &[0, 1, 3, 4], backend);
    assert!(report.outcomes.iter().all(|outcome| outcome.memory.is_some()), "{report:?}");
    drop(report);
    assert_eq!(vram.leases(), 0);
    // Nothing is wrong with the objects.
    host.must_load(&keys(4));
    host.must_use(5);
    assert_eq!(host.adapter.status().healed_objects, 0);
}

#[test]
fn leases_of_vram_are_refused_and_given_back_by_posix_under_each_name() {
    if !disguise::is_on() {
        return;
    }
    for backend in NAMES {
        for adapter in BOTH {
            for direct in [false, true] {
                let home = home();
                let host = host(&Text::new(adapter, backend, home.path()).direct(direct).json());
                leases_are_refused(&host, backend);
            }
        }
    }
}
