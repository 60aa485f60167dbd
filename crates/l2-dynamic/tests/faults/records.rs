//! What is kept beside the files: with a checksum each changed byte is noticed, with a layout tag other meanings are misses.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use l2_config::{Durability, Integrity};
use l2_core::Damage;
use l2_core::ErrorKind;
use l2_core::testing::fixtures::{key, keys};
use rustix::fs::XattrFlags;

use crate::cache::{Cache, close, counted};
use crate::child::{self, Root};

const ATTRIBUTE: &str = "user.nixl_l2";
/// It has no attributes, so that what is kept beside a file is a side file.
const RAMFS: &str = "mkdir -p \"$DIR\" && mount -t ramfs none \"$DIR\"";

impl Cache {
    pub(crate) fn checked(mut self) -> Self {
        self.config.integrity = Integrity::Checksum;
        self
    }

    pub(crate) fn tagged(mut self, tag: &str) -> Self {
        self.config.layout_tag = Some(tag.to_owned());
        self
    }

    fn flushed(mut self) -> Self {
        self.config.durability = Durability::Fsync;
        self
    }

    /// Another adapter on the same directory.
    fn with(&self, change: impl FnOnce(Self) -> Self) -> Self {
        change(self.clone())
    }
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    // As a bit flips on a device.
    file.set_modified(before).unwrap();
}

fn attribute(path: &Path) -> Option<String> {
    let mut bytes = vec![0; 4096];
    let length = rustix::fs::getxattr(path, ATTRIBUTE, bytes.as_mut_slice()).ok()?;
    bytes.truncate(length);
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn a_byte_that_changed_is_a_miss_of_that_key_alone_and_the_next_store_heals_it() {
    for cache in [
        Cache::fresh().checked(),
        Cache::fresh().checked().sharded().uring().flushed(),
        Cache::fresh().checked().direct().objects_of(1 << 20).tagged("bf16"),
    ] {
        let (bytes, host) = (cache.object_bytes as u64, cache.host(3));
        host.must_store(&keys(3));
        for at in [0, bytes / 2, bytes - 1] {
            flip(&cache.file(&key(1)), at);
            let load = host.load(&keys(3));
            assert_eq!(load.bitmap(), [true, false, true], "{load:?}");
            let error = load.outcomes[1].result.as_ref().unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&*cache.file(&key(1)))));
            drop(load);
            host.must_miss(&[key(1)]);
            assert!(!cache.file(&key(1)).exists(), "it is gone");
            host.must_store(&[key(1)]);
            host.must_load(&keys(3));
        }
        assert_eq!(host.adapter.status().healed.of(Damage::Checksum), 3);
        // And found by another process.
        close(host);
        flip(&cache.file(&key(2)), 7);
        let host = cache.host(3);
        counted(&host, &cache.objects());
        assert_eq!(host.load(&keys(3)).bitmap(), [true, true, false]);
        host.must_use(2);
    }
}

