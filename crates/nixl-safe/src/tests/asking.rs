//! Plugins, parameters, queries, and what their errors carry.

use super::*;
use crate::capi::stand_in::{BACKEND, NOT_FOUND};
use crate::{Error, ErrorKind, MemoryType};

#[test]
fn plugins_are_listed_and_described() {
    let stage = Stage::new();
    assert_eq!(stage.agent.plugins().unwrap(), ["POSIX", "OBJ", "GDS", "GDS_MT"]);
    let posix = stage.agent.plugin("POSIX").unwrap();
    assert_eq!(posix.name, "POSIX");
    assert_eq!(posix.memory_types, [MemoryType::Dram, MemoryType::File]);
    assert_eq!(stage.agent.plugin("GDS").unwrap().memory_types[1], MemoryType::Vram);
}

/// NIXL's iterator has one buffer for all keys and one for all values: who keeps its pointers reads the last pair
/// over and over.
#[test]
fn each_parameter_keeps_its_own_name_and_value() {
    let stage = Stage::new();
    let parameters = stage.agent.plugin("POSIX").unwrap().parameters;
    let expected = [("ios_pool_size", "65536"), ("kernel_queue_size", "256"), ("use_aio", "true")];
    assert_eq!(parameters, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert!(stage.agent.plugin("OBJ").unwrap().parameters.is_empty());
}

#[test]
fn files_are_asked_for_by_path() {
    let stage = Stage::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    std::fs::write(&path, b"12345").unwrap();
    let found = stage.backend.query_files(&[path.clone(), directory.path().join("b")]).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].as_ref().unwrap()["size"], "5");
    assert_eq!(found[0].as_ref().unwrap().len(), 3, "{found:?}");
    assert_eq!(found[1], None);
    assert!(stage.backend.query_files(&[] as &[&str]).unwrap().is_empty());
    for bad in ["", "a\0b"] {
        assert_eq!(stage.backend.query_files(&[bad]).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn every_error_of_a_call_names_the_call_and_its_status() {
    let stage = Stage::new();
    let world = &stage.world;
    let plain = |error: Error| (error.kind(), error.call(), error.status());
    let cases: [(&'static str, &str, &dyn Fn() -> Error); 6] = [
        ("create_configured_agent", "nixl_capi_create_configured_agent", &|| {
            Nixl::stand_in().agent(world.name()).unwrap_err()
        }),
        ("get_available_plugins", "nixl_capi_get_available_plugins", &|| stage.agent.plugins().unwrap_err()),
        ("get_plugin_params", "nixl_capi_get_plugin_params", &|| stage.agent.plugin("POSIX").unwrap_err()),
        ("create_backend", "nixl_capi_create_backend", &|| stage.agent.backend("OBJ", []).unwrap_err()),
        ("get_backend_params", "nixl_capi_get_backend_params", &|| {
            stage.agent.backend("GDS", []).unwrap_err()
        }),
        ("query_mem", "nixl_capi_query_mem", &|| stage.backend.query_files(&["/"]).unwrap_err()),
    ];
    for (function, call, failing) in cases {
        world.fail(function, BACKEND);
        let error = failing();
        assert!(error.to_string().contains("answered -2, backend error"), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
        assert_eq!(plain(error), (ErrorKind::Failed, Some(call), Some(BACKEND)));
    }
}

#[test]
fn errors_of_a_plugin_name_it() {
    let stage = Stage::new();
    let missing = stage.agent.backend("HF3FS", []).unwrap_err();
    assert_eq!((missing.plugin(), missing.status()), (Some("HF3FS"), Some(BACKEND)));
    assert!(missing.to_string().starts_with("NIXL plugin HF3FS: "), "{missing}");
    let missing = stage.agent.plugin("HF3FS").unwrap_err();
    assert_eq!((missing.plugin(), missing.status()), (Some("HF3FS"), Some(NOT_FOUND)));
    let second = stage.agent.backend("POSIX", []).unwrap_err();
    assert_eq!((second.plugin(), second.kind()), (Some("POSIX"), ErrorKind::Failed));
    assert!(second.to_string().contains("no other one of it"), "{second}");
}

#[test]
fn text_with_a_nul_is_refused_before_nixl_cuts_it_short() {
    let stage = Stage::new();
    let errors = [
        Nixl::stand_in().agent("a\0b").unwrap_err(),
        stage.agent.plugin("POSIX\0").unwrap_err(),
        stage.agent.backend("POSIX\0", []).unwrap_err(),
        stage.agent.backend("OBJ", [("bucket\0", "b")]).unwrap_err(),
        stage.agent.backend("OBJ", [("bucket", "b\0")]).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("NUL"), "{error}");
    }
}

#[test]
fn a_backend_that_was_made_but_could_not_be_asked_leaves_no_handle_behind() {
    let stage = Stage::new();
    stage.fail("get_backend_params", BACKEND);
    stage.agent.backend("OBJ", []).unwrap_err();
    assert_eq!(stage.alive("backend"), 1, "POSIX");
}
