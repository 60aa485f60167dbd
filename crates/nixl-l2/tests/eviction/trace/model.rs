//! LRU with a watermark, as its rules say, and no more than that.

use std::collections::BTreeMap;

/// A cache of blocks of one size.
#[derive(Debug)]
pub(super) struct Model {
    capacity: usize,
    trigger: f64,
    ratio: f64,
    /// When each block was used last.
    used: BTreeMap<u64, u64>,
    /// The same, by that time.
    by_time: BTreeMap<u64, u64>,
    now: u64,
    pub(super) prefix_hits: u64,
}

impl Model {
    /// With room for so many blocks.
    pub(super) fn new(capacity: usize, trigger: f64, ratio: f64) -> Self {
        let (used, by_time) = (BTreeMap::new(), BTreeMap::new());
        Self { capacity, trigger, ratio, used, by_time, now: 0, prefix_hits: 0 }
    }

    /// Uses these, of which the last is the coldest.
    fn use_all(&mut self, blocks: &[u64]) {
        for &block in blocks.iter().rev() {
            self.now += 1;
            if let Some(before) = self.used.insert(block, self.now) {
                self.by_time.remove(&before);
            }
            self.by_time.insert(self.now, block);
        }
    }

    /// A request: looks all up, loads the leading run, stores what is missing.
    pub(super) fn play(&mut self, request: &[u64]) {
        let hits: Vec<u64> = request.iter().copied().filter(|block| self.used.contains_key(block)).collect();
        let run = request.iter().take_while(|block| self.used.contains_key(block)).count();
        let mut missing = Vec::new();
        for &block in request {
            if !self.used.contains_key(&block) && !missing.contains(&block) {
                missing.push(block);
            }
        }
        self.prefix_hits += run as u64;
        self.use_all(&hits);
        self.use_all(&request[..run]);
        self.use_all(&missing);
        while self.used.len() as f64 / self.capacity as f64 >= self.trigger {
            self.evict(part(self.used.len(), self.ratio));
        }
    }

    fn evict(&mut self, blocks: usize) {
        for _ in 0..blocks.max(1) {
            if let Some((_, block)) = self.by_time.pop_first() {
                self.used.remove(&block);
            }
        }
    }
}

/// The part, rounded down.
#[expect(clippy::cast_possible_truncation, reason = "it is rounded down, and below the whole")]
pub(super) fn part(whole: usize, ratio: f64) -> usize {
    (whole as f64 * ratio) as usize
}

#[test]
fn the_coldest_go_until_usage_is_below_the_watermark() {
    let mut model = Model::new(10, 0.8, 0.2);
    model.play(&[1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((model.used.len(), model.prefix_hits), (7, 0));
    // A hit on the coldest; then one of eight goes, the last of the first batch but that.
    model.play(&[7, 8]);
    assert_eq!(
        (model.used.keys().copied().collect::<Vec<_>>(), model.prefix_hits),
        (vec![1, 2, 3, 4, 5, 7, 8], 1)
    );
}
