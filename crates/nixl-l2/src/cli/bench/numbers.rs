//! The numbers of a bench: as JSON for programs, as a table for people, and two of them compared.

use comfy_table::Table;
use serde::Serialize;

use crate::cli::table;

/// What one round came to; its JSON is a promise to programs that read it. 10⁹ bytes are a GB.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Numbers {
    pub(super) init_s: f64,
    #[serde(rename = "store_GBps")]
    pub(super) store_gbps: f64,
    pub(super) lookup_keys_per_s: f64,
    #[serde(rename = "load_GBps")]
    pub(super) load_gbps: f64,
    pub(super) load1_p50_us: f64,
    pub(super) load1_p99_us: f64,
    pub(super) delete_keys_per_s: f64,
    /// Whether every byte of every object that was loaded was compared with what was stored, and right.
    pub(super) verified: bool,
    #[serde(skip)]
    pub(super) first_mismatch: Option<String>,
}

/// A number by its name for people, how it is got and set, and the digits after its point.
struct Column {
    name: &'static str,
    get: fn(&Numbers) -> f64,
    set: fn(&mut Numbers, f64),
    digits: usize,
}

const COLUMNS: [Column; 7] = [
    Column { name: "opening, s", get: |of| of.init_s, set: |of, is| of.init_s = is, digits: 4 },
    Column { name: "stores, GB/s", get: |of| of.store_gbps, set: |of, is| of.store_gbps = is, digits: 3 },
    Column {
        name: "lookups, keys/s",
        get: |of| of.lookup_keys_per_s,
        set: |of, is| of.lookup_keys_per_s = is,
        digits: 0,
    },
    Column {
        name: "loads, GB/s (best of 3 passes)",
        get: |of| of.load_gbps,
        set: |of, is| of.load_gbps = is,
        digits: 3,
    },
    Column {
        name: "one load, p50, µs",
        get: |of| of.load1_p50_us,
        set: |of, is| of.load1_p50_us = is,
        digits: 0,
    },
    Column {
        name: "one load, p99, µs",
        get: |of| of.load1_p99_us,
        set: |of, is| of.load1_p99_us = is,
        digits: 0,
    },
    Column {
        name: "deletes, keys/s",
        get: |of| of.delete_keys_per_s,
        set: |of, is| of.delete_keys_per_s = is,
        digits: 0,
    },
];
const VERIFIED: &str = "every byte compared";

impl Numbers {
    /// For people.
    pub(super) fn table(&self) -> Table {
        let mut table = table::plain(["", "measured"]);
        for column in &COLUMNS {
            table.add_row([column.name.to_owned(), column.shown(self)]);
        }
        table.add_row([VERIFIED, word(self.verified)]);
        table
    }
}

impl Column {
    fn shown(&self, numbers: &Numbers) -> String {
        format!("{:.*}", self.digits, (self.get)(numbers))
    }
}

fn word(verified: bool) -> &'static str {
    if verified { "right" } else { "WRONG" }
}

/// Two configurations measured in turns: the median of each number, and the medians of the ratios, round by round, of
/// the second to the first.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) a: Numbers,
    pub(super) b: Numbers,
    pub(super) ratios: Ratios,
}

/// `null` where the first is 0.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Ratios {
    init_s: Option<f64>,
    #[serde(rename = "store_GBps")]
    store_gbps: Option<f64>,
    lookup_keys_per_s: Option<f64>,
    #[serde(rename = "load_GBps")]
    load_gbps: Option<f64>,
    load1_p50_us: Option<f64>,
    load1_p99_us: Option<f64>,
    delete_keys_per_s: Option<f64>,
}

impl Compared {
    /// Of rounds that were made in pairs.
    pub(super) fn of(a: &[Numbers], b: &[Numbers]) -> Self {
        let ratio = |get: fn(&Numbers) -> f64| {
            let pairs = a.iter().zip(b).filter(|(a, _)| get(a) > 0.0);
            median(pairs.map(|(a, b)| get(b) / get(a)).collect())
        };
        let ratios = Ratios {
            init_s: ratio(|of| of.init_s),
            store_gbps: ratio(|of| of.store_gbps),
            lookup_keys_per_s: ratio(|of| of.lookup_keys_per_s),
            load_gbps: ratio(|of| of.load_gbps),
            load1_p50_us: ratio(|of| of.load1_p50_us),
            load1_p99_us: ratio(|of| of.load1_p99_us),
            delete_keys_per_s: ratio(|of| of.delete_keys_per_s),
        };
        Self { a: medians(a), b: medians(b), ratios }
    }

    /// For people.
    pub(super) fn table(&self) -> Table {
        let Ratios {
            init_s,
            store_gbps,
            lookup_keys_per_s,
            load_gbps,
            load1_p50_us,
            load1_p99_us,
            delete_keys_per_s,
        } = self.ratios;
        let ratios =
            [init_s, store_gbps, lookup_keys_per_s, load_gbps, load1_p50_us, load1_p99_us, delete_keys_per_s];
        let mut table = table::plain(["", "A", "B", "B/A"]);
        for (column, ratio) in COLUMNS.iter().zip(ratios) {
            let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            table.add_row([column.name.to_owned(), column.shown(&self.a), column.shown(&self.b), ratio]);
        }
        table.add_row([VERIFIED, word(self.a.verified), word(self.b.verified), ""]);
        table
    }
}

/// The median of each number; verified if all rounds were.
fn medians(rounds: &[Numbers]) -> Numbers {
    let mut all = Numbers { verified: rounds.iter().all(|round| round.verified), ..Numbers::default() };
    for column in &COLUMNS {
        let values = rounds.iter().map(column.get).collect();
        (column.set)(&mut all, median(values).unwrap_or_default());
    }
    all
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let (low, high) = (values.get(last / 2)?, values.get(last.div_ceil(2))?);
    Some((low + high) / 2.0)
}

/// The value that so many hundredths of all are at most; 0 of none. Sorts them.
pub(super) fn percentile(values: &mut [f64], hundredths: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * hundredths).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_made_round_by_round_before_the_median_is_taken() {
        let round = |load_gbps| Numbers { load_gbps, verified: true, ..Numbers::default() };
        // The machine slows down: medians alone would say 1.
        let compared =
            Compared::of(&[round(4.0), round(2.0), round(1.0)], &[round(2.0), round(2.0), round(0.5)]);
        assert_eq!((compared.a.load_gbps, compared.b.load_gbps), (2.0, 2.0));
        assert_eq!(compared.ratios.load_gbps, Some(0.5));
        assert_eq!(compared.ratios.store_gbps, None, "0 to 0");
        assert!(compared.a.verified);
        let wrong = Numbers { verified: false, ..Numbers::default() };
        assert!(!Compared::of(&[round(1.0)], &[round(1.0), wrong]).b.verified);
    }

    #[test]
    fn medians_and_percentiles_of_few_values() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((percentile(&mut values, 50), percentile(&mut values, 99)), (100.0, 198.0));
        assert_eq!((percentile(&mut [7.0], 99), percentile(&mut [], 50)), (7.0, 0.0));
    }

    #[test]
    fn the_json_has_these_names() {
        let json = serde_json::to_value(Numbers::default()).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "init_s",
            "store_GBps",
            "lookup_keys_per_s",
            "load_GBps",
            "load1_p50_us",
            "load1_p99_us",
            "delete_keys_per_s",
            "verified",
        ];
        expected.sort_unstable();
        let mut names = names;
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}
