//! What there is to use, and what is said when something is missing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::loading::{alone, real_directory};
use super::support::*;
use nixl_safe::memory::Region;
use nixl_safe::{ErrorKind, MemoryType, Nixl, ObjectName, Part};

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
        for part in ["libplugin_HF3FS.so", "POSIX", "libhf3fs_api_shared.so", "NIXL_PLUGIN_DIR"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.lines().count(), 1);
    }
    assert_eq!(agent.backend("a\0b", []).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_plugin_whose_libraries_or_driver_are_missing_is_an_error_that_names_them_and_says_how_to_get_them() {
    let agent = nixl().agent("test").unwrap();
    for plugin in ["GDS", "GDS_MT"] {
        match agent.backend(plugin, []) {
            Ok(_) => skipped(&format!("{plugin} works here")),
            // All that can be looked for is here: only NIXL's own answer is to be had.
            Err(error) if error.kind() == ErrorKind::Failed => assert_eq!(error.plugin(), Some(plugin)),
            Err(error) => {
                assert_eq!((error.kind(), error.plugin()), (ErrorKind::PluginMissing, Some(plugin)));
                let text = error.to_string();
                let missing = ["libcudart.so.12", "libcufile.so.0", "libcuda.so.1", "/dev/nvidiactl"];
                assert!(missing.iter().any(|name| text.contains(name)), "{text}");
                let how = ["on LD_LIBRARY_PATH", "install the NVIDIA driver", "modprobe nvidia"];
                assert!(how.iter().any(|how| text.contains(how)), "{text}");
                assert_eq!(text.lines().count(), 1);
            }
        }
    }
}

/// What needs a GPU or 3FS on a real system: NIXL's POSIX plugin stands in for each of them.
const DISGUISES: [&str; 3] = ["GDS", "GDS_MT", "HF3FS"];

/// A directory of these plugins alone, in a copy of NIXL's installation made of links: a plugin finds its libraries in
/// the directories around its own.
fn disguised(root: &Path) -> PathBuf {
    let link_all = |from: &Path, to: &Path, but: &str| {
        for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.file_name() != but) {
            symlink(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let real = fs::canonicalize(real_directory()).unwrap();
    let name = real.file_name().unwrap().to_str().unwrap();
    let directory = root.join(name);
    let plugins = directory.join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    link_all(real.parent().unwrap(), root, name);
    link_all(&real, &directory, "plugins");
    for name in DISGUISES {
        fs::copy(real.join("plugins/libplugin_POSIX.so"), plugins.join(format!("libplugin_{name}.so")))
            .unwrap();
    }
    plugins
}

#[test]
fn the_posix_plugin_under_the_names_gds_gds_mt_and_hf3fs_moves_bytes_without_a_gpu_or_3fs() {
    if !in_child() {
        let root = tempfile::tempdir().unwrap();
        let plugins = disguised(root.path());
        let test =
            "plugins::the_posix_plugin_under_the_names_gds_gds_mt_and_hf3fs_moves_bytes_without_a_gpu_or_3fs";
        return assert_passed(&alone(test, &[("NIXL_PLUGIN_DIR", &plugins)]));
    }
    let nixl = Nixl::load_from(real_directory()).unwrap();
    let agent = nixl.agent("test").unwrap();
    let mut plugins = agent.plugins().unwrap();
    plugins.sort();
    assert_eq!(plugins, DISGUISES);
    for (seed, name) in DISGUISES.into_iter().enumerate() {
        let backend = nixl.agent(name).unwrap().backend(name, []).unwrap();
        assert_eq!(backend.plugin(), name);
        let region = Region::allocate(SIZE).unwrap();
        let memory = backend.register_memory(&region).unwrap();
        let path = Path::new(name).with_extension("data");
        let files = register(&backend, open(&path));
        let part = |memory| Part { memory, index: 0, offset: 0 };
        let written = filled(&region, seed, 0, 8192);
        finished(backend.start_write(&memory, &files, vec![part(written)]).unwrap()).result.unwrap();
        assert_eq!(bytes_at(&path, 0, 8192), content(seed, 8192));
        let room = Part { memory: region.lease(SIZE / 2, 8192).unwrap(), index: 0, offset: 0 };
        let read = finished(backend.start_read(&memory, &files, vec![room]).unwrap());
        read.result.unwrap();
        assert_pattern(read.memory[0].as_slice().unwrap(), seed, 0);
    }
    let error = agent.backend("POSIX", []).unwrap_err();
    assert!(error.to_string().contains("installed: GDS, GDS_MT, HF3FS"), "{error}");
}

/// Nor is one opened that would never open: the loader waits for the other end of a pipe.
#[test]
fn what_is_no_plugin_under_the_name_of_one_is_named_and_never_waited_for() {
    if !in_child() {
        let home = tempfile::tempdir().unwrap();
        let path = |plugin| home.path().join(format!("libplugin_{plugin}.so"));
        assert!(std::process::Command::new("mkfifo").arg(path("PIPE")).status().unwrap().success());
        fs::create_dir(path("FOLDER")).unwrap();
        fs::write(path("TEXT"), "no library").unwrap();
        symlink("nowhere", path("LINK")).unwrap();
        let test = "plugins::what_is_no_plugin_under_the_name_of_one_is_named_and_never_waited_for";
        let plugins = home.path().to_path_buf();
        return assert_passed(&alone(test, &[("NIXL_PLUGIN_DIR", &plugins)]));
    }
    let agent = Nixl::load_from(real_directory()).unwrap().agent("test").unwrap();
    for plugin in ["PIPE", "FOLDER", "TEXT", "LINK"] {
        let error = agent.backend(plugin, []).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginMissing, "{error}");
        assert!(error.to_string().contains(&format!("libplugin_{plugin}.so")), "{error}");
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
