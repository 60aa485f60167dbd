//! The bound on descriptors in flight, and on the length of one.

use l2_memory::MemoryKind;

use super::*;
use crate::ErrorKind;
use crate::capi::stand_in::Piece;
use crate::limits::ONE_IO;

#[test]
fn one_descriptor_more_than_the_queue_takes_is_refused_until_one_has_finished() {
    let stage = Stage::with(&[("ios_pool_size", "64")]);
    assert_eq!(stage.backend.request_size(), 64);
    stage.script(Script::held());
    let first = stage.backend.start_read(&stage.memory, &stage.files, stage.parts(60)).unwrap();
    let more = |offset, count: usize| {
        let parts = (0..count).map(|index| stage.part(offset + index * 16, 16)).collect();
        stage.backend.start_read(&stage.memory, &stage.files, parts)
    };
    let second = more(8192, 4).unwrap();
    let refused = more(16384, 1).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::QueueFull);
    assert_eq!(refused.memory.len(), 1, "to be tried again");
    assert!(refused.error.to_string().contains("64 are in flight"), "{}", refused.error);
    drop(refused);

    second.wait(LIMIT).unwrap().result.unwrap();
    assert_eq!(stage.backend.in_flight(), 60);
    more(16384, 4).unwrap().wait(LIMIT).unwrap().result.unwrap();
    stage.open_gate();
    first.wait(LIMIT).unwrap().result.unwrap();
    assert!(stage.clean());
}

#[test]
fn a_request_that_no_empty_queue_could_take_is_refused_and_leaves_it_usable() {
    let stage = Stage::with(&[("ios_pool_size", "64")]);
    let refused = stage.backend.start_read(&stage.memory, &stage.files, stage.parts(65)).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    assert_eq!(refused.memory.len(), 65);
    drop(refused);
    assert!(stage.requests().is_empty(), "NIXL was not asked");
    let read = stage.backend.start_read(&stage.memory, &stage.files, stage.parts(64)).unwrap();
    read.wait(LIMIT).unwrap().result.unwrap();
}

#[test]
fn requests_of_random_sizes_never_pass_the_queue_and_all_room_comes_back() {
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    // Start a request of so many parts, or end the one at that position.
    let step = prop_oneof![(1usize..40).prop_map(Ok), (0usize..8).prop_map(Err)];
    let steps = proptest::collection::vec(step, 1..60);
    TestRunner::default()
        .run(&steps, |steps| {
            let stage = Stage::with(&[("ios_pool_size", "64")]);
            let mut live: Vec<(usize, Transfer<Lease>)> = Vec::new();
            let mut next = 0;
            for step in steps {
                let taken: usize = live.iter().map(|(count, _)| count).sum();
                prop_assert_eq!(stage.backend.in_flight(), taken);
                match step {
                    Ok(count) => {
                        let parts = (0..count).map(|index| stage.part((next + index) * 16, 16)).collect();
                        next += count;
                        let started = stage.backend.start_read(&stage.memory, &stage.files, parts);
                        prop_assert_eq!(started.is_ok(), taken + count <= 64);
                        live.extend(started.ok().map(|transfer| (count, transfer)));
                    }
                    Err(position) if position < live.len() => {
                        live.swap_remove(position).1.wait(LIMIT).unwrap().result.unwrap();
                    }
                    Err(_) => {}
                }
            }
            drop(live);
            eventually("all room comes back", || stage.clean());
            Ok(())
        })
        .unwrap();
}

#[test]
fn memory_longer_than_one_descriptor_takes_is_split() {
    const LENGTH: usize = (4 << 30) + 12_345;
    let world = World::watched();
    let backend = Nixl::stand_in().agent(world.name()).unwrap().backend("GDS_MT", []).unwrap();
    let address = std::ptr::without_provenance_mut(0x7000_0000_0000);
    // SAFETY: as VRAM it is never touched, neither here nor by the stand-in.
    let region = unsafe { Region::from_host(address, LENGTH, 4096, MemoryKind::Vram { device: 3 }) }.unwrap();
    let memory = backend.register_memory(&region).unwrap();
    let file = tempfile::tempfile().unwrap();
    let number = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap();
    let files = backend.register_files(vec![Arc::new(file.into())]).unwrap();

    let part = part(region.lease(0, LENGTH).unwrap(), 4096);
    let read = backend.start_read(&memory, &files, vec![part]).unwrap();
    assert_eq!(backend.in_flight(), 3);
    let lengths = [ONE_IO, ONE_IO, LENGTH - 2 * ONE_IO];
    let pieces: Vec<_> = lengths
        .iter()
        .enumerate()
        .map(|(index, &length)| Piece {
            address: address.addr() + index * ONE_IO,
            length,
            device: 3,
            offset: 4096 + index * ONE_IO,
            file: number,
        })
        .collect();
    assert_eq!(world.requests(), [pieces]);
    read.wait(LIMIT).unwrap().result.unwrap();
}

#[test]
fn memory_of_just_the_greatest_length_is_one_descriptor() {
    let world = World::watched();
    let backend = Nixl::stand_in().agent(world.name()).unwrap().backend("GDS_MT", []).unwrap();
    let address = std::ptr::without_provenance_mut(0x7000_0000_0000);
    let kind = MemoryKind::Vram { device: 0 };
    // SAFETY: as VRAM it is never touched, neither here nor by the stand-in.
    let region = unsafe { Region::from_host(address, ONE_IO + 1, 1, kind) }.unwrap();
    let memory = backend.register_memory(&region).unwrap();
    let files = backend.register_files(vec![Arc::new(tempfile::tempfile().unwrap().into())]).unwrap();
    for (length, descriptors) in [(ONE_IO, 1), (ONE_IO + 1, 2)] {
        let part = part(region.lease(0, length).unwrap(), 0);
        let read = backend.start_read(&memory, &files, vec![part]).unwrap();
        assert_eq!(backend.in_flight(), descriptors);
        read.wait(LIMIT).unwrap().result.unwrap();
    }
}

/// A request that spans two batches of GDS is not safe, and more batches than it has fail.
#[test]
fn a_request_of_gds_is_one_batch_and_batches_are_counted() {
    let world = World::watched();
    let parameters = [("batch_pool_size", "2"), ("batch_limit", "8"), ("max_request_size", "4096")];
    let backend = Nixl::stand_in().agent(world.name()).unwrap().backend("GDS", parameters).unwrap();
    assert_eq!((backend.descriptor_bytes(), backend.request_size()), (4096, 8));
    let region = Region::allocate(SIZE).unwrap();
    let memory = backend.register_memory(&region).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(SIZE as u64).unwrap();
    let files = backend.register_files(vec![Arc::new(file.into())]).unwrap();
    let read = |offset, length| {
        let lease = region.lease(offset, length).unwrap();
        backend.start_read(&memory, &files, vec![part(lease, offset)])
    };
    let refused = read(0, 8 * 4096 + 1).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    assert!(refused.error.to_string().contains("9 descriptors is more than its 8"), "{}", refused.error);
    drop(refused);
    world.script(Script::held());
    let first = read(0, 4 * 4096).unwrap();
    world.script(Script::held());
    let second = read(4 * 4096, 4096).unwrap();
    let refused = read(8 * 4096, 4096).unwrap_err();
    assert!(refused.error.to_string().contains("2 are in flight"), "{}", refused.error);
    world.open_gate();
    for read in [first, second] {
        read.wait(LIMIT).unwrap().result.unwrap();
    }
    assert_eq!(backend.in_flight(), 0);
}
