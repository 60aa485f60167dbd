//! What a large index may cost at most: what was promised of it, so that who makes it slower hears of it.

use crate::measure::Figures;

/// Below so many objects memory is that of the process, and not of its objects.
const LARGE: u64 = 1_000_000;
/// Resident memory for each object at the peak.
const MOST_BYTES_EACH: f64 = 200.0;
/// Keys of one thread.
const LEAST_LOOKUPS_PER_SECOND: f64 = 2e6;
/// Time of a lookup of a prompt's keys over that in a small index.
const MOST_AGAINST_SMALL: f64 = 1.5;
/// For a tenth of the objects.
const MOST_EVICT_TENTH_S: f64 = 2.0;

/// The bounds that these figures break, each with the figure. A small index has none.
pub(crate) fn broken(figures: &Figures) -> Vec<String> {
    if figures.entries < LARGE {
        return Vec::new();
    }
    let at_most =
        |what, is: f64, bound: f64| (is > bound).then(|| format!("{what}: {is:.2}, at most {bound}"));
    let lookups = figures.lookups_per_second;
    let too_few = (lookups < LEAST_LOOKUPS_PER_SECOND)
        .then(|| format!("keys looked up per second: {lookups:.0}, at least {LEAST_LOOKUPS_PER_SECOND}"));
    [
        at_most("bytes each at the peak", figures.peak_bytes_each, MOST_BYTES_EACH),
        too_few,
        at_most("time of a prompt's lookup against 10000", figures.prompt.lookup, MOST_AGAINST_SMALL),
        at_most("seconds to evict a tenth", figures.evict_tenth_s, MOST_EVICT_TENTH_S),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Against;

    /// At the bounds.
    fn figures() -> Figures {
        Figures {
            entries: LARGE,
            peak_bytes_each: 200.0,
            lookups_per_second: 2e6,
            prompt: Against { lookup: 1.5, cycle: 9.0 },
            evict_tenth_s: 2.0,
            ..Figures::default()
        }
    }

    #[test]
    fn what_is_at_its_bounds_breaks_none() {
        assert!(broken(&figures()).is_empty());
    }

    #[test]
    fn each_figure_past_its_bound_is_told_with_both() {
        let fails = |change: fn(&mut Figures), expected: &str| {
            let mut figures = figures();
            change(&mut figures);
            assert_eq!(broken(&figures), [expected]);
            figures.entries = LARGE - 1;
            assert!(broken(&figures).is_empty(), "a small index has no bounds");
        };
        fails(|figures| figures.peak_bytes_each = 201.0, "bytes each at the peak: 201.00, at most 200");
        fails(
            |figures| figures.lookups_per_second = 1.9e6,
            "keys looked up per second: 1900000, at least 2000000",
        );
        fails(
            |figures| figures.prompt.lookup = 1.6,
            "time of a prompt's lookup against 10000: 1.60, at most 1.5",
        );
        fails(|figures| figures.evict_tenth_s = 2.5, "seconds to evict a tenth: 2.50, at most 2");
    }
}
