//! Where there are no attributes: records are files of their own, and go where their objects go.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use l2_dynamic::tools::{RecordPlace, SweepTerms, VerifyTerms};
use l2_index::paths::Layout::{Flat, Sharded};

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
        assert_eq!(tools.migrate(&tools.plan_migration(to)).moved.objects, 5);
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
