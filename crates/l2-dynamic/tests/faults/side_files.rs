//! What is kept in files of its own, where there are no attributes: it speaks for one file, and for no other.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use l2_core::StoreItem;
use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::cache::{Cache, close};
use crate::child::{self, Root};

/// A place without attributes, in a child that runs `test` again.
fn place(test: &str) -> Option<PathBuf> {
    const RAMFS: &str = "mkdir -p \"$DIR\" && mount -t ramfs none \"$DIR\"";
    let given = child::given();
    if given.is_none() {
        let cache = Cache::fresh();
        child::must_pass_with_a_mount(Root::Mapped, &format!("side_files::{test}"), cache.path(), RAMFS);
    }
    given
}

/// Other bytes than the host's own for a key.
fn other_bytes(host: &Host, number: u64) -> StoreItem {
    let mut lease = host.lease(4096);
    lease.as_mut_slice().unwrap().fill(0xfe);
    StoreItem { key: key(number), memory: lease.freeze() }
}

fn counted(host: Host) -> Host {
    host.eventually("what is on the disk is counted", || !host.adapter.status().recovering);
    host
}

fn side_file(cache: &Cache, number: u64) -> PathBuf {
    let inode = fs::metadata(cache.file(&key(number))).unwrap().ino();
    cache.path().join(format!(".nixl-l2/beside/{:02x}/{inode:x}", inode & 0xff))
}

#[test]
fn what_was_kept_beside_a_file_does_not_speak_for_the_next_one_at_its_place() {
    let Some(given) = place("what_was_kept_beside_a_file_does_not_speak_for_the_next_one_at_its_place")
    else {
        return;
    };
    let plain = Cache::at(&given.join("l2"));
    let tagged = plain.clone().tagged("bf16");
    let host = tagged.host(4);
    host.must_store(&[key(1)]);
    close(host);
    // As an operator does, or LMCache; the next is of another meaning and of the same length.
    fs::remove_file(plain.file(&key(1))).unwrap();
    let host = plain.host(4);
    assert!(host.store_items(vec![other_bytes(&host, 1)]).outcomes[0].result.is_ok());
    close(host);
    let host = tagged.host(4);
    host.must_miss(&[key(1)]);
    assert_eq!(host.load(&[key(1)]).bitmap(), [false]);
    host.must_store(&[key(1)]);
    host.must_load(&[key(1)]);
}

#[test]
fn a_store_takes_no_object_of_another_tag_for_its_own() {
    let Some(given) = place("a_store_takes_no_object_of_another_tag_for_its_own") else { return };
    for scan in [l2_config::RecoverScan::Background, l2_config::RecoverScan::Off] {
        let mut cache = Cache::at(&given.join(format!("{scan:?}")));
        cache.config.recover_scan = scan;
        // Both are open before anything is there.
        let one = counted(cache.clone().tagged("one").host(4));
        let other = counted(cache.tagged("other").host(4));
        assert!(one.store_items(vec![other_bytes(&one, 1)]).outcomes[0].result.is_ok());
        other.must_store(&[key(1)]);
        other.must_load(&[key(1)]);
        assert_eq!(one.load(&[key(1)]).bitmap(), [false], "it was replaced");
    }
}

#[test]
fn who_opened_before_there_were_side_files_finds_and_removes_them() {
    let Some(given) = place("who_opened_before_there_were_side_files_finds_and_removes_them") else { return };
    let cache = Cache::at(&given.join("l2")).tagged("one");
    let (one, other) = (counted(cache.host(8)), counted(cache.host(8)));
    one.must_store(&keys(3));
    other.must_hit(&keys(3));
    other.must_load(&keys(3));
    other.adapter.unlock(&keys(3));
    other.must_delete(&keys(3));
    assert_eq!(cache.files(), Vec::<String>::new());
}

