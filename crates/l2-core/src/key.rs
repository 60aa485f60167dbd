//! The name of one chunk of KV: which model, rank, group and tenant, and the hash of the tokens.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Longest model name, in bytes.
const MODEL_NAME_MAX: usize = 512;
/// Longest cache salt, in characters (LMCache's limit).
const SALT_MAX_CHARS: usize = 128;
/// Longest chunk hash, in bytes.
const CHUNK_HASH_MAX: usize = 64;
/// Chunk hashes up to this length are kept inside the key.
const INLINE: usize = 32;

/// Why a key cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {given:?} cannot be part of a key: {reason}")]
pub struct InvalidKey {
    /// The part that is wrong: `model_name`, `cache_salt` or `chunk_hash`.
    pub field: &'static str,
    /// What was given, cut to 64 characters.
    pub given: String,
    /// What is wrong with it, and what is allowed.
    pub reason: &'static str,
}

impl InvalidKey {
    fn new(field: &'static str, given: &str, reason: &'static str) -> Self {
        Self { field, given: given.chars().take(64).collect(), reason }
    }
}

#[derive(Debug)]
struct Scope {
    model_name: Box<str>,
    kv_rank: u64,
    object_group_id: u64,
    cache_salt: Box<str>,
    /// Hash of the four parts above, so that a key is hashed by its chunk hash alone.
    hash: u64,
    /// Hash of the salt.
    salt_hash: u64,
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.kv_rank == other.kv_rank
            && self.object_group_id == other.object_group_id
            && self.model_name == other.model_name
            && self.cache_salt == other.cache_salt
    }
}

/// What the keys of one model, rank, object group and tenant have in common. Cloning it clones a reference.
#[derive(Debug, Clone)]
pub struct KeyScope(Arc<Scope>);

impl KeyScope {
    /// Checks and keeps the common parts of keys.
    ///
    /// * `model_name`: 1 to 512 bytes, without NUL, and with no part (between slashes) that is `.` or `..`.
    /// * `kv_rank`: LMCache's `world << 24 | rank << 16 | local_world << 8 | local_rank`.
    /// * `cache_salt`: at most 128 characters, none of them `@`, `/`, `\` or NUL; empty for no salt.
    ///
    /// # Errors
    /// [`InvalidKey`] names the part and the reason.
    pub fn new(
        model_name: &str,
        kv_rank: u64,
        object_group_id: u64,
        cache_salt: &str,
    ) -> Result<Self, InvalidKey> {
        let bad_model = |reason| Err(InvalidKey::new("model_name", model_name, reason));
        if model_name.is_empty() || model_name.len() > MODEL_NAME_MAX {
            return bad_model("it must have 1 to 512 bytes");
        }
        if model_name.contains('\0') {
            return bad_model("it holds a NUL character, which no file name can");
        }
        if model_name.split('/').any(|part| part == "." || part == "..") {
            return bad_model("one of its parts is \".\" or \"..\", which could leave the cache directory");
        }
        let bad_salt = |reason| Err(InvalidKey::new("cache_salt", cache_salt, reason));
        if cache_salt.chars().count() > SALT_MAX_CHARS {
            return bad_salt("it must have at most 128 characters");
        }
        if cache_salt.contains(['@', '/', '\\', '\0']) {
            return bad_salt("it holds '@', '/', '\\' or NUL");
        }
        let mut hasher = Xxh3::new();
        for text in [model_name, cache_salt] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&kv_rank.to_le_bytes());
        hasher.update(&object_group_id.to_le_bytes());
        Ok(Self(Arc::new(Scope {
            model_name: model_name.into(),
            kv_rank,
            object_group_id,
            cache_salt: cache_salt.into(),
            hash: hasher.digest(),
            salt_hash: xxh3_64(cache_salt.as_bytes()),
        })))
    }

    /// The tenant's salt; empty for none.
    pub fn cache_salt(&self) -> &str {
        &self.0.cache_salt
    }

    /// XXH3 of the salt, the same in every process.
    pub fn salt_hash64(&self) -> u64 {
        self.0.salt_hash
    }

    /// [`ObjectKey::hash64`] of the key of the chunk with this hash.
    pub fn hash64_of(&self, chunk_hash: &[u8]) -> u64 {
        xxh3_64(chunk_hash) ^ self.0.hash
    }

    /// The key of the chunk with this hash: 1 to 64 bytes (LMCache's have 32 or 8).
    ///
    /// # Errors
    /// [`InvalidKey`] for a hash of another length.
    pub fn key(&self, chunk_hash: &[u8]) -> Result<ObjectKey, InvalidKey> {
        match ChunkHash::new(chunk_hash) {
            Some(chunk_hash) => Ok(ObjectKey { scope: self.clone(), chunk_hash }),
            None => {
                Err(InvalidKey::new("chunk_hash", &hex::encode(chunk_hash), "it must have 1 to 64 bytes"))
            }
        }
    }
}

