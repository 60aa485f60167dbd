//! How full is too full, and how much goes at once.

use l2_core::{ErrorKind, L2Error, Usage};

/// The thread looks again after this part of the capacity was stored, although that alone cannot have taken usage to
/// the watermark: there is usage that nobody tells of, such as files found by a scan, or a store that hangs.
const LOOKS_PER_CAPACITY: u64 = 64;

/// When eviction begins, and in which steps it goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watermark {
    trigger: f64,
    ratio: f64,
}

impl Watermark {
    /// Eviction begins when `trigger` of the capacity is in use, and goes on, `ratio` of the objects at a time (at
    /// least one), until less is.
    ///
    /// # Errors
    /// Unless both are above 0 and at most 1.
    pub fn new(trigger: f64, ratio: f64) -> Result<Self, L2Error> {
        for (name, given) in [("trigger_watermark", trigger), ("eviction_ratio", ratio)] {
            if !(given > 0.0 && given <= 1.0) {
                let what = format!("{name} is {given}; give a number above 0 and at most 1");
                return Err(L2Error::new(ErrorKind::InvalidInput, what));
            }
        }
        Ok(Self { trigger, ratio })
    }

    /// The part of the capacity from which on eviction runs.
    pub fn trigger(self) -> f64 {
        self.trigger
    }

    /// The part of the objects that goes between two looks at the usage.
    pub fn ratio(self) -> f64 {
        self.ratio
    }

    /// The bytes of a quota from which on its tenant has to give.
    pub(crate) fn trigger_of(self, quota: u64) -> u64 {
        part(quota, self.trigger)
    }

    /// The part of a tenant's bytes that goes at once.
    pub(crate) fn ratio_of(self, bytes: u64) -> u64 {
        part(bytes, self.ratio)
    }

    /// How many of `objects` go between two looks at the usage.
    pub(crate) fn round(self, objects: u64) -> usize {
        usize::try_from(part(objects, self.ratio)).unwrap_or(usize::MAX).max(1)
    }

    /// After how many more bytes to look again; `None` when usage has reached the watermark. Without a capacity it
    /// has not, so far.
    pub(crate) fn room(self, usage: Usage) -> Option<u64> {
        match usage.fraction() {
            // It may be decided by the next store.
            None => Some(1),
            Some(fraction) if fraction >= self.trigger => None,
            Some(_) => {
                let room = part(usage.capacity_bytes, self.trigger).saturating_sub(usage.used_bytes);
                Some(room.min(usage.capacity_bytes / LOOKS_PER_CAPACITY).max(1))
            }
        }
    }
}

/// Eviction begins at 80 % of the capacity; 20 % of the objects go at a time.
impl Default for Watermark {
    fn default() -> Self {
        Self { trigger: 0.8, ratio: 0.2 }
    }
}

/// `ratio` of the whole, rounded down; the product is LMCache's, bit by bit.
#[expect(clippy::cast_possible_truncation, reason = "the ratio is at most 1; a cast from a float saturates")]
fn part(whole: u64, ratio: f64) -> u64 {
    (whole as f64 * ratio) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(trigger: f64, ratio: f64, named: &str) {
        let error = Watermark::new(trigger, ratio).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(named), "{named} in {error}");
    }

    #[track_caller]
    fn room(trigger: f64, used_bytes: u64, capacity_bytes: u64, expect: Option<u64>) {
        let watermark = Watermark::new(trigger, 0.5).unwrap();
        assert_eq!(watermark.room(Usage { used_bytes, capacity_bytes }), expect);
    }

    #[test]
    fn what_is_no_part_of_a_whole_is_refused_by_name() {
        for bad in [0.0, -0.1, 1.1, 7.0, f64::NAN, f64::INFINITY] {
            refused(bad, 0.2, "trigger_watermark");
            refused(0.8, bad, "eviction_ratio");
        }
        assert!(Watermark::new(1.0, 1.0).is_ok());
        let some = Watermark::new(0.7, 0.3).unwrap();
        assert_eq!((some.trigger(), some.ratio()), (0.7, 0.3));
        assert_eq!(Watermark::default(), Watermark::new(0.8, 0.2).unwrap());
    }

    #[test]
    fn a_round_is_the_ratio_rounded_down_and_at_least_one() {
        let round = |objects, ratio| Watermark::new(0.8, ratio).unwrap().round(objects);
        assert_eq!(round(0, 0.2), 1);
        assert_eq!(round(9, 0.2), 1);
        assert_eq!(round(10, 0.2), 2);
        assert_eq!(round(99, 0.1), 9);
        assert_eq!(round(7, 1.0), 7);
        // 28.999999999999996, as in any language with doubles.
        assert_eq!(round(100, 0.29), 28);
    }

    #[test]
    fn the_next_look_is_at_the_watermark_or_after_a_64th_of_the_capacity() {
        room(0.8, 80, 100, None);
        room(0.8, 81, 100, None);
        room(1.0, 100, 100, None);
        room(0.8, 79, 100, Some(1));
        room(0.8, 798, 1000, Some(2));
        room(0.8, 0, 6400, Some(100));
        room(0.8, 0, 10, Some(1));
        room(0.8, 5, 0, Some(1));
    }
}