#[test]
fn a_side_file_that_is_none_is_a_miss_of_its_key_and_the_next_store_heals_it() {
    let Some(given) = place("a_side_file_that_is_none_is_a_miss_of_its_key_and_the_next_store_heals_it")
    else {
        return;
    };
    let pipe = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    type Harm<'a> = (&'a str, &'a dyn Fn(&Path));
    let harms: [Harm<'_>; 4] = [
        ("nothing", &|_| {}),
        ("a directory", &|path| fs::create_dir(path).unwrap()),
        ("a link", &|path| symlink("/etc/hostname", path).unwrap()),
        ("a pipe", &pipe),
    ];
    for (what, harm) in harms {
        let cache = Cache::at(&given.join(what)).checked();
        let host = cache.host(8);
        host.must_store(&keys(3));
        for _ in 0..12 {
            fs::remove_file(side_file(&cache, 1)).unwrap();
            harm(&side_file(&cache, 1));
            assert_eq!(host.load(&keys(3)).bitmap(), [true, false, true], "{what}");
            host.must_miss(&[key(1)]);
            host.must_store(&[key(1)]);
            host.must_load(&keys(3));
        }
        assert!(!host.adapter.status().load_breaker.is_open, "{what}");
    }
}

#[test]
fn of_what_is_not_to_persist_no_side_file_is_left_either() {
    let Some(given) = place("of_what_is_not_to_persist_no_side_file_is_left_either") else { return };
    for sharded in [false, true] {
        let cache = Cache::at(&given.join(sharded.to_string())).checked();
        let cache = if sharded { cache.sharded() } else { cache };
        let host = cache.host(8);
        host.must_store(&keys(4));
        // By somebody else, who knows of no side files.
        fs::remove_file(cache.file(&key(1))).unwrap();
        assert_eq!(host.load(&keys(2)).bitmap(), [true, false]);
        assert_eq!(cache.files().len(), 3 + 4);
        close(host);
        close(cache.clone().persisting(false).host(8));
        assert_eq!(cache.files(), Vec::<String>::new(), "nothing is left");
        assert!(!cache.path().join(".nixl-l2").exists());
    }
}

/// The same key, computed elsewhere, need not be the same bit for bit.
#[test]
fn the_store_that_comes_second_leaves_the_record_of_the_first_alone() {
    let Some(given) = place("the_store_that_comes_second_leaves_the_record_of_the_first_alone") else {
        return;
    };
    let cache = Cache::at(&given.join("l2")).checked();
    let (one, other) = (counted(cache.host(8)), counted(cache.host(8)));
    for number in 0..200 {
        let item = other_bytes(&other, number);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| other.store_items(vec![item]));
            let first = one.store(&[key(number)]);
            assert!(first.outcomes[0].result.is_ok());
            assert!(second.join().unwrap().outcomes[0].result.is_ok());
        });
        // Whichever it was, it is whole: bytes and record are of one store. (The host compares its own.)
        let whole = other.adapter.submit_load(vec![other.blank(&key(number))]);
        let outcome = other.wait(whole).outcomes.remove(0);
        assert!(outcome.result.is_ok(), "{number}: {:?}", outcome.result);
        drop(outcome);
        other.must_delete(&[key(number)]);
        one.adapter.delete(&[key(number)]);
    }
}

#[test]
fn what_is_not_published_or_is_replaced_leaves_no_side_file() {
    let Some(given) = place("what_is_not_published_or_is_replaced_leaves_no_side_file") else { return };
    let cache = Cache::at(&given.join("l2")).checked();
    let host = counted(cache.host(40));
    fs::create_dir_all(cache.file(&key(9))).unwrap();
    for _ in 0..5 {
        assert!(host.store(&[key(9)]).outcomes[0].result.is_err());
    }
    assert_eq!(cache.files(), Vec::<String>::new());
    host.must_store(&[key(1)]);
    // Another process replaces it.
    let tagged = counted(cache.clone().tagged("t").host(40));
    tagged.must_store(&[key(1)]);
    assert_eq!(cache.files().len(), 2, "an object and its record: {:?}", cache.files());
}
