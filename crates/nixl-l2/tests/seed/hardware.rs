//! The examples on GDS, GDS_MT and HF3FS: they work where their hardware is. Elsewhere the error names what is missing.

use std::time::{Duration, Instant};

use nixl_l2::{AdapterConfig, ErrorKind};

use crate::examples::{DYNAMIC_WITH_EVICTION, Example, STATIC_GDS, STATIC_GDS_MT, STATIC_HF3FS, exchanged};
use crate::support::{PAGE, home, names_in, objects_live, skipped, try_host};

/// What a plugin on cuFile needs, and how that is got.
const CUFILE: (&[&str], &[&str]) = (
    &["libcudart.so.12", "libcudart.so.13", "libcufile.so.0", "libcuda.so.1", "/dev/nvidiactl"],
    &["on LD_LIBRARY_PATH", "install the NVIDIA driver", "modprobe nvidia"],
);
const HF3FS: (&[&str], &[&str]) = (
    &["libplugin_HF3FS.so", "libhf3fs_api_shared.so", "fuse.hf3fs", "3fs-virt"],
    &["set NIXL_PLUGIN_DIR", "build 3FS", "hf3fs_fuse_main"],
);
/// Longer than any of these errors takes, and shorter than anything that hangs.
const QUICK: Duration = Duration::from_secs(20);

/// The text works, or is refused for what is missing, before anything is made.
#[track_caller]
fn works_or_names_what_is_missing(example: Example, backend: &str, (missing, how): (&[&str], &[&str])) {
    let home = home();
    let path = home.path().join("lmcache");
    let json = exchanged(
        &example.at(&path),
        &format!(r#""backend": "{}""#, AdapterConfig::parse(example.json).unwrap().backend()),
        &format!(r#""backend": "{backend}""#),
    );
    let begun = Instant::now();
    let error = match try_host(&json) {
        Ok(host) => {
            objects_live(&host, PAGE, PAGE as u64);
            objects_live(&host, 16 << 10, 16 << 10);
            return host.adapter.close().unwrap();
        }
        Err(error) => error,
    };
    assert!(begun.elapsed() < QUICK, "after {:?}", begun.elapsed());
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{text}");
    assert!(text.starts_with(&format!("NIXL plugin {backend}: ")), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(names_in(home.path()), [""; 0], "something was made");
    if text.contains("nixl_capi_create_backend") {
        return skipped(&format!("all that can be looked for is here, and yet: {text}"));
    }
    assert!(missing.iter().any(|name| text.contains(name)), "{text}");
    assert!(how.iter().any(|how| text.contains(how)), "{text}");
}

#[test]
fn the_static_pool_on_gds_works_or_names_what_is_missing() {
    works_or_names_what_is_missing(STATIC_GDS, "GDS", CUFILE);
}

#[test]
fn the_static_pool_on_gds_mt_works_or_names_what_is_missing() {
    works_or_names_what_is_missing(STATIC_GDS_MT, "GDS_MT", CUFILE);
}

#[test]
fn the_static_pool_on_hf3fs_works_or_names_what_is_missing() {
    works_or_names_what_is_missing(STATIC_HF3FS, "HF3FS", HF3FS);
}

#[test]
fn the_dynamic_adapter_with_eviction_on_gds_works_or_names_what_is_missing() {
    works_or_names_what_is_missing(DYNAMIC_WITH_EVICTION, "GDS", CUFILE);
}

#[test]
fn the_dynamic_adapter_on_gds_mt_and_hf3fs_works_or_names_what_is_missing() {
    works_or_names_what_is_missing(DYNAMIC_WITH_EVICTION, "GDS_MT", CUFILE);
    works_or_names_what_is_missing(DYNAMIC_WITH_EVICTION, "HF3FS", HF3FS);
}
