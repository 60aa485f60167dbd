//! Keys for Python: the host's own objects where they are still known, else made by what the host gave.

use nixl_l2::{KeyScope, ObjectKey};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::key::Key;
use crate::recent::Recent;

/// Makes the keys of one answer, most of which have their scope in common.
pub(crate) struct Maker<'a, 'py> {
    py: Python<'py>,
    /// `None`: ours are made.
    key_type: Option<&'a Py<PyAny>>,
    recent: Option<&'a Recent>,
    /// The parts of the last key's scope, by their names.
    scope: Option<(KeyScope, Bound<'py, PyDict>)>,
}

impl<'a, 'py> Maker<'a, 'py> {
    pub(crate) fn new(py: Python<'py>, key_type: Option<&'a Py<PyAny>>, recent: Option<&'a Recent>) -> Self {
        Self { py, key_type, recent, scope: None }
    }

    /// # Errors
    /// What the host's callable raises.
    pub(crate) fn make(&mut self, key: ObjectKey) -> PyResult<Py<PyAny>> {
        let Some(key_type) = self.key_type else { return Ok(Py::new(self.py, Key(key))?.into_any()) };
        if let Some(object) = self.recent.and_then(|recent| recent.get(self.py, &key)) {
            return Ok(object);
        }
        // A copy, for the callable may keep what it is given.
        let parts = self.parts_of_scope(&key)?.copy()?;
        parts.set_item(intern!(self.py, "chunk_hash"), PyBytes::new(self.py, key.chunk_hash()))?;
        key_type.call(self.py, (), Some(&parts))
    }

    /// As [`Self::make`]; `None`, and a line in the log, for a key that the host's callable refuses, of another program's most likely.
    ///
    /// # Errors
    /// What it raises that is no Exception.
    pub(crate) fn make_if_it_can(&mut self, key: ObjectKey) -> PyResult<Option<Py<PyAny>>> {
        let name = key.clone();
        match self.make(key) {
            Err(error) if error.is_instance_of::<PyException>(self.py) => {
                tracing::warn!(key = %name, %error, "the host has no such keys: it is not told of this one");
                Ok(None)
            }
            made => made.map(Some),
        }
    }

    fn parts_of_scope(&mut self, key: &ObjectKey) -> PyResult<Bound<'py, PyDict>> {
        if let Some((_, parts)) = self.scope.as_ref().filter(|(scope, _)| scope == key.scope()) {
            return Ok(parts.clone());
        }
        let parts = PyDict::new(self.py);
        parts.set_item(intern!(self.py, "model_name"), key.model_name())?;
        parts.set_item(intern!(self.py, "kv_rank"), key.kv_rank())?;
        parts.set_item(intern!(self.py, "object_group_id"), key.object_group_id())?;
        parts.set_item(intern!(self.py, "cache_salt"), key.cache_salt())?;
        self.scope = Some((key.scope().clone(), parts.clone()));
        Ok(parts)
    }
}
