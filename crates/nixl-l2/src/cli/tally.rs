//! What a replay counts, as JSON for programs and as a table for people.

use std::time::Duration;

use comfy_table::Table;
use nixl_l2::{L2Error, Shortfall};
use serde::Serialize;

use super::table;

/// What has been counted so far.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Blocks that requests asked for, one that is asked for again included.
    pub(crate) blocks: u64,
    /// Of these, how many were in the leading run of a request that was hit and loaded.
    pub(crate) prefix_hits: u64,
    /// Blocks that were hit but could not be loaded.
    pub(crate) load_failed: u64,
    /// Lookups of blocks that ended with an error other than a plain miss.
    pub(crate) lookup_failed: u64,
    /// Blocks that were written.
    pub(crate) stored: u64,
    /// Blocks that were there already, though the lookup did not find them.
    pub(crate) already_present: u64,
    /// Blocks that could not be stored, for whatever reason.
    pub(crate) store_failed: u64,
    /// Of these, how many because the adapter was full.
    pub(crate) rejected: u64,
    pub(crate) loaded_bytes: u64,
    pub(crate) stored_bytes: u64,
    /// Blocks that were loaded with other bytes than were stored; counted only when verifying.
    pub(crate) mismatches: u64,
    /// Time in the adapter's calls, waits included.
    #[serde(skip)]
    pub(crate) loading: Duration,
    #[serde(skip)]
    pub(crate) storing: Duration,
    /// The first of each that went wrong.
    pub(crate) first_error: Option<String>,
    pub(crate) first_mismatch: Option<String>,
}

impl Tally {
    /// Keeps the first error.
    pub(crate) fn note(&mut self, error: &L2Error) {
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    /// Prefix hits over blocks; 0 without blocks.
    pub(crate) fn hit_rate(&self) -> f64 {
        if self.blocks == 0 { 0.0 } else { self.prefix_hits as f64 / self.blocks as f64 }
    }
}

/// The result of a replay; its JSON is a promise to programs that read it.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    #[serde(flatten)]
    pub(crate) tally: Tally,
    hit_rate: f64,
    /// 10⁹ bytes a second, over the time in the adapter's loads.
    load_gbps: f64,
    /// The same of stores.
    store_gbps: f64,
    #[serde(flatten)]
    run: Run,
}

/// What a summary adds to the tally.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) block_bytes: u64,
    pub(crate) verified: bool,
    /// Objects that the adapter deleted meanwhile: evicted, damaged, or replaced by one of another length.
    pub(crate) evicted: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) usage_bytes: u64,
    pub(crate) capacity_bytes: u64,
    /// What each of several adapters could not do, though another may have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) adapters: Vec<Each>,
}

/// What one of several adapters could not do, in keys.
#[derive(Debug, Serialize)]
pub(crate) struct Each {
    store_failed: u64,
    lookup_failed: u64,
    load_failed: u64,
    first_error: Option<String>,
}

impl From<Shortfall> for Each {
    fn from(shortfall: Shortfall) -> Self {
        let Shortfall { stores, lookups, loads, first_error, .. } = shortfall;
        Self { store_failed: stores, lookup_failed: lookups, load_failed: loads, first_error }
    }
}

impl Summary {
    pub(crate) fn new(tally: Tally, run: Run) -> Self {
        Self {
            hit_rate: tally.hit_rate(),
            load_gbps: gigabytes_a_second(tally.loaded_bytes, tally.loading),
            store_gbps: gigabytes_a_second(tally.stored_bytes, tally.storing),
            tally,
            run,
        }
    }

    /// For people: what is zero and should be is left out.
    pub(crate) fn table(&self) -> Table {
        let Self { tally, run, .. } = self;
        let mut table = table::plain(["", "blocks", "bytes", "GB/s"]);
        let mut row = |name: String, blocks: Option<u64>, bytes: Option<u64>, rate: f64| {
            let blocks = blocks.map(|blocks| blocks.to_string()).unwrap_or_default();
            let rate = if rate > 0.0 { format!("{rate:.2}") } else { String::new() };
            table.add_row([name, blocks, bytes.map(table::bytes).unwrap_or_default(), rate]);
        };
        let asked = format!("asked for by {} requests", tally.requests);
        row(asked, Some(tally.blocks), Some(tally.blocks.saturating_mul(run.block_bytes)), 0.0);
        let hits = format!("prefix hits, loaded ({:.2} %)", 100.0 * self.hit_rate);
        row(hits, Some(tally.prefix_hits), Some(tally.loaded_bytes), self.load_gbps);
        row("stored".to_owned(), Some(tally.stored), Some(tally.stored_bytes), self.store_gbps);
        for (name, count) in [
            ("already present", tally.already_present),
            ("rejected, for lack of room", tally.rejected),
            ("not stored, by an error", tally.store_failed - tally.rejected),
            ("lookups that failed", tally.lookup_failed),
            ("loads that failed", tally.load_failed),
            ("evicted, damaged or replaced", run.evicted),
        ] {
            if count > 0 {
                row(name.to_owned(), Some(count), None, 0.0);
            }
        }
        for (each, number) in run.adapters.iter().zip(1..) {
            for (name, count) in [
                ("not stored", each.store_failed),
                ("lookups that failed", each.lookup_failed),
                ("loads that failed", each.load_failed),
            ] {
                if count > 0 {
                    row(format!("adapter {number} alone: {name}"), Some(count), None, 0.0);
                }
            }
        }
        if run.verified {
            row("loaded with wrong bytes".to_owned(), Some(tally.mismatches), None, 0.0);
        }
        row(format!("in use, of {}", table::bytes(run.capacity_bytes)), None, Some(run.usage_bytes), 0.0);
        table
    }

    /// The first error of each of several adapters that had any, with its number.
    pub(crate) fn first_errors(&self) -> impl Iterator<Item = (usize, &str)> {
        let errors = self.run.adapters.iter().zip(1..);
        errors.filter_map(|(each, number)| Some((number, each.first_error.as_deref()?)))
    }

    /// How long it took, in seconds.
    pub(crate) fn elapsed_s(&self) -> f64 {
        self.run.elapsed_s
    }
}

/// 10⁹ bytes a second; 0 where nothing was moved.
pub(crate) fn gigabytes_a_second(bytes: u64, time: Duration) -> f64 {
    if bytes == 0 || time.is_zero() { 0.0 } else { bytes as f64 / time.as_secs_f64() / 1e9 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_nothing_has_numbers_all_the_same() {
        let run = Run {
            block_bytes: 4096,
            verified: true,
            evicted: 0,
            elapsed_s: 0.0,
            usage_bytes: 0,
            capacity_bytes: 0,
            adapters: Vec::new(),
        };
        let summary = Summary::new(Tally::default(), run);
        let json = serde_json::to_value(&summary).unwrap();
        for field in [
            "requests",
            "blocks",
            "prefix_hits",
            "hit_rate",
            "stored",
            "store_failed",
            "evicted",
            "loaded_bytes",
            "stored_bytes",
            "mismatches",
            "load_gbps",
            "store_gbps",
            "elapsed_s",
            "usage_bytes",
            "capacity_bytes",
        ] {
            assert_eq!(json[field].as_f64(), Some(0.0), "{field} in {json}");
        }
    }

    #[test]
    fn rates_are_bytes_over_the_time_in_the_adapter() {
        assert!((gigabytes_a_second(3_000_000_000, Duration::from_secs(2)) - 1.5).abs() < 1e-9);
    }
}
