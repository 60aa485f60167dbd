//! What is registered more than once.

use l2_memory::MemoryKind;

use super::*;
use crate::ErrorKind;

fn files(stage: &Stage) -> Vec<Arc<std::os::fd::OwnedFd>> {
    vec![Arc::new(stage.file.try_clone().unwrap().into())]
}

#[test]
fn a_file_registered_twice_has_one_entry_in_nixl_until_both_are_dropped() {
    let stage = Stage::new();
    let file = files(&stage);
    let before = stage.alive("registered");
    let first = stage.backend.register_files(file.clone()).unwrap();
    let second = stage.backend.register_files(file.clone()).unwrap();
    assert_eq!(stage.alive("registered"), before + 1);
    // The first goes while a request of the second is under way: the entry must stay.
    stage.script(Script::held());
    let read = stage.backend.start_read(&stage.memory, &second, stage.parts(1)).unwrap();
    drop((first, second));
    assert_eq!(stage.alive("registered"), before + 1);
    stage.open_gate();
    read.wait(LIMIT).unwrap().result.unwrap();
    assert_eq!(stage.alive("registered"), before);
}

#[test]
fn a_file_named_twice_in_one_registration_is_registered_once_and_usable_by_both_numbers() {
    let stage = Stage::new();
    let file = files(&stage).remove(0);
    let before = stage.alive("registered");
    let twice = stage.backend.register_files(vec![Arc::clone(&file), file]).unwrap();
    assert_eq!((twice.len(), stage.alive("registered")), (2, before + 1));
    let parts = [0, 1].map(|index| Part { index, ..stage.part(index * 64, 64) });
    let read =
        stage.backend.start_read(&stage.memory, &twice, Vec::from(parts)).unwrap().wait(LIMIT).unwrap();
    read.result.unwrap();
    assert_pattern(read.memory[1].as_slice().unwrap(), 64);
    drop(twice);
    assert_eq!(stage.alive("registered"), before);
}

#[test]
fn a_region_registered_twice_has_one_entry_in_nixl() {
    let stage = Stage::new();
    let again = stage.backend.register_memory(&stage.region).unwrap();
    assert_eq!(stage.alive("registered"), 2, "one region, one file");
    let Stage { agent, backend, memory, files, region, file, world } = stage;
    drop(memory);
    let parts = vec![part(region.lease(0, 64).unwrap(), 0)];
    backend.start_read(&again, &files, parts).unwrap().wait(LIMIT).unwrap().result.unwrap();
    drop((agent, backend, again, files, region, file));
    assert_eq!(world.alive("registered"), 0);
}

#[test]
fn memory_that_overlaps_registered_memory_is_refused() {
    let world = World::watched();
    let backend = Nixl::stand_in().agent(world.name()).unwrap().backend("POSIX", []).unwrap();
    let region = |start: usize, length| {
        let address = std::ptr::without_provenance_mut(0x1000_0000 + start);
        // SAFETY: nobody reads or writes it: it is only registered.
        unsafe { Region::from_host(address, length, 1, MemoryKind::Dram) }.unwrap()
    };
    let middle = backend.register_memory(&region(4096, 4096)).unwrap();
    for (start, length) in [(4096, 4095), (4096, 8192), (0, 4097), (8191, 1), (5000, 10), (0, 100_000)] {
        let error = backend.register_memory(&region(start, length)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{start} {length}");
        assert!(error.to_string().contains("overlaps"), "{error}");
    }
    let neighbours =
        [(0, 4096), (8192, 10)].map(|(start, length)| backend.register_memory(&region(start, length)));
    assert!(neighbours.iter().all(Result::is_ok));
    let same_memory = backend.register_memory(&region(4096, 4096)).unwrap();
    drop(middle);
    assert_eq!(world.alive("registered"), 3);
    drop(same_memory);
    assert_eq!(world.alive("registered"), 2);
}

#[test]
fn a_registration_that_nixl_refuses_leaves_nothing_behind() {
    let stage = Stage::new();
    let file = files(&stage);
    stage.fail("register_mem", -2);
    let error = stage.backend.register_files(file.clone()).unwrap_err();
    assert_eq!(error.call(), Some("nixl_capi_register_mem"));
    assert_eq!((error.plugin(), error.status()), (Some("POSIX"), Some(-2)));
    let registered = stage.backend.register_files(file).unwrap();
    stage
        .backend
        .start_read(&stage.memory, &registered, stage.parts(1))
        .unwrap()
        .wait(LIMIT)
        .unwrap()
        .result
        .unwrap();
}

#[test]
fn a_file_that_nixl_would_not_deregister_can_be_registered_again() {
    let stage = Stage::new();
    let file = files(&stage);
    stage.fail("deregister_mem", -6);
    drop(stage.backend.register_files(file.clone()).unwrap());
    assert!(stage.backend.register_files(file).is_ok());
}

#[test]
fn files_stay_open_while_they_are_registered() {
    let stage = Stage::new();
    let file = files(&stage);
    let watch = Arc::downgrade(&file[0]);
    let registered = stage.backend.register_files(file).unwrap();
    stage.script(Script::held());
    let read = stage.backend.start_read(&stage.memory, &registered, stage.parts(1)).unwrap();
    drop(registered);
    assert!(watch.upgrade().is_some(), "open for the transfer");
    stage.open_gate();
    read.wait(LIMIT).unwrap().result.unwrap();
    assert!(watch.upgrade().is_none(), "closed with the transfer");
}

#[test]
fn kinds_that_a_plugin_does_not_move_are_refused() {
    let stage = Stage::new();
    let object = crate::ObjectName { name: "a".to_owned(), length: 1 };
    let address = std::ptr::without_provenance_mut(4096);
    // SAFETY: as VRAM it is never touched.
    let vram = unsafe { Region::from_host(address, 4096, 4096, MemoryKind::Vram { device: 0 }) }.unwrap();
    let errors = [
        stage.backend.register_objects(vec![object]).unwrap_err(),
        stage.backend.register_memory(&vram).unwrap_err(),
        stage.backend.query_objects(&["a"]).unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.plugin()), (ErrorKind::InvalidInput, Some("POSIX")), "{error}");
    }
    assert_eq!(stage.backend.register_files(Vec::new()).unwrap_err().kind(), ErrorKind::InvalidInput);
}
