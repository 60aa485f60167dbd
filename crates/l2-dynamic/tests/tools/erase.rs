//! An erase that can be proved: everything that names a tenant goes, or is named.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use l2_core::ErrorKind;
use l2_dynamic::tools::{ObjectFilter, VerifyTerms};
use l2_index::paths::Layout::{Flat, Sharded};
use l2_index::paths::key_to_path;

use crate::child;
use crate::place::{Place, key, of_salt};

#[test]
fn nothing_that_names_a_tenant_is_left() {
    let place = Place::fresh();
    for (salt, number) in [("alice", 1), ("bob", 2)] {
        for layout in [Flat, Sharded] {
            place.put_with_record(&key("org/m", salt, &[number, 1]), layout, b"plain");
            place.put_with_record(&key("a--b", salt, &[number, 2]), layout, b"escaped");
            // Set aside below.
            place.put(&key("org/m", salt, &[number, 3]), layout, b"");
            place.put(&key("a--b", salt, &[number, 4]), layout, b"");
        }
        // Emptied by an adapter, which leaves directories.
        let path = place.put(&key("long/".repeat(60).as_str(), salt, &[number, 5]), Sharded, b"x");
        fs::remove_file(place.full(&path)).unwrap();
    }
    let tools = place.tools();
    tools.repair(&tools.verify(&VerifyTerms::default(), &mut |_| ()).bad);
    place.write(".nixl-l2/1-1-1", "of a dead process, and whoever's");
    let before = place.snapshot();
    let of_bob: Vec<_> = before.keys().filter(|path| path.contains("bob")).collect();
    assert!(of_bob.iter().any(|path| path.contains("set-aside")));

    let traces = tools.traces(&of_salt("alice"));
    assert_eq!((traces.objects.objects, traces.set_aside.objects, traces.temporaries), (4, 4, 1));
    assert!(traces.directories > 2 && !traces.is_empty());
    assert_eq!(place.snapshot(), before, "to look changes nothing");
    let erased = tools.erase(&of_salt("alice")).unwrap();
    assert!(erased.is_proved(), "{:?}", erased.left);
    assert_eq!((erased.objects, erased.set_aside), (traces.objects, traces.set_aside));
    assert_eq!((erased.temporaries, erased.passes, erased.came_meanwhile), (1, 1, 0));
    assert!(tools.traces(&of_salt("alice")).is_empty());
    let left = place.snapshot();
    assert!(!left.keys().any(|path| path.contains("alice")), "{left:?}");
    let named = erased.removed.iter().filter(|path| path.contains("alice") || path.ends_with('/'));
    assert_eq!(named.count(), erased.removed.len(), "{:?}", erased.removed);
    let objects = erased.removed.iter().filter(|path| path.ends_with(".bin")).collect::<Vec<_>>();
    assert_eq!(objects.len(), 8);
    assert!(
        objects.iter().all(|path| before.contains_key(*path) && !left.contains_key(*path)),
        "{objects:?}"
    );
    assert_eq!(erased.removed.len() as u64, 8 + erased.side_files + erased.directories);
    assert_eq!(left.keys().filter(|path| path.contains("bob")).collect::<Vec<_>>(), of_bob);
    let again = tools.erase(&of_salt("alice")).unwrap();
    assert!(again.is_proved() && again.objects.objects == 0);
}

#[test]
fn without_a_name_nothing_is_erased() {
    let place = Place::fresh();
    place.put(&key("m", "", &[1]), Flat, b"x");
    let rank = ObjectFilter { kv_rank: Some(0), ..of_salt("") };
    for whose in [ObjectFilter::default(), rank] {
        assert_eq!(place.tools().erase(&whose).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(place.snapshot().len(), 1);
    assert!(place.tools().erase(&of_salt("")).unwrap().is_proved());
    assert_eq!(place.snapshot().len(), 0);
}

#[test]
fn what_is_not_ours_to_remove_is_named() {
    let place = Place::fresh();
    let half = format!("{}.tmp.{}", key_to_path(&key("m", "alice", &[1]), Sharded), "0f".repeat(16));
    place.write(&half, "half an object");
    place.write("m_00000000_0_01.bin.tmp.0f", "not so long a name: nobody's");
    let strange =
        place.put(&key("a--b", "alice", &[1]), Flat, b"x").replace("00000000_0_01.bin", "notes.txt");
    place.write(&strange, "not ours");
    let erased = place.tools().erase(&of_salt("alice")).unwrap();
    let left: Vec<_> = erased.left.iter().map(ToString::to_string).collect();
    assert_eq!((left.len(), erased.objects.objects), (2, 1), "{left:?}");
    assert!(left[0].contains("%1_a--b") && left[0].contains("not ours"), "{left:?}");
    assert!(left[1].contains(".tmp.") && left[1].contains("LMCache"), "{left:?}");
    assert!(place.full(&half).exists() && place.full(&strange).exists());
}

/// Whoever stores for the tenant meanwhile.
#[test]
fn what_is_stored_meanwhile_goes_too_or_is_named() {
    let place = Place::fresh();
    let ended = AtomicBool::new(false);
    let (tools, salt) = (place.tools(), of_salt("alice"));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0_u16..).take_while(|_| !ended.load(Ordering::Acquire)) {
                let key = key("m", "alice", &number.to_be_bytes());
                let path = place.full(&key_to_path(&key, Flat));
                fs::write(place.full("half"), b"x").unwrap();
                fs::rename(place.full("half"), path).unwrap();
            }
        });
        let mut came = 0;
        while came == 0 {
            let erased = tools.erase(&salt).unwrap();
            came = erased.came_meanwhile;
            assert!(erased.passes <= 5);
            assert!(erased.is_proved() || erased.left[0].to_string().contains("end whoever stores"));
        }
        ended.store(true, Ordering::Release);
    });
    assert!(tools.erase(&salt).unwrap().is_proved());
    assert!(tools.traces(&salt).is_empty());
}

