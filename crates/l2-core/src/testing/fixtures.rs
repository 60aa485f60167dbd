//! Keys, and bytes that derive from a key, so that a load can be checked without keeping what was stored.

use crate::key::{KeyScope, ObjectKey};

/// Numbers that look random, the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = (bound as u64).max(1);
        usize::try_from(self.next_u64() % bound).unwrap_or(0)
    }
}

/// The bytes of an object of this key and length. A prefix of them is not the object of a shorter length.
fn content(key: &ObjectKey, length: usize) -> impl Iterator<Item = [u8; 8]> {
    let mut words = Seeded::new(key.hash64() ^ (length as u64).rotate_left(40));
    std::iter::repeat_with(move || words.next_u64().to_le_bytes())
}

/// Writes the bytes of `key` for an object as long as `bytes`.
pub fn fill(key: &ObjectKey, bytes: &mut [u8]) {
    let words = content(key, bytes.len());
    for (place, word) in bytes.chunks_mut(8).zip(words) {
        if let Some(word) = word.get(..place.len()) {
            place.copy_from_slice(word);
        }
    }
}

/// Whether `bytes` are what [`fill`] writes; if not, where they differ first.
pub fn check(key: &ObjectKey, bytes: &[u8]) -> Result<(), String> {
    for (at, (found, word)) in bytes.chunks(8).zip(content(key, bytes.len())).enumerate() {
        if !word.starts_with(found) {
            let right = found.iter().zip(&word).take_while(|(found, right)| found == right).count();
            return Err(format!("key {key}: byte {} of {} is wrong", at * 8 + right, bytes.len()));
        }
    }
    Ok(())
}

/// The key number `number` of model `org/model`, with a hash of 32 bytes.
pub fn key(number: u64) -> ObjectKey {
    key_of("org/model", "", number)
}

/// The keys number 0 to `count` (exclusive).
pub fn keys(count: u64) -> Vec<ObjectKey> {
    (0..count).map(key).collect()
}

/// The key number `number` of this model and tenant, with a hash of 32 bytes.
#[expect(clippy::expect_used, reason = "a test names models and salts that are allowed")]
pub fn key_of(model: &str, salt: &str, number: u64) -> ObjectKey {
    let mut words = Seeded::new(number);
    let hash: Vec<u8> = (0..4).flat_map(|_| words.next_u64().to_be_bytes()).collect();
    let scope = KeyScope::new(model, 0, 0, salt).expect("a model and a salt that are allowed");
    scope.key(&hash).expect("a hash of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_right_only_for_their_key_and_length() {
        let mut bytes = vec![0; 1000];
        fill(&key(1), &mut bytes);
        assert_eq!(check(&key(1), &bytes), Ok(()));
        assert!(check(&key(2), &bytes).is_err());
        assert!(check(&key(1), &bytes[..999]).is_err());
        bytes[997] ^= 1;
        assert!(check(&key(1), &bytes).unwrap_err().contains("byte 997 of 1000"));
    }
}
