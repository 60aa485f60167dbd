//! What a sweep removes, and what it leaves: the living, the young, and what was stored anew.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use l2_dynamic::tools::{SweepTerms, VerifyTerms};
use l2_files::{Directory, HiddenFile, Writing};
use l2_index::paths::Layout::{Flat, Sharded};
use l2_index::paths::key_to_path;
use rustix::fs::{FlockOperation, flock};

use crate::place::{Place, key, time};

#[test]
fn temporaries_of_the_dead_go_and_those_of_the_living_stay() {
    let place = Place::fresh();
    place.put(&key("m", "", &[1]), Flat, b"object");
    let directory = Directory::open(place.path()).unwrap();
    let living = HiddenFile::make(&directory, Writing::Named, "x", false).unwrap();
    place.write(".nixl-l2/1-1-1", "of the dead");
    place.write(".nixl-l2/2-2-2", "of another process");
    place.write(".nixl-l2/mine.txt", "of nobody here");
    place.write("m_00000000_0_01.bin.tmp.0123456789abcdef0123456789abcdef", "of LMCache");
    let other = OwnedFd::from(File::open(place.full(".nixl-l2/2-2-2")).unwrap());
    flock(&other, FlockOperation::LockExclusive).unwrap();

    let (tools, before) = (place.tools(), place.snapshot());
    let plan = tools.plan_sweep(&SweepTerms::default());
    assert_eq!((plan.temporaries, plan.stay.objects, plan.is_empty()), (1, 1, false));
    assert_eq!(place.snapshot(), before);
    let swept = tools.sweep(&plan);
    assert_eq!((swept.temporaries, swept.objects.objects), (1, 0));
    let mut expect = before;
    expect.remove(".nixl-l2/1-1-1").unwrap();
    assert_eq!(place.snapshot(), expect);
    drop((living, other));
    assert_eq!(tools.plan_sweep(&SweepTerms::default()).temporaries, 1, "its process has ended");
}

#[test]
fn what_is_old_goes_and_what_was_stored_anew_meanwhile_stays() {
    let place = Place::fresh();
    let [old, renewed, changed, gone] = [1, 2, 3, 4].map(|number| key("m", "", &[number, 9]));
    let paths = [&old, &renewed, &changed, &gone].map(|key| place.put_at(key, Sharded, b"old", time(1)));
    place.put_at(&key("m", "", &[5, 9]), Sharded, b"young", time(100));
    let terms = SweepTerms { modified_before: Some(time(100)), ..SweepTerms::default() };
    let plan = place.tools().plan_sweep(&terms);
    assert_eq!((plan.old.objects, plan.old.bytes, plan.stay.objects), (4, 12, 1));
    // By a rename, as LMCache stores, of the same length and even time.
    place.write("new", "new");
    place.set_time("new", time(1));
    fs::rename(place.full("new"), place.full(&paths[1])).unwrap();
    place.write(&paths[2], "old");
    fs::remove_file(place.full(&paths[3])).unwrap();
    let swept = place.tools().sweep(&plan);
    assert_eq!((swept.objects.objects, swept.objects.bytes, swept.spared), (1, 3, 3));
    assert!(!place.full("01").exists(), "directories that are empty now are gone");
    assert_eq!(fs::read(place.full(&paths[1])).unwrap(), b"new");
    assert!(place.full(&paths[2]).exists());
}

#[test]
fn what_was_set_aside_goes_only_when_that_is_asked_for() {
    let place = Place::fresh();
    for number in 0..3 {
        place.put(&key("a--b", "s", &[number]), Flat, b"");
    }
    let tools = place.tools();
    tools.repair(&tools.verify(&VerifyTerms::default(), &mut |_| ()).bad);
    place.write(".nixl-l2/set-aside/notes.txt", "not ours");
    let all = SweepTerms { to_bytes: Some(0), ..SweepTerms::default() };
    assert!(tools.plan_sweep(&all).is_empty());
    let plan = tools.plan_sweep(&SweepTerms { set_aside: true, ..SweepTerms::default() });
    assert_eq!((plan.set_aside.objects, plan.stay.objects), (3, 0));
    assert_eq!(tools.sweep(&plan).set_aside.objects, 3);
    let left: Vec<_> = place.snapshot().into_keys().collect();
    assert_eq!(left, [".nixl-l2/", ".nixl-l2/set-aside/", ".nixl-l2/set-aside/notes.txt"]);
}

#[test]
fn only_numbers_as_they_are_written_are_places_of_what_was_set_aside() {
    let place = Place::fresh();
    let path = key_to_path(&key("m", "", &[1]), Flat);
    for number in ["1", "01", "+1", "x"] {
        place.write(&format!(".nixl-l2/set-aside/{number}/{path}"), number);
    }
    let tools = place.tools();
    assert_eq!(tools.find(&key("m", "", &[1])).unwrap().set_aside, [format!(".nixl-l2/set-aside/1/{path}")]);
    let terms = SweepTerms { set_aside: true, ..SweepTerms::default() };
    let swept = tools.sweep(&tools.plan_sweep(&terms));
    assert_eq!((swept.set_aside.objects, swept.spared), (1, 0));
    for number in ["01", "+1", "x"] {
        assert!(place.full(&format!(".nixl-l2/set-aside/{number}/{path}")).exists());
    }
}
