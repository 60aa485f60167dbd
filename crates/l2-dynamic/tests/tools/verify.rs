//! What is wrong is found and can be set aside; what is only unknown is neither.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use l2_dynamic::tools::{Fault, ObjectFilter, Verified, VerifyTerms};
use l2_index::paths::Layout::{Flat, Sharded};

use crate::child;
use crate::place::{Place, key, paths, record, record_of, time};

fn verify(place: &Place) -> Verified {
    let verified = place.tools().verify(&VerifyTerms::default(), &mut |_| ());
    assert!(verified.failures.is_empty(), "{:?}", verified.failures);
    verified
}

/// Those that are bad, with why.
fn faults(verified: &Verified) -> Vec<(String, &'static str)> {
    verified.bad.iter().map(|bad| (bad.path.clone(), bad.fault.as_str())).collect()
}

#[test]
fn each_fault_is_found_and_what_has_no_record_is_not_bad() {
    let place = Place::fresh();
    let bytes = vec![7; (1 << 20) + 5];
    for (number, layout) in [(1, Flat), (2, Sharded)] {
        place.put_with_record(&key("m", "alice", &[number]), layout, &bytes);
    }
    place.put(&key("org/m", "", &[1]), Flat, b"of LMCache");
    let later = place.put(&key("org/m", "", &[2]), Flat, b"of a later version");
    place.keep(&later, br#"{"v": 2, "bytes": 3}"#);
    let unknown = key("org/m", "", &[3]);
    let tagged = place.put(&unknown, Flat, b"tagged");
    place.keep(&tagged, &record_of(&unknown, 6, None));
    let verified = verify(&place);
    assert_eq!(faults(&verified), []);
    assert_eq!((verified.right.objects, verified.right.bytes), (2, 2 * bytes.len() as u64));
    assert_eq!((verified.no_checksum.objects, verified.no_record.objects), (1, 2));

    let changed = place.put_with_record(&key("bad", "", &[1]), Flat, &bytes);
    let mut other = bytes.clone();
    other[1 << 20] ^= 1;
    place.write(&changed, &other);
    let cut = place.put_with_record(&key("bad", "", &[2]), Flat, &bytes);
    place.write(&cut, &bytes[..5]);
    let empty = place.put(&key("bad", "", &[3]), Sharded, b"");
    let of_other = place.put(&key("bad", "", &[4]), Flat, b"x");
    place.keep(&of_other, &record(&key("bad", "", &[5]), b"x"));
    let expect = [(empty, "empty"), (changed, "checksum"), (cut, "record_length"), (of_other, "other_key")];
    assert_eq!(faults(&verify(&place)), expect.map(|(path, fault)| (path, fault)));

    let terms = VerifyTerms { expect_bytes: Some(bytes.len() as u64), bytes_per_second: None };
    let verified = place.tools().verify(&terms, &mut |_| ());
    let lengths = verified.bad.iter().filter(|bad| matches!(bad.fault, Fault::Length { .. }));
    assert_eq!((lengths.count(), verified.right.objects), (5, 2));
}

#[test]
fn what_is_bad_is_set_aside_as_it_is_and_never_over_another() {
    let place = Place::fresh();
    let bad = key("m", "alice", &[0xab, 0xcd]);
    let good = place.put_with_record(&key("m", "", &[1]), Sharded, b"good");
    let mut content = [0; 3];
    for number in 0..3_u8 {
        content[usize::from(number)] = number;
        let path = place.put_with_record(&bad, Sharded, &[9; 3]);
        place.write(&path, content);
        fs::set_permissions(place.full(&path), Permissions::from_mode(0o640)).unwrap();
        let before = place.snapshot()[&path].clone();
        let verified = verify(&place);
        let repaired = place.tools().repair(&verified.bad);
        let aside = format!(".nixl-l2/set-aside/{number}/{path}");
        assert_eq!(repaired.set_aside.iter().map(|(_, aside)| aside).collect::<Vec<_>>(), [&aside]);
        assert_eq!(place.snapshot()[&aside], before, "rights, times and bytes are kept");
        assert!(!place.full("ab").exists(), "directories that are empty now are gone");
        assert_eq!(faults(&verify(&place)), []);
    }
    assert_eq!(paths(&place.tools().list(&ObjectFilter::default(), None, None)), [good]);
    assert_eq!(place.tools().find(&bad).unwrap().set_aside.len(), 3);
}

#[test]
fn one_that_was_stored_anew_since_it_was_found_bad_stays() {
    let place = Place::fresh();
    let key = key("m", "", &[1]);
    let path = place.put(&key, Flat, b"");
    let verified = verify(&place);
    fs::remove_file(place.full(&path)).unwrap();
    assert_eq!(place.tools().repair(&verified.bad).gone, 1);
    place.put_with_record(&key, Flat, b"good");
    let before = place.visible();
    let repaired = place.tools().repair(&verified.bad);
    assert_eq!((repaired.gone, repaired.set_aside.len()), (1, 0));
    assert_eq!(place.visible(), before);
    assert_eq!(verify(&place).right.objects, 1);
}

#[test]
fn bytes_are_not_read_faster_than_they_may_be() {
    let place = Place::fresh();
    place.put_with_record(&key("m", "", &[1]), Flat, &[7; 4 << 20]);
    let terms = VerifyTerms { expect_bytes: None, bytes_per_second: Some(16 << 20) };
    let (start, mut told) = (Instant::now(), 0);
    let verified = place.tools().verify(&terms, &mut |bytes| told += bytes);
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    assert_eq!((verified.right.objects, told), (1, 4 << 20));
}

#[test]
fn what_belongs_to_another_user_is_not_moved_out_of_its_reach() {
    if !rustix::process::geteuid().is_root() {
        let why = "only root can give a file to another user";
        return crate::child::skipped("what_belongs_to_another_user_is_not_moved_out_of_its_reach", why);
    }
    let place = Place::fresh();
    let path = place.put(&key("m", "", &[1]), Flat, b"");
    std::os::unix::fs::chown(place.full(&path), Some(1234), None).unwrap();
    let before = place.snapshot();
    let repaired = place.tools().repair(&verify(&place).bad);
    assert!(repaired.failures[0].to_string().contains("user 1234"), "{:?}", repaired.failures);
    let migrated = place.tools().migrate(&place.tools().plan_migration(Sharded)).unwrap();
    assert!(migrated.failures[0].to_string().contains("user 1234"), "{:?}", migrated.failures);
    assert_eq!(place.snapshot(), before);
}

/// Whoever changes it all the time: it is counted each time, and only once.
#[test]
fn one_that_changes_under_every_look_is_named() {
    let place = Place::fresh();
    let path = place.put_with_record(&key("m", "", &[1]), Flat, &vec![7; 2 << 20]);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for second in (0..).take_while(|_| !ended.load(Ordering::Acquire)) {
                place.set_time(&path, time(second));
            }
        });
        let mut named = None;
        while named.is_none() {
            let verified = place.tools().verify(&VerifyTerms::default(), &mut |_| ());
            let counted = [verified.right, verified.no_checksum, verified.no_record].map(|sum| sum.objects);
            let counted = counted.iter().sum::<u64>() + verified.failures.len() as u64;
            if counted != 1 || !verified.bad.is_empty() {
                ended.store(true, Ordering::Release);
                panic!("{verified:?}");
            }
            named = verified.failures.first().map(ToString::to_string);
        }
        ended.store(true, Ordering::Release);
        let named = named.unwrap();
        assert!(named.contains("keep storing") && named.contains(&path), "{named}");
    });
}

#[test]
fn what_was_set_aside_and_cannot_be_looked_at_is_reported() {
    let Some(given) = child::given() else {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let test = "verify::what_was_set_aside_and_cannot_be_looked_at_is_reported";
        return child::must_pass_without_overrides(test, &home.path().join("l2"));
    };
    let place = Place::at(given);
    let key = key("m", "", &[1]);
    place.put(&key, Flat, b"");
    place.tools().repair(&verify(&place).bad);
    let stored = place.put(&key, Flat, b"x");
    let rights = |mode| {
        let aside = place.full(".nixl-l2/set-aside/0");
        fs::set_permissions(aside, Permissions::from_mode(mode)).unwrap();
    };
    rights(0o000);
    let found = place.tools().find(&key).unwrap();
    rights(0o700);
    assert_eq!((found.objects[0].path.as_str(), found.set_aside.len()), (stored.as_str(), 0));
    assert!(found.failures[0].to_string().contains(".nixl-l2/set-aside/0"), "{:?}", found.failures);
    let found = place.tools().find(&key).unwrap();
    assert_eq!((found.set_aside.len(), found.failures.len()), (1, 0));
}
