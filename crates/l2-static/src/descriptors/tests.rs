//! The sums, and the limit of a process that is really too low.

use std::fs::File;

use super::{FEW_FILES, RESERVE, Wanted, fewer, make_room, open_now, room};
use l2_core::ErrorKind;
use l2_core::testing::child;
use proptest::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn limit(soft: u64, hard: u64) -> Rlimit {
    Rlimit { current: Some(soft), maximum: Some(hard) }
}

#[test]
fn a_limit_that_is_enough_is_left_alone() {
    let wanted = Wanted { files: 100, slot_bytes: 4096, each: 1 };
    let exact = 100 + 12 + RESERVE;
    assert_eq!(room(wanted, 12, &limit(exact, exact)).unwrap(), None);
    assert_eq!(room(wanted, 12, &Rlimit { current: None, maximum: None }).unwrap(), None);
}

#[test]
fn a_soft_limit_that_is_too_low_is_raised_to_the_hard_limit() {
    let wanted = Wanted { files: 100, slot_bytes: 4096, each: 1 };
    let exact = 100 + 12 + RESERVE;
    assert_eq!(room(wanted, 12, &limit(exact - 1, exact)).unwrap(), Some(limit(exact, exact)));
    assert_eq!(room(wanted, 12, &limit(64, 20_000)).unwrap(), Some(limit(20_000, 20_000)));
    let endless = Rlimit { current: Some(64), maximum: None };
    assert_eq!(room(wanted, 12, &endless).unwrap(), Some(Rlimit { current: None, maximum: None }));
}

#[test]
fn a_hard_limit_that_is_too_low_is_an_error_with_the_arithmetic_and_the_way_out() {
    let wanted = Wanted { files: 2_000_000, slot_bytes: 4096, each: 1 };
    let error = room(wanted, 12, &limit(1024, 20_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "pool_size 2000000 needs 2000000 file descriptors; 12 that are open and 64 in reserve make it 2000076, but this \
         process may have 20000 (hard limit of RLIMIT_NOFILE): raise that (ulimit -Hn, LimitNOFILE=), or have the \
         capacity of 8192000000 bytes in fewer, larger files: pool_size 123 with file_size 67108864 (8254390272 bytes)"
    );
    let wanted = Wanted { files: 65_536, slot_bytes: 4096, each: 1 };
    let text = room(wanted, 12, &limit(1024, 1024)).unwrap_err().to_string();
    assert!(text.ends_with("pool_size 128 with file_size 2097152"), "{text}");
}

#[test]
fn where_no_file_could_be_opened_none_is_suggested() {
    let wanted = Wanted { files: 2, slot_bytes: 4096, each: 1 };
    let text = room(wanted, 12, &limit(70, 70)).unwrap_err().to_string();
    assert!(text.ends_with("(ulimit -Hn, LimitNOFILE=)"), "{text}");
    assert!(room(Wanted { files: u64::MAX, slot_bytes: u64::MAX, each: 1 }, 12, &limit(70, 70_000)).is_err());
}

proptest! {
    #[test]
    fn what_is_suggested_fits_the_limit_and_holds_what_was_asked_for(
        files in 1u64..1 << 32,
        slot_bytes in prop_oneof![Just(4096u64), 1u64..1 << 30],
        most in 1u64..100_000,
    ) {
        let asked = Wanted { files, slot_bytes, each: 1 };
        let Some(found) = fewer(asked, most) else {
            // Only where no file is large enough.
            let bytes = u128::from(files) * u128::from(slot_bytes);
            prop_assert!(bytes > (1 << 61) * u128::from(most.min(FEW_FILES)));
            return Ok(());
        };
        let bytes = |pool: Wanted| u128::from(pool.files) * u128::from(pool.slot_bytes);
        prop_assert!(found.files >= 1 && found.files <= most.min(FEW_FILES));
        prop_assert!((found.slot_bytes / slot_bytes).is_power_of_two());
        prop_assert!(found.slot_bytes.is_multiple_of(slot_bytes));
        prop_assert!(bytes(found) >= bytes(asked));
        prop_assert!(bytes(found) - bytes(asked) < u128::from(found.slot_bytes), "a file less would do");
    }
}

#[test]
fn open_descriptors_are_counted() {
    if child::given().is_none() {
        // Alone in its process: other tests open files too.
        return child::must_pass_again("descriptors::tests::open_descriptors_are_counted", "");
    }
    let before = open_now();
    let files: Vec<File> = (0..7).map(|_| File::open("/dev/null").unwrap()).collect();
    assert_eq!(open_now(), before + 7);
    drop(files);
    assert_eq!(open_now(), before);
}

#[test]
fn a_process_with_a_low_soft_limit_can_open_the_whole_pool() {
    const FILES: u64 = 300;
    if child::given().is_none() {
        let test = "descriptors::tests::a_process_with_a_low_soft_limit_can_open_the_whole_pool";
        return child::must_pass_again(test, "");
    }
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), maximum: hard }).unwrap();
    make_room(FILES, 4096, 1).unwrap();
    assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: hard, maximum: hard });
    let files: Vec<File> = (0..FILES).map(|_| File::open("/dev/null").unwrap()).collect();
    assert_eq!(files.len() as u64, FILES);
}

#[test]
fn a_process_with_a_low_hard_limit_is_told_and_keeps_its_limits() {
    if child::given().is_none() {
        let test = "descriptors::tests::a_process_with_a_low_hard_limit_is_told_and_keeps_its_limits";
        return child::must_pass_again(test, "");
    }
    setrlimit(Resource::Nofile, limit(100, 200)).unwrap();
    let error = make_room(200, 4096, 1).unwrap_err();
    assert!(error.to_string().contains("this process may have 200 "), "{error}");
    assert_eq!(getrlimit(Resource::Nofile), limit(100, 200));
    // What it says fits does fit.
    let suggested =
        fewer(Wanted { files: 200, slot_bytes: 4096, each: 1 }, 200 - RESERVE - open_now()).unwrap();
    make_room(suggested.files, suggested.slot_bytes, 1).unwrap();
}

#[test]
fn files_that_take_several_descriptors_each_are_counted_as_often() {
    let wanted = Wanted { files: 400, slot_bytes: 4096, each: 3 };
    assert!(room(wanted, 10, &limit(1300, 1300)).unwrap().is_none());
    let error = room(wanted, 10, &limit(1000, 1000)).unwrap_err().to_string();
    assert!(error.contains("needs 1200 file descriptors, 3 for each file"), "{error}");
    assert!(error.contains("pool_size 100 with file_size 16384"), "{error}");
}
