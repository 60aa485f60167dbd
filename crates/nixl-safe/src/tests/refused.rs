//! Transfers that are not started: who has the memory then.

use super::*;
use crate::capi::stand_in::{BACKEND, INVALID};
use crate::{ErrorKind, Refused};

fn refused(stage: &Stage, parts: Vec<Part<Lease>>) -> Refused<Lease> {
    stage.backend.start_read(&stage.memory, &stage.files, parts).unwrap_err()
}

#[test]
fn a_request_that_cannot_be_created_gives_its_memory_back() {
    let stage = Stage::new();
    stage.fail("create_xfer_req", BACKEND);
    let refused = refused(&stage, stage.parts(3));
    assert_eq!(refused.memory.len(), 3);
    let error = refused.error;
    assert_eq!(error.call(), Some("nixl_capi_create_xfer_req"));
    assert_eq!((error.plugin(), error.status()), (Some("POSIX"), Some(BACKEND)));
    assert_eq!(stage.backend.in_flight(), 0);
    drop(refused.memory);
    assert!(stage.clean());
}

#[test]
fn a_post_that_failed_for_good_gives_the_memory_back() {
    let stage = Stage::new();
    stage.script(Script { post: INVALID, end: INVALID, ..Script::default() });
    let refused = refused(&stage, stage.parts(2));
    assert_eq!(refused.memory.len(), 2);
    assert_eq!(refused.error.call(), Some("nixl_capi_post_xfer_req"));
    assert_eq!(refused.error.status(), Some(INVALID));
    assert_eq!(stage.backend.in_flight(), 0);
    assert_eq!(stage.alive("request"), 0);
    drop(refused.memory);
    assert!(stage.clean());
}

#[test]
fn a_post_that_failed_with_io_still_going_keeps_the_memory_until_that_has_ended() {
    let stage = Stage::new();
    stage.script(Script { post: BACKEND, end: BACKEND, ..Script::held() });
    let refused = refused(&stage, stage.parts(2));
    assert!(refused.memory.is_empty(), "NIXL may be writing to it");
    assert_eq!(refused.error.call(), Some("nixl_capi_post_xfer_req"));
    assert_eq!(stage.region.leased_bytes(), 32);
    assert_eq!(stage.backend.parked_transfers(), 1);
    assert_eq!(stage.backend.in_flight(), 2);
    stage.open_gate();
    eventually("the failed request ends", || stage.clean());
}

#[test]
fn a_transfer_without_parts_is_refused() {
    let stage = Stage::new();
    assert_eq!(refused(&stage, Vec::new()).error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_file_that_is_not_in_the_registration_is_refused() {
    let stage = Stage::new();
    let refused = refused(&stage, vec![Part { index: 1, ..stage.part(0, 16) }]);
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    assert!(refused.error.to_string().contains("no file or object 1: 1 are registered"), "{}", refused.error);
    assert_eq!(refused.memory.len(), 1);
}

#[test]
fn a_place_past_the_end_of_any_file_is_refused() {
    let stage = Stage::new();
    let past = u64::try_from(i64::MAX).unwrap();
    for offset in [u64::MAX, past, past - 15] {
        let refused = refused(&stage, vec![Part { offset, ..stage.part(0, 16) }]);
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput, "{offset}");
        assert!(refused.error.to_string().contains(&offset.to_string()), "{}", refused.error);
    }
}

#[test]
fn memory_of_another_region_is_refused() {
    let stage = Stage::new();
    let other = Region::allocate(4096).unwrap();
    let mixed = vec![stage.part(0, 16), part(other.lease(0, 16).unwrap(), 0)];
    let refused = refused(&stage, mixed);
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    assert_eq!(refused.memory.len(), 2);
    assert_eq!(stage.requests().len(), 0, "NIXL was not asked");
}

#[test]
fn a_registration_of_another_backend_is_refused() {
    let (stage, other) = (Stage::new(), Stage::new());
    for (memory, files) in [(&stage.memory, &other.files), (&other.memory, &stage.files)] {
        let refused = stage.backend.start_read(memory, files, stage.parts(1)).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
        assert!(refused.error.to_string().contains("another backend"), "{}", refused.error);
    }
    // Of the same agent, too.
    let gds = stage.agent.backend("GDS", []).unwrap();
    assert!(gds.start_read(&stage.memory, &stage.files, stage.parts(1)).is_err());
}

#[test]
fn memory_and_storage_cannot_be_swapped() {
    let stage = Stage::new();
    for (memory, files) in
        [(&stage.files, &stage.memory), (&stage.memory, &stage.memory), (&stage.files, &stage.files)]
    {
        let refused = stage.backend.start_read(memory, files, stage.parts(1)).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
        assert_eq!(refused.memory.len(), 1);
    }
}
