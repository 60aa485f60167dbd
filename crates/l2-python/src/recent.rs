//! The host's own key objects, kept for a while: what is told of a key soon after has the same object, and none is made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nixl_l2::{KeyHasherBuilder, ObjectKey};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// So many keys are kept at least, and twice as many at most: more than a batch usually has.
const KEPT: usize = 16_384;

type Objects = HashMap<ObjectKey, Py<PyAny>, KeyHasherBuilder>;

/// The keys submitted last.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: Objects,
    old: Objects,
}

impl Recent {
    /// Keeps these.
    pub(crate) fn add(&self, objects: Vec<(ObjectKey, Py<PyAny>)>) {
        // Given up without the lock: the last reference to an object may run code of its own.
        let mut replaced = Vec::new();
        let mut aged = Vec::new();
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, object) in objects {
            if generations.young.len() >= KEPT {
                let young = std::mem::take(&mut generations.young);
                aged.push(std::mem::replace(&mut generations.old, young));
            }
            replaced.extend(generations.young.insert(key, object));
        }
        drop(generations);
    }

    /// The object of a key, if it is still kept.
    pub(crate) fn get(&self, py: Python<'_>, key: &ObjectKey) -> Option<Py<PyAny>> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = generations.young.get(key).or_else(|| generations.old.get(key));
        found.map(|object| object.clone_ref(py))
    }

    /// Shows the garbage collector what is kept. While somebody is at it that stays for the next time.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(generations) = self.0.try_lock() else { return Ok(()) };
        let all = generations.young.values().chain(generations.old.values());
        all.into_iter().try_for_each(|object| visit.call(object))
    }

    /// Keeps none of them any longer.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(all);
    }
}
