//! The space of a pool is its own from the start, or it does not open.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use l2_core::ErrorKind;
use l2_core::testing::fixtures::{key, keys};

use crate::child::{self, Root};
use crate::pool::TMPFS;
use crate::pool::{PAGE, Pool, free_bytes, home, must_load_of, must_store_of, number_after, open_files};

/// An ext4 of 32 MiB in the file `$DIR.disk`, which is open on its loop device for as long as it is mounted.
pub(crate) const EXT4: &str = "mkdir -p \"$DIR\" && rm -f \"$DIR.disk\" && truncate -s 32M \"$DIR.disk\" && \
    mkfs.ext4 -q -O ^has_journal \"$DIR.disk\" && mount -o loop,noatime \"$DIR.disk\" \"$DIR\"";

#[test]
fn a_pool_that_does_not_fit_on_its_disk_is_refused_with_the_sum() {
    let Some(disk) = child::given() else {
        let test = "space::a_pool_that_does_not_fit_on_its_disk_is_refused_with_the_sum";
        return child::must_pass_with_a_mount(Root::Mapped, test, &home().path().join("disk"), TMPFS);
    };
    let place = disk.join("l2");
    drop(Pool::at(&place, 4).try_open().unwrap());
    let (opened, free) = (open_files(), free_bytes(&disk));
    // A file too many, by a page, much too long, more than any disk has.
    for (files, bytes) in [(9, 1 << 20), (1, (8 << 20) + PAGE), (2, 1 << 30), (500, 1 << 50)] {
        let pool = Pool::at(&place, files).of(bytes);
        let error = pool.try_open().expect_err("it does not fit");
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert_eq!(error.path(), Some(&*place), "{error}");
        let text = error.to_string();
        assert_eq!(number_after(&text, "pool_size "), pool.config.pool_size, "{text}");
        assert_eq!(number_after(&text, "file_size "), bytes as u64, "{text}");
        assert!(text.contains(&format!("{} bytes", pool.capacity())), "{text}");
        assert!(text.contains(&format!("{free} bytes are free")), "{free}: {text}");
        assert!(!text.contains("it was full at"), "found out without filling the disk: {text}");
        assert_eq!((open_files(), free_bytes(&disk)), (opened.clone(), free), "nothing is left");
        assert_eq!(pool.visible(), [""; 0]);
    }
    // As many as there is room for, and then none.
    let pool = Pool::at(&place, free / (1 << 20)).of(1 << 20);
    let host = pool.host(16 << 20);
    must_store_of(&host, &key(1), pool.capacity());
    assert_eq!(pool.try_open().unwrap_err().kind(), ErrorKind::Full);
    must_load_of(&host, &key(1), pool.capacity());
}

#[test]
fn a_pool_that_finds_no_room_half_way_leaves_nothing() {
    let Some(disk) = child::given() else {
        let test = "space::a_pool_that_finds_no_room_half_way_leaves_nothing";
        // Bytes enough, but each file takes an inode.
        let few = TMPFS.replace("size=8m", "size=8m,nr_inodes=20");
        return child::must_pass_with_a_mount(Root::Mapped, test, &home().path().join("disk"), &few);
    };
    let place = disk.join("l2");
    drop(Pool::at(&place, 4).try_open().unwrap());
    let (opened, free) = (open_files(), free_bytes(&disk));
    let pool = Pool::at(&place, 40);
    let error = pool.try_open().expect_err("there are not as many inodes");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let text = error.to_string();
    let full_at = number_after(&text, "it was full at file ");
    assert!((10..20).contains(&full_at), "{text}");
    assert!(text.contains("No space left"), "{text}");
    assert_eq!((open_files(), free_bytes(&disk)), (opened, free), "nothing is left");
    assert_eq!(pool.visible(), [""; 0]);
    let host = Pool::at(&place, full_at - 1).host(1 << 20);
    host.must_store(&keys(full_at - 1));
    host.must_load(&keys(full_at - 1));
}

/// Fills a disk to the last byte.
fn fill(disk: &Path) {
    let mut file = fs::File::create(disk.join("somebody else's")).unwrap();
    // Ever less at a time: a write that does not fit as a whole may not be cut.
    for step in [1 << 16, PAGE, 512, 1] {
        let zeros = vec![0; step];
        let error = loop {
            if let Err(error) = file.write_all(&zeros) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    }
}

fn assert_goes_on_when_the_disk_is_full(disk: &Path) {
    for (number, (direct, uring)) in [(false, false), (false, true), (true, false)].into_iter().enumerate() {
        let place = disk.join(number.to_string());
        let pool = Pool::at(&place, 40).of(16 * PAGE).direct(direct).uring(uring);
        let host = match pool.try_open() {
            // A tmpfs of an older kernel.
            Err(error) if direct && error.kind() == ErrorKind::Unsupported => continue,
            other => {
                drop(other.unwrap());
                pool.host(16 << 20)
            }
        };
        fill(disk);
        assert!(fs::write(disk.join("nothing more"), "is stored").is_err());
        // In large objects, and, in an order that cuts the files into small pieces, in pages.
        must_store_of(&host, &key(1000), pool.capacity());
        must_load_of(&host, &key(1000), pool.capacity());
        host.delete(&[key(1000)]);
        let all = keys(640);
        let (even, odd): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(at, _)| at % 2 == 0);
        let [even, odd] = [even, odd].map(|half| half.into_iter().map(|(_, key)| key).collect::<Vec<_>>());
        for _ in 0..2 {
            host.must_store(&even);
            host.must_store(&odd);
            host.must_load(&all);
            host.must_delete(&odd);
            host.must_store(&odd);
            host.must_load(&all);
            host.must_delete(&all);
        }
        assert_eq!(host.adapter.status().healed_objects, 0);
        drop(host);
        fs::remove_file(disk.join("somebody else's")).unwrap();
        let _ = fs::remove_file(disk.join("nothing more"));
    }
}

#[test]
fn a_pool_in_memory_goes_on_when_somebody_else_fills_the_disk() {
    let Some(disk) = child::given() else {
        let test = "space::a_pool_in_memory_goes_on_when_somebody_else_fills_the_disk";
        return child::must_pass_with_a_mount(Root::Mapped, test, &home().path().join("disk"), TMPFS);
    };
    assert_goes_on_when_the_disk_is_full(&disk);
}

/// The space is reserved but unwritten at first: to write it takes notes of the file system's own.
#[test]
fn a_pool_on_ext4_goes_on_when_somebody_else_fills_the_disk() {
    let Some(disk) = child::given() else {
        let test = "space::a_pool_on_ext4_goes_on_when_somebody_else_fills_the_disk";
        return child::must_pass_with_a_mount(Root::Real, test, &home().path().join("disk"), EXT4);
    };
    assert_goes_on_when_the_disk_is_full(&disk);
}