impl PartialEq for KeyScope {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for KeyScope {}

/// A chunk's hash; inside the key where it fits, so that cloning a key allocates nothing.
#[derive(Clone, PartialEq, Eq)]
enum ChunkHash {
    Inline { length: u8, bytes: [u8; INLINE] },
    Long(Box<[u8]>),
}

impl ChunkHash {
    fn new(hash: &[u8]) -> Option<Self> {
        if hash.is_empty() || hash.len() > CHUNK_HASH_MAX {
            return None;
        }
        if hash.len() > INLINE {
            return Some(Self::Long(hash.into()));
        }
        let mut bytes = [0; INLINE];
        bytes.get_mut(..hash.len())?.copy_from_slice(hash);
        Some(Self::Inline { length: u8::try_from(hash.len()).ok()?, bytes })
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// The name of one chunk of KV. Cheap to clone: a reference to its [`KeyScope`] and the hash itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectKey {
    scope: KeyScope,
    chunk_hash: ChunkHash,
}

impl ObjectKey {
    /// What this key shares with the others of its model, rank, group and tenant.
    pub fn scope(&self) -> &KeyScope {
        &self.scope
    }

    /// The model's name, as the server calls it.
    pub fn model_name(&self) -> &str {
        &self.scope.0.model_name
    }

    /// Which shard of the KV: LMCache's packed world, rank, local world and local rank.
    pub fn kv_rank(&self) -> u64 {
        self.scope.0.kv_rank
    }

    /// Which group of layers or tensors of the chunk.
    pub fn object_group_id(&self) -> u64 {
        self.scope.0.object_group_id
    }

    /// The tenant's salt; empty for none.
    pub fn cache_salt(&self) -> &str {
        &self.scope.0.cache_salt
    }

    /// Hash of the tokens up to and including the chunk, 1 to 64 bytes.
    pub fn chunk_hash(&self) -> &[u8] {
        self.chunk_hash.as_bytes()
    }

    /// The chunk hash in lower-case hexadecimal.
    pub fn chunk_hash_hex(&self) -> String {
        hex::encode(self.chunk_hash())
    }

    /// A 64-bit hash that is the same in every process: XXH3 over all parts of the key.
    pub fn hash64(&self) -> u64 {
        self.scope.hash64_of(self.chunk_hash())
    }
}

impl Hash for ObjectKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash64());
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = &self.scope.0;
        write!(
            f,
            "{}[rank {}, group {}]",
            scope.model_name.escape_debug(),
            scope.kv_rank,
            scope.object_group_id
        )?;
        write!(f, ":{}", self.chunk_hash_hex())?;
        if !scope.cache_salt.is_empty() {
            write!(f, "@{}", scope.cache_salt.escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn refused(model: &str, salt: &str, field: &str) {
        let error = KeyScope::new(model, 0, 0, salt).unwrap_err();
        assert_eq!(error.field, field);
        assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_the_part_named() {
        refused("", "", "model_name");
        refused("a\0b", "", "model_name");
        refused("..", "", "model_name");
        refused("a/../b", "", "model_name");
        refused("./a", "", "model_name");
        refused(&"m".repeat(513), "", "model_name");
        refused("m", "a@b", "cache_salt");
        refused("m", "a/b", "cache_salt");
        refused("m", "a\\b", "cache_salt");
        refused("m", "a\0b", "cache_salt");
        refused("m", &"é".repeat(129), "cache_salt");
        let scope = KeyScope::new("m..n", 0, 0, &"é".repeat(128)).unwrap();
        assert!(scope.key(&[]).is_err());
        assert!(scope.key(&[0; 65]).is_err());
        assert!(scope.key(&[0; 64]).is_ok());
    }

    #[test]
    fn the_hash_of_a_key_is_the_same_in_every_process() {
        let key = KeyScope::new("org/m", 1, 2, "s").unwrap().key(&[7; 32]).unwrap();
        assert_eq!(key.hash64(), 5_253_770_208_939_154_157);
    }

    #[test]
    fn a_key_is_small() {
        assert!(size_of::<ObjectKey>() <= 48, "{}", size_of::<ObjectKey>());
    }

    proptest! {
        #[test]
        fn keys_are_equal_exactly_when_all_parts_are(
            models in prop::array::uniform2("[ab/]{1,3}"),
            ranks in prop::array::uniform2(0u64..2),
            groups in prop::array::uniform2(0u64..2),
            salts in prop::array::uniform2("[xy]{0,1}"),
            hashes in prop::array::uniform2(prop::collection::vec(0u8..2, 1..40)),
        ) {
            let make = |i: usize| KeyScope::new(&models[i], ranks[i], groups[i], &salts[i]).unwrap().key(&hashes[i]).unwrap();
            let (one, two) = (make(0), make(1));
            let same = models[0] == models[1] && ranks[0] == ranks[1] && groups[0] == groups[1]
                && salts[0] == salts[1] && hashes[0] == hashes[1];
            prop_assert_eq!(one == two, same);
            if same {
                prop_assert_eq!(one.hash64(), two.hash64());
            }
            prop_assert_eq!(one.chunk_hash(), &hashes[0][..]);
        }
    }
}
