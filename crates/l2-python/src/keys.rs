//! Keys of a batch, from Python objects: each is read once, and those of one model share its scope.

use nixl_l2::{InvalidKey, KeyScope, ObjectKey};
use pyo3::exceptions::{PyAttributeError, PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors;
use crate::key::Key;

/// The keys of a batch that can be keys, and what is wrong with the others.
#[derive(Default)]
pub(crate) struct Keys {
    /// In order.
    pub(crate) keys: Vec<ObjectKey>,
    /// The positions in the batch that are not among `keys`, in order, and why.
    pub(crate) refused: Vec<(usize, String)>,
    /// The objects that `keys` were read from, where that was asked for, but for ours.
    pub(crate) objects: Vec<(ObjectKey, Py<PyAny>)>,
}

impl Keys {
    /// Reads a batch. `last` is a key of the same adapter, whose scope is used again where it fits; it becomes the last of these.
    ///
    /// With `keep` the objects are kept, too.
    ///
    /// A key that no storage could have (a NUL in its model's name) is no error of the call: it is refused alone.
    ///
    /// # Errors
    /// TypeError and ValueError for what is no key, with its position.
    pub(crate) fn read(batch: &Bound<'_, PyAny>, last: &mut Option<ObjectKey>, keep: bool) -> PyResult<Self> {
        let mut read = Self::default();
        read.keys.reserve(hint(batch));
        for (at, object) in batch.try_iter()?.enumerate() {
            let object = object?;
            match key_of(&object, last).map_err(|error| placed(batch.py(), at, error))? {
                Ok(key) => {
                    if keep && !object.is_instance_of::<Key>() {
                        read.objects.push((key.clone(), object.unbind()));
                    }
                    read.keys.push(key);
                }
                Err(invalid) => read.refused.push((at, invalid.to_string())),
            }
        }
        Ok(read)
    }

    /// How many there were in the batch.
    pub(crate) fn total(&self) -> usize {
        self.keys.len() + self.refused.len()
    }
}

/// How many items a batch says that it has, to make room for them: not more than it may well have.
pub(crate) fn hint(batch: &Bound<'_, PyAny>) -> usize {
    batch.len().unwrap_or(0).min(1 << 16)
}

/// One key. The inner error is that of a key that has all its parts, one of which cannot be in a key.
fn key_of(
    object: &Bound<'_, PyAny>,
    last: &mut Option<ObjectKey>,
) -> PyResult<Result<ObjectKey, InvalidKey>> {
    if let Ok(key) = object.cast::<Key>() {
        return Ok(Ok(key.get().0.clone()));
    }
    let py = object.py();
    let model_name = object.getattr(intern!(py, "model_name"))?;
    let model_name = text(&model_name, "model_name")?;
    let kv_rank = number(&object.getattr(intern!(py, "kv_rank"))?, "kv_rank")?;
    let object_group_id = number(&object.getattr(intern!(py, "object_group_id"))?, "object_group_id")?;
    let cache_salt = object.getattr(intern!(py, "cache_salt"))?;
    let cache_salt = text(&cache_salt, "cache_salt")?;
    let chunk_hash = object.getattr(intern!(py, "chunk_hash"))?;
    let chunk_hash =
        chunk_hash.cast::<PyBytes>().map_err(|_| wrong(&chunk_hash, "chunk_hash", "bytes"))?.as_bytes();
    let same = last.as_ref().filter(|last| {
        last.kv_rank() == kv_rank
            && last.object_group_id() == object_group_id
            && last.model_name() == model_name
            && last.cache_salt() == cache_salt
    });
    if let Some(last) = same {
        return Ok(last.scope().key(chunk_hash));
    }
    let key = KeyScope::new(model_name, kv_rank, object_group_id, cache_salt)
        .and_then(|scope| scope.key(chunk_hash));
    if let Ok(key) = &key {
        *last = Some(key.clone());
    }
    Ok(key)
}

fn text<'a>(value: &'a Bound<'_, PyAny>, part: &str) -> PyResult<&'a str> {
    value.cast::<PyString>().map_err(|_| wrong(value, part, "str"))?.to_str()
}

fn number(value: &Bound<'_, PyAny>, part: &str) -> PyResult<u64> {
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            errors::value(format!("{part} is {value}, and has to be 0 to 2**64 - 1"))
        } else {
            wrong(value, part, "int")
        }
    })
}

fn wrong(value: &Bound<'_, PyAny>, part: &str, expected: &str) -> PyErr {
    let found = value.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{part} has to be {expected}, and is {found}"))
}

/// The error with the place of its key in the batch.
fn placed(py: Python<'_>, at: usize, error: PyErr) -> PyErr {
    let text = error.value(py).to_string();
    if error.is_instance_of::<PyAttributeError>(py) || error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(format!("keys[{at}] is no key: {text}"))
    } else if error.is_instance_of::<pyo3::exceptions::PyValueError>(py) {
        errors::value(format!("keys[{at}] is no key: {text}"))
    } else {
        error
    }
}
