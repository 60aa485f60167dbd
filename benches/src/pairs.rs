//! Two things done in turn, so that what else the machine does meets both.

use std::fmt;
use std::time::Duration;

/// How long two things took, pair by pair.
#[derive(Debug, Clone)]
pub struct Pairs {
    times: Vec<(Duration, Duration)>,
}

impl Pairs {
    /// Does both `count` times (at least once), each pair the other way round than the one before. One more pair, the first, is
    /// not counted: caches are cold and files unwritten then.
    ///
    /// # Errors
    /// The first error of either.
    pub fn measure<E>(
        count: usize,
        mut base: impl FnMut() -> Result<Duration, E>,
        mut other: impl FnMut() -> Result<Duration, E>,
    ) -> Result<Self, E> {
        let mut times = Vec::with_capacity(count);
        for round in 0..=count.max(1) {
            let pair = if round.is_multiple_of(2) {
                let base = base()?;
                (base, other()?)
            } else {
                let other = other()?;
                (base()?, other)
            };
            if round > 0 {
                times.push(pair);
            }
        }
        Ok(Self { times })
    }

    /// Pair by pair: the base's time, and the other's.
    pub fn times(&self) -> &[(Duration, Duration)] {
        &self.times
    }

    /// The speed of the other thing as a share of the base's: 1 is as fast, 0.5 takes twice as long.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.times.iter().map(|(base, other)| base.as_secs_f64() / other.as_secs_f64().max(1e-9)))
    }

    /// Seconds of the base.
    pub fn base_seconds(&self) -> Spread {
        Spread::of(self.times.iter().map(|(base, _)| base.as_secs_f64()))
    }

    /// Seconds of the other.
    pub fn other_seconds(&self) -> Spread {
        Spread::of(self.times.iter().map(|(_, other)| other.as_secs_f64()))
    }
}

/// The middle of some numbers, and where four fifths of them are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// A tenth of the numbers is below.
    pub low: f64,
    /// As many are below as above.
    pub median: f64,
    /// A tenth of the numbers is above.
    pub high: f64,
}

impl Spread {
    /// Of these numbers; all 0 if there are none.
    pub fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = |tenths: usize| {
            // The number at this rank, or the mean of its two neighbours.
            let (below, above) = ((last * tenths) / 10, (last * tenths).div_ceil(10));
            let number = |rank: usize| sorted.get(rank).copied().unwrap_or_default();
            f64::midpoint(number(below), number(above))
        };
        Self { low: at(1), median: at(5), high: at(9) }
    }
}

/// `0.98 (0.91 to 1.02)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn each_pair_is_the_other_way_round_and_the_first_is_not_counted() {
        let order = RefCell::new(String::new());
        let step = |name: char, millis: u64| {
            order.borrow_mut().push(name);
            let millis = if order.borrow().len() <= 2 { 1000 } else { millis };
            Ok::<_, Infallible>(Duration::from_millis(millis))
        };
        let pairs = Pairs::measure(3, || step('a', 1), || step('b', 2)).unwrap();
        assert_eq!(*order.borrow(), "abbaabba");
        assert_eq!(pairs.ratio(), Spread { low: 0.5, median: 0.5, high: 0.5 });
        assert_eq!(pairs.other_seconds().high, 0.002);
    }

    #[test]
    fn an_error_ends_the_measurement() {
        let mut left = 3;
        let base = || Ok(Duration::ZERO);
        let other = || {
            left -= 1;
            if left == 0 { Err("enough") } else { Ok(Duration::ZERO) }
        };
        assert_eq!(Pairs::measure(100, base, other).unwrap_err(), "enough");
    }

    #[test]
    fn the_spread_leaves_the_outer_tenths_out() {
        let spread = Spread::of((0..=10).rev().map(f64::from));
        assert_eq!(spread, Spread { low: 1.0, median: 5.0, high: 9.0 });
        assert_eq!(Spread::of([1.0, 4.0].into_iter()).median, 2.5);
        assert_eq!(spread.to_string(), "5.00 (1.00 to 9.00)");
    }
}
