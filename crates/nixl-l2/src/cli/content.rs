//! Bytes that derive from a key: what is stored for it, and what every load must give, also in a later process.

use nixl_l2::ObjectKey;

/// The steps of the sequence (SplitMix64): odd, with the bits of the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD: usize = size_of::<u64>();

/// The eight bytes at word `index` of an object with this seed.
fn word(seed: u64, index: u64) -> [u8; WORD] {
    let mut mixed = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).to_le_bytes()
}

/// Differs for each key, and for each length of one key: what was cut short is not what was stored.
fn seed(key: &ObjectKey, length: usize) -> u64 {
    key.hash64() ^ (length as u64).wrapping_mul(STEP).rotate_left(32)
}

/// Writes the bytes of `key`'s object, which is as long as `bytes`.
pub(crate) fn fill(key: &ObjectKey, bytes: &mut [u8]) {
    let seed = seed(key, bytes.len());
    for (place, index) in bytes.chunks_mut(WORD).zip(0u64..) {
        let word = word(seed, index);
        place.iter_mut().zip(word).for_each(|(byte, right)| *byte = right);
    }
}

/// The offset of the first byte that is not what [`fill`] writes.
pub(crate) fn first_difference(key: &ObjectKey, bytes: &[u8]) -> Option<usize> {
    let seed = seed(key, bytes.len());
    let (at, found, right) = bytes
        .chunks(WORD)
        .zip(0u64..)
        .enumerate()
        .map(|(at, (found, index))| (at, found, word(seed, index)))
        .find(|(_, found, right)| !right.starts_with(found))?;
    let within = found.iter().zip(right).take_while(|(found, right)| **found == *right).count();
    Some(at * WORD + within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nixl_l2::KeyScope;
    use proptest::prelude::*;

    fn key(hash: u8) -> ObjectKey {
        KeyScope::new("m", 0, 0, "").unwrap().key(&[hash; 32]).unwrap()
    }

    #[test]
    fn the_bytes_of_a_key_never_change() {
        let mut bytes = [0; 11];
        fill(&key(1), &mut bytes);
        assert_eq!(
            bytes,
            [95, 215, 252, 74, 231, 143, 208, 165, 200, 86, 9],
            "a cache on disk is verified by later versions too"
        );
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_found_where_it_is(length in 1usize..5000, at in 0usize..5000, by in 1u8..=255) {
            let mut bytes = vec![0; length];
            fill(&key(1), &mut bytes);
            prop_assert_eq!(first_difference(&key(1), &bytes), None);
            let at = at % length;
            bytes[at] ^= by;
            prop_assert_eq!(first_difference(&key(1), &bytes), Some(at));
        }

        #[test]
        fn bytes_are_right_for_one_key_and_length_only(length in 16usize..5000) {
            let mut bytes = vec![0; length];
            fill(&key(1), &mut bytes);
            prop_assert!(first_difference(&key(2), &bytes).is_some());
            prop_assert!(first_difference(&key(1), &bytes[..length - 1]).is_some());
        }
    }
}
