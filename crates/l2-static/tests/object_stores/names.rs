//! Names: no two pools have one in common, and a pool that is started again writes over its own objects.

use l2_core::ErrorKind;
use l2_core::testing::fixtures::{key, keys};
use l2_memory::Region;
use test_servers::S3Server;

use crate::support::{Opener, SLOT, Store, names, shared_s3};

#[test]
fn names_are_the_prefix_and_numbers_from_0() {
    let server = shared_s3();
    let mut opener = Opener::new(Store::s3(server).config(8));
    let prefix = format!("{}a b=c+d&e%41é/~", opener.config.object_prefix.unwrap());
    opener.config.object_prefix = Some(prefix.clone());
    let host = opener.host();
    host.must_store(&keys(3));
    let expected = [0, 1, 2].map(|number| format!("{prefix}{number:010}"));
    assert_eq!(names(server, &prefix).into_iter().collect::<Vec<_>>(), expected);
    host.must_load(&keys(3));
}

#[test]
fn two_pools_that_name_themselves_never_see_each_others_objects() {
    // A server of its own: the names depend on its address.
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    let opener = || {
        let mut config = Store::s3(&server).config(4);
        config.object_prefix = None;
        Opener::new(config)
    };
    let (one, other) = (opener().host(), opener().host());
    one.must_store(&[key(0), key(1)]);
    other.must_store(&[key(1), key(2)]);
    let all = names(&server, "");
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|name| name.starts_with("nixl-l2/")), "{all:?}");
    one.must_miss(&[key(2)]);
    other.must_miss(&[key(0)]);
    one.must_load(&[key(0), key(1)]);
    other.must_load(&[key(1), key(2)]);

    // Each starts again under the name it had, if in the same order.
    one.adapter.close().unwrap();
    other.adapter.close().unwrap();
    drop((one, other));
    let (one, other) = (opener().host(), opener().host());
    one.must_store(&keys(2));
    other.must_store(&keys(2));
    assert_eq!(names(&server, ""), all, "nothing new in the bucket");
}

#[test]
fn a_prefix_in_use_is_refused_until_its_pool_closes() {
    let opener = Opener::new(Store::s3(shared_s3()).config(4));
    let l1 = Region::allocate(16 * SLOT).unwrap();
    let first = opener.host();
    let error = opener.adapter(&l1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("object_prefix"), "{error}");
    first.must_store(&[key(0)]);
    first.must_load(&[key(0)]);

    first.adapter.close().unwrap();
    // A child that another test starts may hold the name on until it runs its own program.
    first.eventually("the prefix is free", || match opener.adapter(&l1) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            false
        }
    });
}

#[test]
fn a_pool_that_starts_again_is_empty_and_writes_over_its_own_objects() {
    let server = shared_s3();
    let mut opener = Opener::new(Store::s3(server).config(8));
    let prefix = opener.config.object_prefix.clone().unwrap();
    let mut expected = None;
    for start in 0..6 {
        // Another size changes no name.
        opener.config.pool_size = if start == 3 { 6 } else { 8 };
        let host = opener.host();
        host.must_use(0);
        host.must_miss(&keys(6));
        host.must_store(&keys(6));
        host.must_load(&keys(6));
        let found = names(server, &prefix);
        assert_eq!(found.len(), 6, "start {start}: {found:?}");
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "start {start}");
        // Half of the starts end without closing.
        if start % 2 == 0 {
            host.adapter.close().unwrap();
        }
    }
}

#[test]
fn what_is_stored_after_a_delete_writes_over_the_deleted_object() {
    let server = shared_s3();
    let opener = Opener::new(Store::s3(server).config(4));
    let prefix = opener.config.object_prefix.clone().unwrap();
    let host = opener.host();
    for round in 0..5 {
        let keys = [key(10 * round), key(10 * round + 1), key(10 * round + 2)];
        host.must_store(&keys);
        host.must_load(&keys);
        host.must_delete(&keys);
    }
    assert_eq!(names(server, &prefix).len(), 3);
}
