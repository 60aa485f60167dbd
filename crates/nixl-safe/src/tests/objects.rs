//! Object stores: what they cannot do is refused, what they do not say is made harmless.

use super::*;
use crate::{ErrorKind, ObjectName, Refused};

struct Store {
    backend: Backend,
    memory: Registration,
    region: Region,
    world: Watched,
}

impl Store {
    fn new() -> Self {
        let world = World::watched();
        let backend =
            Nixl::stand_in().agent(world.name()).unwrap().backend("OBJ", [("bucket", "b")]).unwrap();
        let region = Region::allocate(SIZE).unwrap();
        let memory = backend.register_memory(&region).unwrap();
        Self { backend, memory, region, world }
    }

    fn object(&self, name: &str, length: u64) -> Registration {
        self.backend.register_objects(vec![ObjectName { name: name.to_owned(), length }]).unwrap()
    }

    fn read(&self, object: &Registration, offset: u64, length: usize) -> Result<Vec<u8>, Refused<Lease>> {
        let part = Part { memory: self.region.lease(0, length).unwrap(), index: 0, offset };
        let read = self.backend.start_read(&self.memory, object, vec![part])?.wait(LIMIT).unwrap();
        let bytes = read.memory[0].as_slice().unwrap().to_vec();
        read.result.map(|()| bytes).map_err(|error| Refused { error, memory: read.memory })
    }
}

#[test]
fn an_object_is_written_whole_under_its_name_and_read_back_in_part() {
    let store = Store::new();
    let object = store.object("chunks/a b%20ü", 4096);
    let part = part(patterned(&store.region, 0, 4096), 0);
    let write = store.backend.start_write(&store.memory, &object, vec![part]).unwrap();
    write.wait(LIMIT).unwrap().result.unwrap();
    assert_pattern(&store.world.object("chunks/a b%20ü").unwrap(), 0);
    assert_pattern(&store.read(&object, 1000, 96).unwrap(), 1000);
}

#[test]
fn a_request_for_two_objects_is_refused() {
    let store = Store::new();
    let objects = ["a", "b"].map(|name| ObjectName { name: name.to_owned(), length: 64 });
    let objects = store.backend.register_objects(objects.to_vec()).unwrap();
    let parts =
        [0, 1].map(|index| Part { memory: store.region.lease(index * 64, 64).unwrap(), index, offset: 0 });
    let refused = store.backend.start_read(&store.memory, &objects, Vec::from(parts)).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    assert!(refused.error.to_string().contains("one part a request, not 2"), "{}", refused.error);
    assert_eq!(refused.memory.len(), 2);
}

#[test]
fn a_read_beyond_the_length_that_was_declared_is_refused() {
    let store = Store::new();
    let object = store.object("a", 100);
    for (offset, length) in [(0, 101), (100, 1), (1, 100), (u64::MAX, 1)] {
        let refused = store.read(&object, offset, length).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput, "{offset} {length}: {}", refused.error);
    }
    assert!(store.world.requests().is_empty(), "NIXL was not asked");
    store.world.put_object("a", &[1; 100]);
    assert_eq!(store.read(&object, 99, 1).unwrap(), [1]);
}

#[test]
fn a_write_at_an_offset_is_refused() {
    let store = Store::new();
    let object = store.object("a", 100);
    let part = part(patterned(&store.region, 0, 10), 90);
    let refused = store.backend.start_write(&store.memory, &object, vec![part]).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    assert!(refused.error.to_string().contains("written whole"), "{}", refused.error);
}

#[test]
fn an_object_shorter_than_declared_never_shows_what_the_memory_held_before() {
    let store = Store::new();
    let object = store.object("a", 4096);
    store.world.put_object("a", &[7; 1000]);
    store.region.lease(0, 4096).unwrap().as_mut_slice().unwrap().fill(0xAA);
    let bytes = store.read(&object, 0, 4096).unwrap();
    assert!(bytes[..1000].iter().all(|&byte| byte == 7));
    assert!(bytes[1000..].iter().all(|&byte| byte == 0), "zeros, not what was there before");
}

#[test]
fn a_read_from_a_file_is_not_cleared_first() {
    let stage = Stage::new();
    stage.region.lease(0, 64).unwrap().as_mut_slice().unwrap().fill(0xAA);
    let read = stage.read(Script { at_most: 16, ..Script::default() }, 0, 64).wait(LIMIT).unwrap();
    assert!(
        read.memory[0].as_slice().unwrap()[16..].iter().all(|&byte| byte == 0xAA),
        "files fail when short"
    );
}

#[test]
fn a_missing_object_is_an_error() {
    let store = Store::new();
    let refused = store.read(&store.object("nowhere", 64), 0, 64).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::Failed);
}

#[test]
fn names_that_nixl_would_cut_short_or_take_for_another_are_refused() {
    let store = Store::new();
    for name in ["", "a\0b"] {
        let named = ObjectName { name: name.to_owned(), length: 1 };
        let error = store.backend.register_objects(vec![named]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(store.backend.query_objects(&[name]).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert!(store.backend.register_objects(Vec::new()).is_err());
    assert_eq!(store.world.alive("registered"), 1, "the memory");
}

#[test]
fn objects_are_asked_for_by_name() {
    let store = Store::new();
    store.world.put_object("here", b"");
    let found = store.backend.query_objects(&["here", "not"]).unwrap();
    assert_eq!(found, [Some(crate::Found::new()), None]);
    assert!(store.backend.query_objects(&[] as &[&str]).unwrap().is_empty());
}

#[test]
fn one_name_registered_twice_is_two_objects_to_nixl_and_either_may_go_first() {
    let store = Store::new();
    store.world.put_object("a", &[5; 64]);
    let (first, second) = (store.object("a", 64), store.object("a", 64));
    drop(first);
    assert_eq!(store.read(&second, 0, 64).unwrap(), [5; 64]);
}
