//! Where there are no attributes: records are files of their own, and go where their objects go.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use l2_dynamic::tools::{RecordPlace, SweepTerms, VerifyTerms};
use l2_index::paths::Layout::{Flat, Sharded};
use l2_index::paths::key_to_path;

use crate::child::{self, Root};
use crate::place::{Place, key, of_salt};

/// A place without attributes, in a child that runs `test` again.
fn place(test: &str) -> Option<Place> {
    const RAMFS: &str = "mkdir -p \"$DIR\" && mount -t ramfs none \"$DIR\"";
    let given = child::given();
    if given.is_none() {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        child::must_pass_with_a_mount(
            Root::Mapped,
            &format!("side_files::{test}"),
            &home.path().join("l2"),
            RAMFS,
        );
    }
    given.map(Place::at)
}

fn side_files(place: &Place) -> Vec<PathBuf> {
    let all = place.snapshot().into_keys();
    let side = all.filter(|path| path.starts_with(".nixl-l2/beside/") && !path.ends_with('/'));
    side.map(|path| place.full(&path)).collect()
}

/// As if two hours had passed: records that belong to nothing go after one.
fn age(place: &Place) {
    for path in side_files(place) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
    }
}

fn orphans(place: &Place) -> usize {
    place.tools().plan_sweep(&SweepTerms::default()).side_files
}

#[test]
fn a_record_stays_good_while_its_object_is_moved_there_and_back() {
    let Some(place) = place("a_record_stays_good_while_its_object_is_moved_there_and_back") else { return };
    let tools = place.tools();
    for number in 0..5 {
        place.put_with_record(&key("m", "alice", &[number, 1]), Flat, &[number; 100]);
    }
    age(&place);
    for to in [Sharded, Flat] {
        assert_eq!(tools.migrate(&tools.plan_migration(to)).unwrap().moved.objects, 5);
        assert_eq!((side_files(&place).len(), orphans(&place)), (5, 0));
        tools.sweep(&tools.plan_sweep(&SweepTerms::default()));
        assert_eq!(tools.verify(&VerifyTerms::default(), &mut |_| ()).right.objects, 5);
        let found = tools.find(&key("m", "alice", &[3, 1])).unwrap().objects.remove(0);
        let record = found.record.unwrap();
        assert!(matches!(record.place, RecordPlace::SideFile(path) if place.full(&path).exists()));
        assert_eq!(record.fields.unwrap().bytes, 100);
    }
}

#[test]
fn a_record_goes_with_its_object_and_stays_with_one_that_is_set_aside() {
    let Some(place) = place("a_record_goes_with_its_object_and_stays_with_one_that_is_set_aside") else {
        return;
    };
    let tools = place.tools();
    let [bad, old, lost] = [1, 2, 3].map(|number| key("m", "alice", &[number, 1]));
    for key in [&bad, &old, &lost] {
        place.put_with_record(key, Sharded, b"good");
    }
    // Written over in place, and the time put back: the record still speaks of it.
    let path = l2_index::paths::key_to_path(&bad, Sharded);
    let when = fs::metadata(place.full(&path)).unwrap().modified().unwrap();
    place.write(&path, "bad!");
    place.set_time(&path, when);
    let repaired = tools.repair(&tools.verify(&VerifyTerms::default(), &mut |_| ()).bad);
    assert_eq!(repaired.set_aside.len(), 1);
    fs::remove_file(place.full(&l2_index::paths::key_to_path(&lost, Sharded))).unwrap();
    assert_eq!(orphans(&place), 0, "it is young");
    age(&place);
    assert_eq!(orphans(&place), 1);
    let plan = tools.plan_sweep(&SweepTerms { to_bytes: Some(0), ..SweepTerms::default() });
    let swept = tools.sweep(&plan);
    assert_eq!((swept.objects.objects, swept.side_files), (1, 1));
    assert_eq!(side_files(&place).len(), 1, "of the one that was set aside");
    let plan = tools.plan_sweep(&SweepTerms { set_aside: true, ..SweepTerms::default() });
    assert_eq!(tools.sweep(&plan).set_aside.objects, 1);
    assert_eq!(side_files(&place).len(), 0);
}

#[test]
fn of_an_erased_tenant_no_record_is_left_however_young() {
    let Some(place) = place("of_an_erased_tenant_no_record_is_left_however_young") else { return };
    let tools = place.tools();
    for salt in ["alice", "bob"] {
        for number in [1, 2] {
            let path = place.put_with_record(&key("m", salt, &[number, 1]), Flat, b"x");
            if number == 2 {
                fs::remove_file(place.full(&path)).unwrap();
            }
        }
    }
    assert_eq!(tools.traces(&of_salt("alice")).side_files, 2);
    let erased = tools.erase(&of_salt("alice")).unwrap();
    assert!(erased.is_proved(), "{:?}", erased.left);
    assert_eq!((erased.objects.objects, erased.side_files), (1, 2));
    let left: Vec<_> = side_files(&place).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(left.len() == 2 && left.iter().all(|text| !text.contains("alice")), "{left:?}");
}

/// Runs again where root is bound by rights as well: what cannot be read may be anybody's.
#[test]
fn where_a_record_cannot_be_read_nothing_is_proved_and_all_others_are_named() {
    let Some(given) = child::given() else {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let test = "side_files::where_a_record_cannot_be_read_nothing_is_proved_and_all_others_are_named";
        return child::must_pass_without_overrides(test, &home.path().join("l2"));
    };
    let place = Place::at(given);
    let alices = key_to_path(&key("m", "alice", &[1, 1]), Flat);
    let side_file = |number: u8| {
        place.write(&format!(".nixl-l2/beside/0{number}/{number}"), format!("of {number} 1.0 {alices}\n{{}}"))
    };
    let [hidden, stuck, goes] = [1, 2, 3].map(side_file);
    let long = place.write(".nixl-l2/beside/04/4", [b'x'; 100_000]);
    let rights = |path: &PathBuf, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    rights(&hidden, 0o000);
    rights(&place.full(".nixl-l2/beside/02"), 0o500);
    place.put(&key("m", "alice", &[2, 1]), Flat, b"x");

    let erased = place.tools().erase(&of_salt("alice")).unwrap();
    let left: String = erased.left.iter().map(|error| format!("{error}\n")).collect();
    assert_eq!((erased.is_proved(), erased.left.len(), erased.side_files), (false, 3, 1), "{left}");
    for (path, why) in [(&hidden, "whose"), (&long, "whose"), (&stuck, "cannot remove")] {
        let path = path.to_str().unwrap();
        assert!(left.lines().any(|line| line.contains(path) && line.contains(why)), "{left}");
    }
    assert!(!goes.exists() && hidden.exists() && long.exists());
    assert!(!place.tools().erase(&of_salt("bob")).unwrap().is_proved(), "it may be bob's");
    let plan = place.tools().plan_sweep(&SweepTerms::default());
    assert!(plan.failures.is_empty(), "of no matter there: {:?}", plan.failures);

    rights(&hidden, 0o600);
    rights(&place.full(".nixl-l2/beside/02"), 0o700);
    fs::remove_file(&long).unwrap();
    let erased = place.tools().erase(&of_salt("alice")).unwrap();
    assert!(erased.is_proved() && erased.side_files == 2, "{:?}", erased.left);
}
