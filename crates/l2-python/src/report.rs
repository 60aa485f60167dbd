//! What tasks did, as Python sees it: one byte and at most one text for each key.

use std::collections::BTreeMap;

use nixl_l2::{
    DeleteReport as Deletes, Deleted, LoadReport as Loads, Looked, LookupReport as Lookups, Stored,
};
use nixl_l2::{SaltUsage, StoreReport as Stores};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Where the outcomes of a batch belong in what was submitted: some keys may not have gone to the adapter.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Keys submitted.
    pub(crate) total: usize,
    /// Those that did not go to the adapter, in order, and why.
    pub(crate) refused: Vec<(usize, String)>,
}

impl Places {
    /// A byte for each key, and an error for some, of outcomes in the order of those that went to the adapter.
    fn spread<T>(
        self,
        outcomes: Vec<T>,
        mut mark: impl FnMut(usize, T) -> Result<u8, Option<String>>,
    ) -> Marks {
        let mut marks = Marks { mask: vec![0; self.total], errors: BTreeMap::new() };
        let mut refused = self.refused.iter().map(|(at, _)| *at).peekable();
        let mut outcomes = outcomes.into_iter();
        for (at, byte) in marks.mask.iter_mut().enumerate() {
            if refused.next_if_eq(&at).is_some() {
                continue;
            }
            let Some(outcome) = outcomes.next() else {
                marks.errors.insert(at, "the adapter gave no outcome".to_owned());
                continue;
            };
            match mark(at, outcome) {
                Ok(value) => *byte = value,
                Err(Some(error)) => drop(marks.errors.insert(at, error)),
                Err(None) => {}
            }
        }
        marks.errors.extend(self.refused);
        marks
    }
}

struct Marks {
    mask: Vec<u8>,
    errors: BTreeMap<usize, String>,
}

/// What a store did.
#[pyclass(frozen, module = "nixl_l2")]
pub(crate) struct StoreReport {
    /// Bytes written.
    #[pyo3(get)]
    bytes: u64,
    mask: Vec<u8>,
    /// Why keys could not be stored, by position.
    #[pyo3(get)]
    errors: BTreeMap<usize, String>,
}

impl StoreReport {
    /// The leases go back here, before anybody hears that the store has ended.
    pub(crate) fn of(report: Stores, places: Places) -> Self {
        let bytes = report.written_bytes();
        let marks = places.spread(report.outcomes, |_, outcome| match outcome.result {
            Ok(Stored::Written { .. } | Stored::AlreadyPresent) => Ok(1),
            Err(error) => Err(Some(error.to_string())),
        });
        Self { bytes, mask: marks.mask, errors: marks.errors }
    }
}

#[pymethods]
impl StoreReport {
    /// Whether every key is stored now.
    #[getter]
    fn ok(&self) -> bool {
        self.errors.is_empty()
    }

    /// One byte a key, in order: 1 if it is stored now, by this task or before.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.mask)
    }

    fn __repr__(&self) -> String {
        format!(
            "<StoreReport: {}, {} bytes written>",
            counted(&self.mask, "stored", &self.errors),
            self.bytes
        )
    }
}

/// What a lookup found; each hit is pinned until it is unlocked.
#[pyclass(frozen, module = "nixl_l2")]
pub(crate) struct LookupReport {
    mask: Vec<u8>,
    lengths: Vec<u64>,
    /// Why keys could not be looked up, by position; a plain miss is no error.
    #[pyo3(get)]
    errors: BTreeMap<usize, String>,
}

impl LookupReport {
    pub(crate) fn of(report: Lookups, places: Places) -> Self {
        let mut lengths = vec![0; places.total];
        let marks = places.spread(report.answers, |at, answer| match answer {
            Looked::Hit { bytes } => {
                if let Some(length) = lengths.get_mut(at) {
                    *length = bytes;
                }
                Ok(1)
            }
            Looked::Miss(error) => Err((!error.is_miss()).then(|| error.to_string())),
        });
        Self { mask: marks.mask, lengths, errors: marks.errors }
    }
}

#[pymethods]
impl LookupReport {
    /// One byte a key, in order: 1 for a hit.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.mask)
    }

    /// How many keys at the front are hits.
    #[getter]
    fn prefix_hits(&self) -> usize {
        self.mask.iter().take_while(|&&hit| hit == 1).count()
    }

    /// The lengths of the objects in bytes, in order; 0 for a miss.
    fn lengths(&self) -> Vec<u64> {
        self.lengths.clone()
    }

    fn __repr__(&self) -> String {
        format!("<LookupReport: {}>", counted(&self.mask, "hit", &self.errors))
    }
}

