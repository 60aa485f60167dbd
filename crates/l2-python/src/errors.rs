//! Errors of the library as the exceptions of `nixl_l2`, which are defined in Python.

use nixl_l2::{ErrorKind, InvalidKey, L2Error, MemoryError, NixlError, OpenError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

mod python {
    //! Looked up when the first is raised, for the module that defines them imports nothing of this one.
    pyo3::import_exception!(nixl_l2._errors, NixlL2Error);
    pyo3::import_exception!(nixl_l2._errors, ClosedError);
    pyo3::import_exception!(nixl_l2._errors, ConfigError);
    pyo3::import_exception!(nixl_l2._errors, ForkedError);
    pyo3::import_exception!(nixl_l2._errors, InvalidKeyError);
    pyo3::import_exception!(nixl_l2._errors, MemoryRangeError);
    pyo3::import_exception!(nixl_l2._errors, NixlMissingError);
    pyo3::import_exception!(nixl_l2._errors, StorageError);
    pyo3::import_exception!(nixl_l2._errors, TaskTimeoutError);
    pyo3::import_exception!(nixl_l2._errors, UnknownTaskError);
}

pub(crate) fn closed() -> PyErr {
    python::ClosedError::new_err("the adapter is closed")
}

pub(crate) fn forked(what: &str) -> PyErr {
    python::ForkedError::new_err(format!(
        "{what} was opened before this process was forked, and its threads are in the parent alone: open it in the child \
         (with multiprocessing, use the start method \"spawn\")"
    ))
}

pub(crate) fn config(faults: Vec<String>) -> PyErr {
    python::ConfigError::new_err((faults,))
}

pub(crate) fn invalid_key(error: &InvalidKey) -> PyErr {
    python::InvalidKeyError::new_err(error.to_string())
}

pub(crate) fn range(what: String) -> PyErr {
    python::MemoryRangeError::new_err(what)
}

pub(crate) fn memory(error: &MemoryError) -> PyErr {
    match error {
        MemoryError::Map { .. } => pyo3::exceptions::PyMemoryError::new_err(error.to_string()),
        _ => range(error.to_string()),
    }
}

pub(crate) fn nixl(error: &NixlError) -> PyErr {
    python::NixlMissingError::new_err(error.to_string())
}

pub(crate) fn late(task: u64, seconds: f64) -> PyErr {
    python::TaskTimeoutError::new_err(format!("task {task} was not done within {seconds} s; it goes on"))
}

pub(crate) fn unknown(task: u64, kind: &str) -> PyErr {
    python::UnknownTaskError::new_err(format!(
        "no {kind} has the number {task}, or its result was taken already"
    ))
}

pub(crate) fn value(what: impl Into<String>) -> PyErr {
    PyValueError::new_err(what.into())
}

pub(crate) fn adapter(error: &L2Error) -> PyErr {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::Closed => closed(),
        ErrorKind::InvalidInput => value(text),
        _ => python::StorageError::new_err((text, error.kind().as_str())),
    }
}

pub(crate) fn open(error: &OpenError) -> PyErr {
    match error {
        OpenError::Config(faults) => config(faults.to_string().lines().map(str::to_owned).collect()),
        OpenError::Nixl(error) => nixl(error),
        OpenError::Adapter(error) => adapter(error),
        other => python::NixlL2Error::new_err(other.to_string()),
    }
}