#[test]
fn the_payload_is_the_same_with_a_checksum_and_without_and_the_record_can_be_read() {
    let plain = Cache::fresh();
    let host = plain.host(1);
    host.must_store(&[key(1)]);
    let cache = Cache::fresh().checked().tagged("bf16");
    let host = cache.host(1);
    host.must_store(&[key(1)]);
    assert_eq!(fs::read(cache.file(&key(1))).unwrap(), fs::read(plain.file(&key(1))).unwrap());
    assert_eq!(attribute(&plain.file(&key(1))), None);
    let record = attribute(&cache.file(&key(1))).expect("the file system has attributes");
    for part in
        [r#""v":1"#, r#""bytes":4096"#, r#""xxh3_128":""#, r#""layout_tag":"bf16""#, &key(1).chunk_hash_hex()]
    {
        assert!(record.contains(part), "{record}");
    }
    assert_eq!(cache.files().len(), 1, "nothing else is there");
}

#[test]
fn what_has_no_record_is_a_miss_with_a_checksum_and_is_written_anew() {
    let plain = Cache::fresh();
    let host = plain.host(3);
    host.must_store(&keys(3));
    close(host);
    let cache = plain.with(Cache::checked);
    // Before the scan has come to them, and after it.
    for settle in [false, true] {
        let host = cache.host(3);
        if settle {
            host.eventually("the scan has ended", || !host.adapter.status().recovering);
            // It is not to be served, and takes up room all the same.
            assert_eq!(host.adapter.status().stored_objects, 0);
            host.must_use(3);
        }
        host.must_miss(&keys(3));
        assert!(host.load(&[key(1)]).outcomes[0].result.is_err());
        close(host);
        assert_eq!(cache.objects().len(), 3, "nothing was removed: others may read it");
    }
    let host = cache.host(3);
    host.must_store(&keys(3));
    host.must_load(&keys(3));
    host.must_use(3);
    close(host);
    // Without a checksum it can be read as before.
    let host = plain.host(3);
    host.must_load(&keys(3));
}

#[test]
fn another_layout_tag_is_a_miss_and_the_right_one_finds_it_again() {
    let one = Cache::fresh().tagged("llama@5f2 bf16");
    let host = one.host(4);
    host.must_store(&keys(4));
    close(host);
    for other in
        [one.with(|cache| cache.tagged("llama@5f2 fp8")), one.with(|cache| cache.tagged("x").checked())]
    {
        let host = other.host(4);
        host.must_miss(&keys(4));
        host.must_delete(&[]);
        close(host);
    }
    let host = one.host(4);
    host.must_load(&keys(4));
    close(host);
    // Who stores under another tag has the key.
    let other = one.with(|cache| cache.tagged("fp8"));
    let host = other.host(4);
    host.must_store(&[key(0)]);
    host.must_load(&[key(0)]);
    // What is not wanted can be deleted all the same, whether the scan has found it or not.
    host.must_delete(&[key(3)]);
    close(host);
    let host = one.host(4);
    host.must_miss(&[key(0), key(3)]);
    host.must_load(&[key(1), key(2)]);
}

#[test]
fn a_file_in_the_place_of_another_is_a_miss() {
    let cache = Cache::fresh().checked();
    let host = cache.host(3);
    host.must_store(&keys(3));
    fs::rename(cache.file(&key(2)), cache.file(&key(1))).unwrap();
    let load = host.load(&keys(3));
    assert_eq!(load.bitmap(), [true, false, false], "{load:?}");
    drop(load);
    let healed = host.adapter.status().healed;
    assert_eq!((healed.of(Damage::Unverified), healed.of(Damage::Gone)), (1, 1));
    host.must_store(&[key(1), key(2)]);
    host.must_load(&keys(3));
}

#[test]
fn a_record_that_is_not_one_is_none() {
    let cache = Cache::fresh().checked();
    let host = cache.host(4);
    host.must_store(&keys(2));
    for record in [&b"{}"[..], b"", b"\xff\x00", b"[1,2"] {
        rustix::fs::setxattr(cache.file(&key(1)), ATTRIBUTE, record, XattrFlags::REPLACE).unwrap();
        assert_eq!(host.load(&keys(2)).bitmap(), [true, false]);
        host.must_store(&[key(1)]);
    }
    rustix::fs::removexattr(cache.file(&key(1)), ATTRIBUTE).unwrap();
    assert_eq!(host.load(&keys(2)).bitmap(), [true, false]);
}

#[test]
fn where_there_are_no_attributes_side_files_come_and_go_with_the_objects() {
    let Some(given) = child::given() else {
        let cache = Cache::fresh();
        let test = "records::where_there_are_no_attributes_side_files_come_and_go_with_the_objects";
        return child::must_pass_with_a_mount(Root::Mapped, test, cache.path(), RAMFS);
    };
    for sharded in [false, true] {
        let cache = Cache::at(&given.join(format!("{sharded}"))).checked().tagged("t");
        let cache = if sharded { cache.sharded() } else { cache };
        let beside = || cache.files().into_iter().filter(|path| path.starts_with(".nixl-l2/beside/")).count();
        let host = cache.host(3);
        host.must_store(&keys(3));
        assert_eq!((beside(), cache.files().len()), (3, 6));
        close(host);
        let host = cache.host(3);
        host.must_load(&keys(3));
        flip(&cache.file(&key(1)), 9);
        assert_eq!(host.load(&keys(3)).bitmap(), [true, false, true]);
        assert_eq!((beside(), cache.files().len()), (2, 4), "it goes with its file");
        host.must_delete(&[key(0)]);
        assert_eq!(beside(), 1);
        host.must_store(&keys(2));
        host.must_load(&keys(3));
        close(host);
        close(cache.with(|cache| cache.persisting(false)).host(3));
        assert_eq!(cache.files(), Vec::<String>::new(), "what is not to persist leaves nothing");
    }
}
