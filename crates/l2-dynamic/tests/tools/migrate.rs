//! A migration loses nothing: where a key has two objects, the better one stays, and the other is set aside.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use l2_core::{ErrorKind, L2Error, ObjectKey};
use l2_dynamic::tools::{Migrated, VerifyTerms};
use l2_files::Directory;
use l2_index::paths::Layout::{Flat, Sharded};
use l2_index::paths::key_to_path;

use crate::place::{Place, key, record_of};

fn migrate(place: &Place) -> Migrated {
    let tools = place.tools();
    let migrated = tools.migrate(&tools.plan_migration(Sharded)).unwrap();
    assert!(migrated.failures.is_empty(), "{:?}", migrated.failures);
    migrated
}

/// The bytes in the two layouts.
fn both(place: &Place, key: &ObjectKey) -> [Option<Vec<u8>>; 2] {
    [Flat, Sharded].map(|layout| fs::read(place.full(&key_to_path(key, layout))).ok())
}

#[test]
fn of_two_objects_the_better_one_stays_and_only_the_same_bytes_are_removed() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Is {
        Right,
        NoChecksum,
        NoRecord,
        Wrong,
        Empty,
    }
    use Is::{Empty, NoChecksum, NoRecord, Right, Wrong};
    // Flat (to be moved), sharded, whether the bytes are the same, and whose bytes stay.
    let cases = [
        (NoRecord, NoRecord, true, "both"),
        (NoRecord, NoRecord, false, "sharded"),
        (Right, NoRecord, false, "flat"),
        (Right, NoRecord, true, "both"),
        (NoChecksum, NoRecord, false, "flat"),
        (Right, NoChecksum, false, "flat"),
        (NoRecord, Right, false, "sharded"),
        (NoRecord, Right, true, "both"),
        (Right, Right, false, "sharded"),
        (NoRecord, Wrong, false, "flat"),
        (Wrong, NoRecord, false, "sharded"),
        (NoRecord, Empty, false, "flat"),
        (Empty, Empty, true, "sharded"),
        (Wrong, Wrong, false, "sharded"),
    ];
    for (flat, sharded, same, stays) in cases {
        let place = Place::fresh();
        let key = key("m", "alice", &[0xab, 0xcd]);
        let put = |is: Is, layout, bytes: &[u8]| match is {
            Right => place.put_with_record(&key, layout, bytes),
            NoRecord => place.put(&key, layout, bytes),
            Empty => place.put(&key, layout, b""),
            NoChecksum | Wrong => {
                let path = place.put(&key, layout, bytes);
                let checksum = (is == Wrong).then(|| "0".repeat(32));
                place.keep(&path, &record_of(&key, bytes.len(), checksum));
                path
            }
        };
        let of_sharded = if same { b"flat!!!" } else { b"sharded" };
        put(flat, Flat, b"flat!!!");
        put(sharded, Sharded, of_sharded);
        let before = both(&place, &key);
        let plan = place.tools().plan_migration(Sharded);
        assert_eq!((plan.moves.objects, plan.taken), (1, 1));
        let migrated = migrate(&place);
        let case = format!("{flat:?} {sharded:?} {same} {migrated:?}");
        let expect = if stays == "flat" { before[0].clone() } else { before[1].clone() };
        assert_eq!(both(&place, &key), [None, expect], "{case}");
        let set_aside = place.tools().find(&key).unwrap().set_aside;
        match stays {
            "both" => assert_eq!((set_aside.len(), migrated.same.objects), (0, 1), "{case}"),
            _ => {
                let lost = if stays == "flat" { &before[1] } else { &before[0] };
                assert_eq!(fs::read(place.full(&set_aside[0])).ok(), *lost, "{case}");
                assert_eq!((set_aside.len(), migrated.set_aside.objects), (1, 1), "{case}");
            }
        }
        let verified = place.tools().verify(&VerifyTerms::default(), &mut |_| ());
        let is_right = [flat, sharded].contains(&Right);
        assert_eq!(verified.right.objects, u64::from(is_right), "{case}");
        assert_eq!(migrate(&place).moved.objects, 0);
    }
}

/// As one that was ended leaves, where files can only be moved by a second name.
#[test]
fn a_file_with_both_names_loses_the_old_one() {
    let place = Place::fresh();
    let key = key("m", "", &[0xab, 0xcd]);
    let flat = place.put_with_record(&key, Flat, b"once");
    let sharded = place.full(&key_to_path(&key, Sharded));
    fs::create_dir_all(sharded.parent().unwrap()).unwrap();
    fs::hard_link(place.full(&flat), &sharded).unwrap();
    assert_eq!(migrate(&place).moved.objects, 1);
    assert_eq!(fs::metadata(&sharded).unwrap().nlink(), 1);
    assert_eq!(place.tools().verify(&VerifyTerms::default(), &mut |_| ()).right.objects, 1);
}

