//! What there is to use, and what is said when something is missing.

use super::support::*;
use nixl_safe::memory::Region;
use nixl_safe::{ErrorKind, MemoryType, ObjectName};

#[test]
fn the_installed_plugins_are_listed_and_posix_says_what_it_can_do() {
    let agent = nixl().agent("test").unwrap();
    let plugins = agent.plugins().unwrap();
    assert!(plugins.iter().any(|name| name == "POSIX"), "{plugins:?}");
    let posix = agent.plugin("POSIX").unwrap();
    for kind in [MemoryType::Dram, MemoryType::File] {
        assert!(posix.memory_types.contains(&kind), "{posix:?}");
    }
    assert_eq!(posix.parameters["ios_pool_size"], "65536", "{posix:?}");
    assert!(posix.parameters.contains_key("use_uring"), "{posix:?}");
}

#[test]
fn asking_for_a_plugin_leaves_its_backends_elsewhere_usable() {
    let bench = Bench::new(DEFAULT);
    for _ in 0..3 {
        nixl().agent("other").unwrap().plugin("POSIX").unwrap();
        bench.assert_works(0, 4096);
    }
}

#[test]
fn a_plugin_that_is_not_installed_is_named_with_its_file_and_those_that_are() {
    let agent = nixl().agent("test").unwrap();
    for error in [agent.backend("HF3FS", []).unwrap_err(), agent.plugin("HF3FS").unwrap_err()] {
        assert_eq!((error.kind(), error.plugin()), (ErrorKind::PluginMissing, Some("HF3FS")));
        let text = error.to_string();
        assert!(text.contains("libplugin_HF3FS.so") && text.contains("POSIX"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn a_plugin_whose_libraries_are_missing_is_an_error_that_names_one() {
    let agent = nixl().agent("test").unwrap();
    match agent.backend("GDS", []) {
        Ok(_) => skipped("GDS works here"),
        // Its libraries are here and its driver is not: only NIXL's own answer is to be had.
        Err(error) if error.kind() == ErrorKind::Failed => assert_eq!(error.plugin(), Some("GDS")),
        Err(error) => {
            assert_eq!((error.kind(), error.plugin()), (ErrorKind::PluginMissing, Some("GDS")));
            let text = error.to_string();
            assert!(text.contains("libcudart.so") || text.contains("libcufile.so"), "{text}");
        }
    }
}

#[test]
fn a_backend_that_nixl_refuses_is_an_error_that_says_what_to_check() {
    let agent = nixl().agent("test").unwrap();
    let both = [("use_uring", "true"), ("use_aio", "true")];
    let error = agent.backend("POSIX", both).unwrap_err();
    assert_eq!((error.kind(), error.call()), (ErrorKind::Failed, Some("nixl_capi_create_backend")));
    assert!(error.to_string().contains("parameters"), "{error}");
    agent.backend("POSIX", [("use_uring", "true")]).unwrap();
    let second = agent.backend("POSIX", []).unwrap_err();
    assert!(second.to_string().contains("no other one of it"), "{second}");
}

#[test]
fn files_are_found_by_path_with_their_size() {
    let bench = Bench::new(DEFAULT);
    let missing = bench.path.with_extension("missing");
    let found = bench.backend.query_files(&[&bench.path, &missing]).unwrap();
    let [Some(file), None] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(file["size"], SIZE.to_string());
    assert!(file.contains_key("mtime") && file.contains_key("mode"), "{file:?}");
    assert!(bench.backend.query_objects(&["a"]).is_err(), "POSIX has no objects");
}

#[test]
fn objects_are_registered_by_name_without_a_server() {
    let agent = nixl().agent("test").unwrap();
    let backend = agent.backend("OBJ", [("bucket", "b"), ("region", "us-east-1")]).unwrap();
    assert!(backend.memory_types().contains(&MemoryType::Object));
    let region = Region::allocate(4096).unwrap();
    let _memory = backend.register_memory(&region).unwrap();
    let named = |name: &str| ObjectName { name: name.to_owned(), length: 4096 };
    let objects = backend.register_objects(vec![named("a/b c"), named("ü%2F\"")]).unwrap();
    let again = backend.register_objects(vec![named("a/b c")]).unwrap();
    assert_eq!(objects.len(), 2);
    drop(objects);
    drop(again);
    assert!(backend.register_files(vec![std::sync::Arc::new(tempfile::tempfile().unwrap().into())]).is_err());
}