/// What a load did.
#[pyclass(frozen, module = "nixl_l2")]
pub(crate) struct LoadReport {
    /// Bytes loaded.
    #[pyo3(get)]
    bytes: u64,
    mask: Vec<u8>,
    /// Why keys could not be loaded, by position.
    #[pyo3(get)]
    errors: BTreeMap<usize, String>,
}

impl LoadReport {
    /// As [`StoreReport::of`].
    pub(crate) fn of(report: Loads, places: Places) -> Self {
        let bytes = report.loaded_bytes();
        let marks = places.spread(report.outcomes, |_, outcome| match outcome.result {
            Ok(_) => Ok(1),
            Err(error) => Err(Some(error.to_string())),
        });
        Self { bytes, mask: marks.mask, errors: marks.errors }
    }
}

#[pymethods]
impl LoadReport {
    /// Whether every key was loaded.
    #[getter]
    fn ok(&self) -> bool {
        self.errors.is_empty()
    }

    /// One byte a key, in order: 1 if all its bytes are in memory. Of the others what is in memory is not said.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.mask)
    }

    fn __repr__(&self) -> String {
        format!("<LoadReport: {}, {} bytes>", counted(&self.mask, "loaded", &self.errors), self.bytes)
    }
}

/// What a delete did.
#[pyclass(frozen, module = "nixl_l2")]
pub(crate) struct DeleteReport {
    /// Bytes freed.
    #[pyo3(get)]
    bytes: u64,
    mask: Vec<u8>,
    busy: Vec<u8>,
    /// Why the storage of keys could not be freed yet, by position; they are out of sight.
    #[pyo3(get)]
    errors: BTreeMap<usize, String>,
}

impl DeleteReport {
    pub(crate) fn of(report: Deletes, places: Places) -> Self {
        let mut busy = vec![0; places.total];
        let bytes = report.freed_bytes();
        let marks = places.spread(report.answers, |at, answer| match answer {
            Deleted::Freed { .. } => Ok(1),
            Deleted::Absent => Err(None),
            Deleted::Busy => {
                if let Some(byte) = busy.get_mut(at) {
                    *byte = 1;
                }
                Err(None)
            }
            Deleted::Failed(error) => Err(Some(error.to_string())),
        });
        Self { bytes, mask: marks.mask, busy, errors: marks.errors }
    }
}

#[pymethods]
impl DeleteReport {
    /// One byte a key, in order: 1 if it was there and is gone now.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.mask)
    }

    /// One byte a key, in order: 1 if it is pinned or in use, and stays.
    #[getter]
    fn busy<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.busy)
    }

    fn __repr__(&self) -> String {
        format!(
            "<DeleteReport: {}, {} bytes freed>",
            counted(&self.mask, "deleted", &self.errors),
            self.bytes
        )
    }
}

/// How full an adapter is.
#[pyclass(frozen, module = "nixl_l2")]
pub(crate) struct Usage {
    /// Bytes reserved, stored, or being deleted.
    #[pyo3(get)]
    used: u64,
    /// Most bytes that stores may use.
    #[pyo3(get)]
    capacity: u64,
    by_salt: Vec<SaltUsage>,
}

impl Usage {
    pub(crate) fn of(usage: nixl_l2::Usage, by_salt: Vec<SaltUsage>) -> Self {
        Self { used: usage.used_bytes, capacity: usage.capacity_bytes, by_salt }
    }
}

#[pymethods]
impl Usage {
    /// Bytes of each tenant that has any, by cache salt.
    #[getter]
    fn by_salt(&self) -> BTreeMap<&str, u64> {
        self.by_salt.iter().map(|usage| (usage.salt.as_str(), usage.bytes)).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Usage: {} of {} bytes>", self.used, self.capacity)
    }
}

/// As in "3 of 4 stored, 1 error".
fn counted(mask: &[u8], done: &str, errors: &BTreeMap<usize, String>) -> String {
    let count = mask.iter().filter(|&&byte| byte == 1).count();
    let errors = match errors.len() {
        0 => String::new(),
        1 => ", 1 error".to_owned(),
        many => format!(", {many} errors"),
    };
    format!("{count} of {} {done}{errors}", mask.len())
}
