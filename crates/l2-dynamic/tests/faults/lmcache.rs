//! Files of `LMCache`: found and loaded by us; ours are named, and made, as it would find them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use l2_core::testing::fixtures::{check, fill};
use l2_core::{KeyScope, ObjectKey};

use crate::cache::{Cache, close, counted, everything, must_load_of, store_of};

const HASH: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 255,
];

/// Keys, and the names that `LMCache` gives them.
fn named() -> Vec<(ObjectKey, &'static str)> {
    let key = |model, rank, group, salt, hash: &[u8]| {
        KeyScope::new(model, rank, group, salt).unwrap().key(hash).unwrap()
    };
    vec![
        (
            key("meta-llama/Llama-3.1-8B", 0x0401_0401, 11, "alice", &HASH),
            "meta-llama--Llama-3.1-8B_04010401_b_\
             000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff@alice.bin",
        ),
        (
            key("meta-llama/Llama-3.1-8B", 0x0401_0401, 11, "", &HASH),
            "meta-llama--Llama-3.1-8B_04010401_b_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff.bin",
        ),
        (key("a/b/c", 0x1_2c00_0001, 255, "é", &[1, 2]), "a--b--c_12c000001_ff_0102@é.bin"),
        (key("m", 0, 0, "", &[0xab; 8]), "m_00000000_0_abababababababab.bin"),
    ]
}

#[test]
fn a_file_of_lmcache_is_found_and_loaded() {
    for sharded in [false, true] {
        let cache = Cache::fresh();
        let cache = if sharded { cache.sharded() } else { cache };
        let mut lengths = [4096u64, 5000, 1, 1 << 20].into_iter();
        let mut objects = Vec::new();
        for (key, name) in named() {
            let bytes = lengths.next().unwrap();
            let mut content = vec![0; usize::try_from(bytes).unwrap()];
            fill(&key, &mut content);
            let hash = key.chunk_hash_hex();
            let shard = if sharded { format!("{}/{}/", &hash[0..2], &hash[2..4]) } else { String::new() };
            let path = cache.path().join(shard).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            assert_eq!(cache.file(&key), path);
            objects.push((key, bytes));
        }
        // By a lookup, by a load without one, and by the count of what is there.
        let host = cache.host(1000);
        for (key, bytes) in &objects {
            assert_eq!(host.present(key), Some(*bytes), "{key}");
        }
        must_load_of(&host, &objects);
        close(host);
        let host = cache.host(1000);
        must_load_of(&host, &objects);
        counted(&host, &objects);
        // Its own temporaries are its own affair.
        let temporary = cache.file(&objects[0].0).with_extension("bin.tmp.0123456789abcdef0123456789abcdef");
        fs::write(&temporary, "half").unwrap();
        close(host);
        close(cache.host(1000));
        assert!(temporary.exists());
    }
}

#[test]
fn our_files_have_its_names_the_raw_bytes_and_no_rights_for_others() {
    for sharded in [false, true] {
        let cache = Cache::fresh();
        let cache = if sharded { cache.sharded() } else { cache };
        let host = cache.host(1000);
        let keys: Vec<_> = named();
        for (bytes, (key, _)) in [4096, 5000, 1, 1 << 20].into_iter().zip(&keys) {
            store_of(&host, key, bytes).unwrap();
        }
        for (bytes, (key, name)) in [4096, 5000, 1, 1 << 20].into_iter().zip(&keys) {
            let path = cache.file(key);
            assert_eq!(path.file_name().unwrap().to_str(), Some(*name));
            let content = fs::read(&path).unwrap();
            assert_eq!(content.len(), bytes, "no header, nothing behind");
            check(key, &content).unwrap();
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!(metadata.permissions().mode(), 0o100_600, "{name}");
            assert_eq!(metadata.nlink(), 1, "{name}");
        }
        for path in
            everything(cache.path()).iter().map(String::as_str).filter(|path| path.ends_with('/')).chain([""])
        {
            let mode = fs::metadata(cache.path().join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{path}");
        }
        assert_eq!(cache.objects().len(), 4);
        // LMCache pads to its pages and never looks behind a file's end; a lookup of ours gives the length.
        assert_eq!(host.present(&keys[1].0), Some(5000));
        assert_eq!(host.adapter.usage().used_bytes, 4096 + 5000 + 1 + (1 << 20));
    }
}

#[test]
fn what_lmcache_replaces_or_removes_under_a_running_adapter_is_followed() {
    let cache = Cache::fresh();
    let (key, _) = named().remove(0);
    let host = cache.host(1000);
    store_of(&host, &key, 4096).unwrap();
    // As it does: a temporary beside, then a rename.
    let mut content = vec![0; 4096];
    fill(&key, &mut content);
    let temporary = cache.file(&key).with_extension("bin.tmp.00");
    fs::write(&temporary, content).unwrap();
    fs::rename(&temporary, cache.file(&key)).unwrap();
    must_load_of(&host, &[(key.clone(), 4096)]);
    fs::remove_file(cache.file(&key)).unwrap();
    let key = [key];
    assert!(host.load(&key).outcomes[0].result.as_ref().is_err_and(|error| error.is_miss()));
    host.must_miss(&key);
}