#[test]
fn what_cannot_be_removed_or_read_is_named_and_nothing_is_proved() {
    let Some(given) = child::given() else {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let test = "erase::what_cannot_be_removed_or_read_is_named_and_nothing_is_proved";
        return child::must_pass_without_overrides(test, &home.path().join("l2"));
    };
    let place = Place::at(given);
    let stuck = place.put(&key("m", "alice", &[0xab, 1]), Sharded, b"stuck");
    place.put(&key("m", "alice", &[0xcd, 1]), Sharded, b"hidden");
    let goes = place.put(&key("m", "alice", &[0xef, 1]), Sharded, b"goes");
    let rights =
        |path: &str, mode| fs::set_permissions(place.full(path), Permissions::from_mode(mode)).unwrap();
    rights("ab/01", 0o500);
    rights("cd", 0o000);
    let erased = place.tools().erase(&of_salt("alice")).unwrap();
    rights("ab/01", 0o700);
    rights("cd", 0o700);
    let left = erased.left.iter().map(|error| format!("{error}\n")).collect::<String>();
    assert!(!erased.is_proved() && erased.objects.objects == 1 && erased.passes == 1, "{left}");
    assert!(left.contains(&stuck) && left.contains("cannot remove a file"), "{left}");
    assert!(left.contains("cd") && left.contains("cannot be read"), "{left}");
    assert!(!place.full(&goes).exists());
    assert!(place.tools().erase(&of_salt("alice")).unwrap().is_proved());
}

/// Names of more than one piece, and directories below those of what was set aside.
#[test]
fn no_directory_that_names_it_is_left_unnamed() {
    let (model, salt) = ("org/".repeat(120), "bob".repeat(40));
    let by_model = ObjectFilter { model_name: Some(model.clone()), ..ObjectFilter::default() };
    for (whose, tenant) in [(&by_model, ""), (&by_model, &*salt), (&of_salt(&salt), &*salt)] {
        let (mine, other) = (key(&model, tenant, &[1]), key(&format!("{model}x"), "y", &[2]));
        let path = key_to_path(&mine, Flat);
        let outer = path.split('/').next().unwrap();
        let pieces = path.rsplit_once('/').unwrap().0;
        for base in ["", ".nixl-l2/set-aside/0/", ".nixl-l2/set-aside/12/"] {
            // Nothing in it but empty directories.
            let place = Place::fresh();
            fs::create_dir_all(place.full(&format!("{base}{pieces}"))).unwrap();
            let erased = place.tools().erase(whose).unwrap();
            assert!(erased.is_proved(), "{:?}", erased.left);
            let left = place.snapshot();
            let names = |path: &&String| path.contains("bob") || whose == &by_model && path.contains("%1_");
            assert_eq!(left.keys().filter(names).count(), 0, "{base} {left:?}");

            // What is not ours keeps the outer one.
            if whose == &by_model {
                fs::create_dir_all(place.full(&format!("{base}{pieces}"))).unwrap();
                place.write(&format!("{base}{outer}/notes.txt"), "not ours");
                let left = place.tools().erase(whose).unwrap().left;
                assert_eq!(left.len(), 1, "{left:?}");
                assert_eq!(left[0].path(), Some(place.full(&format!("{base}{outer}")).as_path()));
            }
            // What is another's, whose name begins the same, is no trace of this one.
            let place = Place::fresh();
            place.write(&format!("{base}{}", key_to_path(&other, Flat)), "another's");
            let before = place.snapshot();
            fs::create_dir_all(place.full(&format!("{base}{pieces}"))).unwrap();
            let erased = place.tools().erase(whose).unwrap();
            assert!(erased.is_proved() && place.snapshot() == before, "{:?}", erased.left);
        }
    }
    let place = Place::fresh();
    fs::create_dir_all(place.full(".nixl-l2/set-aside/3/%1_a--b@bob~")).unwrap();
    assert!(place.tools().erase(&of_salt("bob")).unwrap().is_proved());
    assert!(!place.full(".nixl-l2/set-aside/3").exists());
}