#[test]
fn what_is_in_the_way_and_no_object_costs_that_key_alone() {
    let place = Place::fresh();
    let [blocked, free] = [1, 2].map(|number| key("m", "", &[0xab, number]));
    for key in [&blocked, &free] {
        place.put(key, Flat, b"x");
    }
    fs::create_dir_all(place.full(&key_to_path(&blocked, Sharded))).unwrap();
    let migrated = place.tools().migrate(&place.tools().plan_migration(Sharded)).unwrap();
    assert_eq!((migrated.moved.objects, migrated.failures.len()), (1, 1));
    let text = migrated.failures[0].to_string();
    assert!(text.contains("no file of ours") && text.contains(&key_to_path(&blocked, Sharded)), "{text}");
    assert!(both(&place, &blocked)[0].is_some());
}

#[test]
fn one_that_was_stored_anew_or_removed_since_the_plan_is_left_to_the_next_time() {
    let place = Place::fresh();
    let [anew, gone] = [1, 2].map(|number| key("m", "", &[0xab, number]));
    for key in [&anew, &gone] {
        place.put(key, Flat, b"old");
    }
    let plan = place.tools().plan_migration(Sharded);
    fs::remove_file(place.full(&key_to_path(&gone, Flat))).unwrap();
    place.write("new", "new");
    fs::rename(place.full("new"), place.full(&key_to_path(&anew, Flat))).unwrap();
    let migrated = place.tools().migrate(&plan).unwrap();
    assert_eq!((migrated.gone, migrated.moved.objects, migrated.failures.len()), (2, 0, 0));
    assert!(!place.full("ab").exists(), "no empty directories are left");
    assert_eq!(migrate(&place).moved.objects, 1);
    assert_eq!(both(&place, &anew), [None, Some(b"new".to_vec())]);
}

#[test]
fn a_second_one_at_once_is_refused_and_changes_nothing() {
    let place = Place::fresh();
    place.put(&key("m", "", &[1]), Flat, b"x");
    let held = Directory::open(place.path()).unwrap().exclusive().unwrap().unwrap();
    let before = place.snapshot();
    let refused = place.tools().migrate(&place.tools().plan_migration(Sharded)).unwrap_err();
    assert!(
        refused.kind() == ErrorKind::Busy && refused.to_string().contains("another migration"),
        "{refused}"
    );
    assert_eq!(place.snapshot(), before);
    drop(held);
    assert_eq!(migrate(&place).moved.objects, 1);
}

/// Whoever takes the advice to remove what is in the way must not remove an object.
#[test]
fn what_is_in_the_way_is_named_and_never_the_object() {
    let object = key("m", "", &[0xab, 0xcd]);
    for at in ["ab", "ab/cd"] {
        let place = Place::fresh();
        let path = place.put(&object, Flat, b"good");
        fs::create_dir_all(place.full(at).parent().unwrap()).unwrap();
        symlink("/nowhere", place.full(at)).unwrap();
        let migrated = place.tools().migrate(&place.tools().plan_migration(Sharded)).unwrap();
        in_the_way(&place, &migrated.failures, at, &path);
    }
    for at in [".nixl-l2", ".nixl-l2/set-aside", ".nixl-l2/set-aside/0"] {
        for is_link in [true, false] {
            let place = Place::fresh();
            let path = place.put(&object, Flat, b"");
            fs::create_dir_all(place.full(at).parent().unwrap()).unwrap();
            match is_link {
                true => symlink("/nowhere", place.full(at)).unwrap(),
                false => fs::write(place.full(at), "a file").unwrap(),
            }
            let tools = place.tools();
            let repaired = tools.repair(&tools.verify(&VerifyTerms::default(), &mut |_| ()).bad);
            in_the_way(&place, &repaired.failures, at, &path);
        }
    }
}

#[track_caller]
fn in_the_way(place: &Place, failures: &[L2Error], at: &str, object: &str) {
    assert_eq!(failures.len(), 1, "{failures:?}");
    let failure = &failures[0];
    assert_eq!(failure.path(), Some(place.full(at).as_path()), "{failure}");
    assert!(failure.to_string().contains("in the way"), "{failure}");
    assert!(place.full(object).exists());
}
