//! One row of the table: what was measured pair by pair, and what it is held against.

use std::fmt;
use std::time::Duration;

use benches::{Pairs, Spread};

/// What a row has to reach. All that a row has must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// Our number as a multiple of the raw one, its median.
    RatioAtLeast(f64),
    /// The same, for numbers of which less is better.
    RatioAtMost(f64),
    /// Our number.
    AtLeast(f64),
    /// Our number, where less is better.
    AtMost(f64),
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// What we do.
    pub(crate) ours: &'static str,
    /// What it is held against; empty where there is nothing of the kind.
    pub(crate) against: &'static str,
    /// Of the numbers.
    pub(crate) unit: &'static str,
    /// None for a row that only tells.
    pub(crate) bounds: &'static [Bound],
}

/// A row, measured.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) work: Work,
    /// Pair by pair: ours, and the raw number.
    pub(crate) pairs: Vec<(f64, Option<f64>)>,
    /// How the raw way was made the fastest; empty where there is but one.
    pub(crate) raw_by: String,
}

impl Row {
    /// Of speeds, in GB/s, for so many bytes a time.
    pub(crate) fn of_speeds(work: Work, bytes: u64, pairs: &Pairs) -> Self {
        let speed = |took: Duration| bytes as f64 / 1e9 / took.as_secs_f64().max(1e-9);
        let pairs = pairs.times().iter().map(|(raw, ours)| (speed(*ours), Some(speed(*raw)))).collect();
        Self { work, pairs, raw_by: String::new() }
    }

    /// Of times: seconds times `per`, so that they are in the row's unit.
    pub(crate) fn of_times(work: Work, per: f64, pairs: &Pairs) -> Self {
        let number = |took: Duration| took.as_secs_f64() * per;
        let pairs = pairs.times().iter().map(|(raw, ours)| (number(*ours), Some(number(*raw)))).collect();
        Self { work, pairs, raw_by: String::new() }
    }

    /// With a word on how the raw way was made the fastest.
    pub(crate) fn against_best(self, raw_by: String) -> Self {
        Self { raw_by, ..self }
    }

    pub(crate) fn ours(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|(ours, _)| *ours))
    }

    pub(crate) fn raw(&self) -> Option<Spread> {
        let raw: Option<Vec<f64>> = self.pairs.iter().map(|(_, raw)| *raw).collect();
        raw.map(|raw| Spread::of(raw.into_iter()))
    }

    /// Of ours to the raw number, pair by pair.
    pub(crate) fn ratio(&self) -> Option<Spread> {
        let ratios: Option<Vec<f64>> =
            self.pairs.iter().map(|(ours, raw)| raw.map(|raw| ours / raw)).collect();
        ratios.map(|ratios| Spread::of(ratios.into_iter()))
    }

    /// Whether all bounds hold; nothing without any.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio().map(|ratio| ratio.median);
        let holds = |bound: &Bound| match *bound {
            Bound::RatioAtLeast(least) => ratio.is_some_and(|ratio| ratio >= least),
            Bound::RatioAtMost(most) => ratio.is_some_and(|ratio| ratio <= most),
            Bound::AtLeast(least) => self.ours().median >= least,
            Bound::AtMost(most) => self.ours().median <= most,
        };
        (!self.work.bounds.is_empty()).then(|| self.work.bounds.iter().all(holds))
    }

    /// What it is held against, and how that was made the fastest.
    pub(crate) fn against(&self) -> String {
        let by = if self.raw_by.is_empty() { String::new() } else { format!(": {}", self.raw_by) };
        format!("{}{by}", self.work.against)
    }

    /// The cells of the table.
    pub(crate) fn cells(&self) -> [String; 7] {
        let Work { ours, unit, bounds, .. } = self.work;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let bounds: Vec<String> = bounds.iter().map(|bound| bound.text(unit)).collect();
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "–",
        };
        [
            ours.to_owned(),
            or_dash(Some(self.against()).filter(|against| !against.is_empty())),
            with_unit(self.ours().median, unit),
            or_dash(self.raw().map(|raw| with_unit(raw.median, unit))),
            or_dash(self.ratio().map(|ratio| ratio.to_string())),
            or_dash((!bounds.is_empty()).then(|| bounds.join(", "))),
            verdict.to_owned(),
        ]
    }
}

impl Bound {
    fn text(self, unit: &str) -> String {
        match self {
            Self::RatioAtLeast(least) => format!("≥ {least}"),
            Self::RatioAtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least} {unit}"),
            Self::AtMost(most) => format!("≤ {most} {unit}"),
        }
    }
}

/// Three figures are as many as mean something.
fn with_unit(number: f64, unit: &str) -> String {
    struct Figures(f64);
    impl fmt::Display for Figures {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let digits = if self.0 >= 100.0 {
                0
            } else if self.0 >= 10.0 {
                1
            } else {
                2
            };
            write!(f, "{:.digits$}", self.0)
        }
    }
    format!("{} {unit}", Figures(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bounds: &'static [Bound], pairs: &[(f64, Option<f64>)]) -> Row {
        Row {
            work: Work { ours: "a", against: "b", unit: "GB/s", bounds },
            pairs: pairs.to_vec(),
            raw_by: String::new(),
        }
    }

    #[test]
    fn a_bound_is_held_against_the_median_of_the_ratios_and_not_against_the_ratio_of_medians() {
        // Medians 2 and 2; ratios 0.5, 0.1, 4.
        let pairs = [(1.0, Some(2.0)), (2.0, Some(20.0)), (4.0, Some(1.0))];
        assert_eq!(row(&[Bound::RatioAtLeast(0.5)], &pairs).is_met(), Some(true));
        assert_eq!(row(&[Bound::RatioAtLeast(0.51)], &pairs).is_met(), Some(false));
        assert_eq!(row(&[Bound::RatioAtMost(0.5), Bound::AtMost(1.9)], &pairs).is_met(), Some(false));
        assert_eq!(row(&[], &pairs).is_met(), None);
    }

    #[test]
    fn a_row_without_a_raw_number_has_no_ratio_and_meets_no_bound_on_one() {
        let row = row(&[Bound::RatioAtLeast(0.0)], &[(1.0, None)]);
        assert!(row.ratio().is_none() && row.raw().is_none());
        assert_eq!(row.is_met(), Some(false));
        assert_eq!(row.cells(), ["a", "b", "1.00 GB/s", "–", "–", "≥ 0", "MISSED"]);
    }

    #[test]
    fn numbers_have_three_figures() {
        for (number, expect) in [(0.123, "0.12 x"), (12.34, "12.3 x"), (1234.5, "1234 x")] {
            assert_eq!(with_unit(number, "x"), expect);
        }
    }
}
