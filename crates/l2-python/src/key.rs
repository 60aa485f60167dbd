//! `ObjectKey`: a key made in Python, checked and converted when it is made.

use nixl_l2::{KeyScope, ObjectKey};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors;

/// What a key is made of.
type Parts<'py> = (String, u64, u64, String, Bound<'py, PyBytes>);

/// The name of one chunk of KV: which model, shard, group and tenant, and the hash of its tokens.
///
/// Frozen and hashable; equal to another ObjectKey with the same five parts. Where keys are asked for, any object with these five
/// attributes is taken, such as LMCache's own keys; these here are converted already, and cost least.
///
/// model_name: 1 to 512 bytes, without NUL and without a part that is "." or "..".
/// kv_rank: 0 to 2**64 - 1; LMCache packs world, rank, local world and local rank into it.
/// object_group_id: 0 to 2**64 - 1.
/// cache_salt: at most 128 characters, none of them "@", "/", "\\" or NUL; empty for none.
/// chunk_hash: 1 to 64 bytes.
///
/// Raises InvalidKeyError (a ValueError) for a part that cannot be in a key.
#[pyclass(frozen, eq, name = "ObjectKey", module = "nixl_l2")]
#[derive(PartialEq, Eq)]
pub(crate) struct Key(pub(crate) ObjectKey);

#[pymethods]
impl Key {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        ("model_name", "kv_rank", "object_group_id", "cache_salt", "chunk_hash")
    }

    #[new]
    #[pyo3(signature = (model_name, kv_rank, object_group_id, cache_salt, chunk_hash))]
    fn new(
        model_name: &str,
        kv_rank: u64,
        object_group_id: u64,
        cache_salt: &str,
        chunk_hash: &Bound<'_, PyBytes>,
    ) -> PyResult<Self> {
        let scope = KeyScope::new(model_name, kv_rank, object_group_id, cache_salt);
        let key = scope.and_then(|scope| scope.key(chunk_hash.as_bytes()));
        key.map(Self).map_err(|error| errors::invalid_key(&error))
    }

    /// The model's name, as the server calls it.
    #[getter]
    fn model_name(&self) -> &str {
        self.0.model_name()
    }

    /// Which shard of the KV.
    #[getter]
    fn kv_rank(&self) -> u64 {
        self.0.kv_rank()
    }

    /// Which group of layers or tensors of the chunk.
    #[getter]
    fn object_group_id(&self) -> u64 {
        self.0.object_group_id()
    }

    /// The tenant's salt; empty for none.
    #[getter]
    fn cache_salt(&self) -> &str {
        self.0.cache_salt()
    }

    /// The hash of the tokens up to and including the chunk.
    #[getter]
    fn chunk_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.chunk_hash())
    }

    fn __hash__(&self) -> u64 {
        self.0.hash64()
    }

    fn __repr__(&self) -> String {
        format!("<ObjectKey {}>", self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, Parts<'py>) {
        let key = &slf.get().0;
        let hash = PyBytes::new(slf.py(), key.chunk_hash());
        let parts = (
            key.model_name().to_owned(),
            key.kv_rank(),
            key.object_group_id(),
            key.cache_salt().to_owned(),
            hash,
        );
        (slf.get_type().into_any(), parts)
    }
}
