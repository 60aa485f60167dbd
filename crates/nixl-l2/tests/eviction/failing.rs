//! Files that cannot be deleted for a while.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use l2_core::testing::child;
use l2_core::testing::fixtures::{key, keys};
use nixl_l2::Deleted;

use crate::setup::{Kind, LRU, OBJECT, Setup, all_stored};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_cache_that_is_full_of_what_could_not_be_deleted_recovers_with_its_directory() {
    if child::given().is_none() {
        let test = "failing::a_cache_that_is_full_of_what_could_not_be_deleted_recovers_with_its_directory";
        return child::must_pass_without_overrides(test, Path::new(env!("CARGO_TARGET_TMPDIR")));
    }
    let setup = Setup::of(Kind::Files).evicting(LRU);
    let host = setup.host(8);
    all_stored(&host.store(&keys(6)));
    let directory = setup.directory();
    set_mode(&directory, 0o500);
    let deleted = host.adapter.delete(&keys(6));
    set_mode(&directory, 0o700);
    assert!(deleted.answers.iter().all(|answer| matches!(answer, Deleted::Failed(_))), "{deleted:?}");
    host.must_use(6);
    // No pass comes to this: nothing was stored. Each of these needs room that only those can make.
    for number in 10..18 {
        host.must_store(&[key(number)]);
    }
    host.must_load(&[key(17)]);
    assert!(host.used() <= (8 * OBJECT) as u64);
    let files = fs::read_dir(&directory).unwrap().count();
    assert!(files <= 9, "{files} files are left, with the adapter's own");
}
