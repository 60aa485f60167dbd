//! Bytes there and back, on both queues, buffered and direct.

use super::support::*;
use nixl_safe::Part;
use nixl_safe::memory::Region;

fn there_and_back(bench: &Bench) {
    const LENGTH: usize = 128 << 10;
    let bytes = filled(&bench.region, 5, 0, LENGTH);
    let part = Part { memory: bytes, index: 0, offset: 4096 };
    finished(bench.backend.start_write(&bench.memory, &bench.files, vec![part]).unwrap()).result.unwrap();

    let part = Part { memory: bench.region.lease(LENGTH, LENGTH).unwrap(), index: 0, offset: 4096 };
    let read = finished(bench.backend.start_read(&bench.memory, &bench.files, vec![part]).unwrap());
    read.result.unwrap();
    assert_pattern(read.memory[0].as_slice().unwrap(), 5, 0);
    assert_eq!(bytes_at(&bench.path, 4096, LENGTH), read.memory[0].as_slice().unwrap());
    drop(read.memory);
    assert!(bench.clean());
}

#[test]
fn bytes_written_through_nixl_are_read_back_on_both_queues() {
    for queue in queues() {
        there_and_back(&Bench::new(queue));
    }
}

#[test]
fn bytes_written_past_the_page_cache_are_read_back_on_both_queues() {
    for queue in queues() {
        let Some(bench) = Bench::with_file(queue, open_direct) else { return };
        there_and_back(&bench);
    }
}

#[test]
fn two_hundred_parts_of_one_request_each_find_their_place() {
    const COUNT: usize = 200;
    const EACH: usize = 4096;
    for use_uring in ["false", "true"] {
        let queue = [("ios_pool_size", "256"), ("use_uring", use_uring)];
        for open in [|path: &std::path::Path| Some(open(path)), open_direct] {
            let Some(bench) = Bench::with_file(&queue, open) else { return };
            // From the end of the file to its start: nothing to be joined.
            let part = |index: usize| Part {
                memory: bench.region.lease(index * EACH, EACH).unwrap(),
                index: 0,
                offset: ((COUNT - 1 - index) * EACH) as u64,
            };
            let parts = (0..COUNT).map(part).collect();
            let read = finished(bench.backend.start_read(&bench.memory, &bench.files, parts).unwrap());
            read.result.unwrap();
            for (index, lease) in read.memory.iter().enumerate() {
                assert_pattern(lease.as_slice().unwrap(), 0, (COUNT - 1 - index) * EACH);
            }
        }
    }
}

#[test]
fn one_request_reads_many_files() {
    for queue in queues() {
        let bench = Bench::new(queue);
        let directory = directory();
        let files = (0..60).map(|seed| {
            let path = directory.path().join(seed.to_string());
            std::fs::write(&path, content(seed, 5000)).unwrap();
            std::sync::Arc::new(open(&path).into())
        });
        let files = bench.backend.register_files(files.collect()).unwrap();
        assert_eq!(files.len(), 60);
        // Backwards, for NIXL looks them up in ascending order.
        let part =
            |index: usize| Part { memory: bench.region.lease(index * 5000, 5000).unwrap(), index, offset: 0 };
        let parts: Vec<_> = (0..60).rev().map(part).collect();
        let read = finished(bench.backend.start_read(&bench.memory, &files, parts).unwrap());
        read.result.unwrap();
        for (lease, index) in read.memory.iter().zip((0..60).rev()) {
            assert_pattern(lease.as_slice().unwrap(), index, 0);
        }
    }
}

#[test]
fn memory_of_the_host_is_transferred_like_our_own() {
    let mut host = vec![0u8; SIZE].into_boxed_slice();
    // SAFETY: `host` outlives the region and every lease on it, and is not touched until they are gone.
    let region =
        unsafe { Region::from_host(host.as_mut_ptr(), SIZE, 1, nixl_safe::memory::MemoryKind::Dram) }
            .unwrap();
    let bench = Bench::new(DEFAULT);
    let memory = bench.backend.register_memory(&region).unwrap();
    let part = Part { memory: region.lease(7, 100_000).unwrap(), index: 0, offset: 1000 };
    let read = finished(bench.backend.start_read(&memory, &bench.files, vec![part]).unwrap());
    read.result.unwrap();
    drop((read.memory, memory, region));
    assert_pattern(&host[7..100_007], 0, 1000);
}

#[test]
fn one_clone_of_frozen_memory_is_read_while_another_is_written_to_a_file() {
    let bench = Bench::new(DEFAULT);
    let bytes = filled(&bench.region, 9, 0, 1 << 19);
    let part = Part { memory: bytes.clone(), index: 0, offset: 0 };
    let write = bench.backend.start_write(&bench.memory, &bench.files, vec![part]).unwrap();
    assert_pattern(bytes.as_slice().unwrap(), 9, 0);
    finished(write).result.unwrap();
    assert_pattern(&bytes_at(&bench.path, 0, 1 << 19), 9, 0);
}
