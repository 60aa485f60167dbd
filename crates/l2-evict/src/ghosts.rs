//! What went, remembered by the hash of its key, so that a store can tell that it went too early.

use lru::LruCache;

use l2_core::KeyHasherBuilder;

/// Hashes of keys with the bytes of their objects, the longest gone forgotten first.
#[derive(Debug)]
pub(crate) struct Ghosts {
    gone: LruCache<u64, u64, KeyHasherBuilder>,
    bytes: u64,
}

impl Ghosts {
    pub(crate) fn new() -> Self {
        Self { gone: LruCache::unbounded_with_hasher(KeyHasherBuilder), bytes: 0 }
    }

    /// Bytes of all that is remembered.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Remembers one that went now.
    pub(crate) fn add(&mut self, hash: u64, bytes: u64) {
        let before = self.gone.put(hash, bytes).unwrap_or_default();
        self.bytes = self.bytes.saturating_sub(before).saturating_add(bytes);
    }

    /// Forgets one. Whether it was remembered.
    pub(crate) fn take(&mut self, hash: u64) -> bool {
        let Some(bytes) = self.gone.pop(&hash) else { return false };
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }

    /// Forgets until no more than so many bytes are remembered.
    pub(crate) fn trim(&mut self, most_bytes: u64) {
        while self.bytes > most_bytes
            && let Some((_, bytes)) = self.gone.pop_lru()
        {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gone_are_forgotten_first_and_bytes_add_up() {
        let mut ghosts = Ghosts::new();
        for hash in 1..=4 {
            ghosts.add(hash, 10 * hash);
        }
        assert_eq!(ghosts.bytes(), 100);
        ghosts.add(1, 15);
        assert_eq!(ghosts.bytes(), 105);
        assert!(ghosts.take(3) && !ghosts.take(3));
        assert_eq!(ghosts.bytes(), 75);
        ghosts.trim(75);
        assert_eq!(ghosts.bytes(), 75);
        ghosts.trim(60);
        assert!(!ghosts.take(2), "the longest gone");
        assert_eq!(ghosts.bytes(), 55);
        ghosts.trim(0);
        assert!(!ghosts.take(1) && !ghosts.take(4));
        assert_eq!(ghosts.bytes(), 0);
    }
}
