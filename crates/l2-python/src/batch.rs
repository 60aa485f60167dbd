//! Batches to store and to load: keys with ranges of the memory, as leases.

use nixl_l2::{Lease, LoadItem, MemoryError, ObjectKey, Region, StoreItem};
use pyo3::prelude::*;

use crate::errors;
use crate::keys::{Keys, hint};
use crate::report::Places;

/// Offset and length of a range of the memory, in bytes.
pub(crate) type Stretch = (usize, usize);

/// Offset and length of each key's bytes in the memory, in order.
pub(crate) struct Ranges(Vec<(usize, usize)>);

impl Ranges {
    /// One for each key. That they are ranges of the memory is left to [`Ranges::must_be_of`], or to the lease of each.
    ///
    /// # Errors
    /// TypeError and ValueError, MemoryRangeError among them, with the position.
    pub(crate) fn read(
        offsets: &Bound<'_, PyAny>,
        lengths: &Bound<'_, PyAny>,
        keys: usize,
    ) -> PyResult<Self> {
        let (offsets, lengths) = (numbers(offsets, "offsets")?, numbers(lengths, "lengths")?);
        if (offsets.len(), lengths.len()) != (keys, keys) {
            let (offsets, lengths) = (offsets.len(), lengths.len());
            return Err(errors::value(format!(
                "there are {keys} keys, {offsets} offsets and {lengths} lengths: give one of each for each key"
            )));
        }
        Ok(Self(offsets.into_iter().zip(lengths).collect()))
    }

    /// # Errors
    /// MemoryRangeError for the first that is no range of the memory.
    pub(crate) fn must_be_of(&self, memory: &Region) -> PyResult<()> {
        for (at, &(offset, length)) in self.0.iter().enumerate() {
            let end = offset.checked_add(length);
            if length == 0 || end.is_none_or(|end| end > memory.len()) {
                return Err(errors::range(format!(
                    "offsets[{at}] is {offset} and lengths[{at}] is {length}, which is no range of memory of {} bytes",
                    memory.len()
                )));
            }
        }
        Ok(())
    }

    /// # Errors
    /// MemoryRangeError for two that overlap.
    pub(crate) fn must_be_apart(&self) -> PyResult<()> {
        let mut sorted: Vec<_> =
            self.0.iter().enumerate().map(|(at, &(offset, length))| (offset, length, at)).collect();
        sorted.sort_unstable();
        let overlap =
            sorted.iter().zip(sorted.iter().skip(1)).find(|((a, length, _), (b, _, _))| a + length > *b);
        let Some(((_, _, one), (_, _, other))) = overlap else { return Ok(()) };
        let (first, second) = (one.min(other), one.max(other));
        Err(errors::range(format!(
            "the ranges of keys[{first}] and keys[{second}] overlap; load each into its own"
        )))
    }

    /// With the keys, without those that were refused.
    fn of(self, keys: &Keys) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut refused = keys.refused.iter().map(|(at, _)| *at).collect::<Vec<_>>().into_iter().peekable();
        self.0.into_iter().enumerate().filter_map(move |(at, (offset, length))| {
            refused.next_if_eq(&at).is_none().then_some((at, offset, length))
        })
    }
}

fn numbers(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<usize>> {
    let mut numbers = Vec::with_capacity(hint(given));
    for (at, number) in given.try_iter()?.enumerate() {
        let number = number?;
        numbers.push(number.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(given.py()) {
                errors::range(format!("{what}[{at}] is {number}, and has to be a number of bytes"))
            } else {
                pyo3::exceptions::PyTypeError::new_err(format!("{what}[{at}] has to be int: {error}"))
            }
        })?);
    }
    Ok(numbers)
}

/// What goes to the adapter. Reading may be shared: only what is no range of the memory is refused, alone, and what a load, one
/// past its deadline included, may still write.
pub(crate) fn to_store(keys: Keys, ranges: Ranges, memory: &Region) -> (Vec<StoreItem>, Places) {
    let total = keys.total();
    let mut items = Vec::with_capacity(keys.keys.len());
    let placed: Vec<_> = ranges.of(&keys).collect();
    let Keys { keys, mut refused, .. } = keys;
    for (key, (at, offset, length)) in keys.into_iter().zip(placed) {
        if memory.is_leased(offset, length) {
            refused.push((at, format!("{length} bytes at {offset} of the memory are still being loaded")));
            continue;
        }
        // SAFETY: it is frozen at once, so that it may be read by many. Nobody writes it until the lease has ended: no transfer
        // that is under way does, which was just seen, and neither does the caller, who owns the memory and is asked to
        // leave it alone, with loads too, until the task has ended. (A store past its deadline may read longer: what it
        // reads then is never published.)
        match unsafe { memory.lease_unchecked(offset, length) } {
            Ok(lease) => items.push(StoreItem { key, memory: lease.freeze() }),
            Err(error) => refused.push((at, error.to_string())),
        }
    }
    refused.sort_unstable();
    (items, Places { total, refused })
}

/// What goes to the adapter. A range into which another key or task still loads is refused, alone.
/// With the range of each that goes.
pub(crate) fn to_load(keys: Keys, ranges: Ranges, memory: &Region) -> (Vec<LoadItem>, Vec<Stretch>, Places) {
    let total = keys.total();
    let mut items = Vec::with_capacity(keys.keys.len());
    let mut stretches = Vec::with_capacity(keys.keys.len());
    let placed: Vec<_> = ranges.of(&keys).collect();
    let Keys { keys, mut refused, .. } = keys;
    let lease = |offset, length| -> Result<Lease, MemoryError> { memory.lease(offset, length) };
    for (key, (at, offset, length)) in keys.into_iter().zip(placed) {
        match lease(offset, length) {
            Ok(memory) => {
                items.push(LoadItem { key, memory });
                stretches.push((offset, length));
            }
            Err(error) => refused.push((at, error.to_string())),
        }
    }
    refused.sort_unstable();
    (items, stretches, Places { total, refused })
}

/// The keys alone.
pub(crate) fn to_look_up(keys: Keys) -> (Vec<ObjectKey>, Places) {
    let total = keys.total();
    (keys.keys, Places { total, refused: keys.refused })
}
